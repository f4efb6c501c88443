import type { FastifyInstance, FastifyReply } from "fastify";
import { parseJson } from "./python-json.ts";
import { renderPrompt, renderToolTurn } from "./template.ts";
import { countTokens, firstTokens } from "./tokens.ts";
import { readChatRequest } from "./validation.ts";
import { isObject } from "./validation-error.ts";

/**
 * Friendli's helpers: `chat/render` gives the prompt's text, `tokenize` and `detokenize` turn text into tokens and back.
 * Tokens are those of the stand-in tokenizer; each number holds its own text, so any list of them can be read back.
 */
export async function tokenApi(app: FastifyInstance): Promise<void> {
  app.post("/serverless/v1/chat/render", (http, reply) => {
    const read = readChatRequest(bodyOf(http.body), true);
    if ("errors" in read) return reply.code(422).send({ detail: read.errors });
    const { tools, messages, thinking } = read.request;
    return reply.send({ text: renderPrompt(renderToolTurn(tools), messages, thinking) });
  });
  app.post("/serverless/v1/tokenize", (http, reply) => {
    const body = bodyOf(http.body);
    const text = isObject(body) ? (body.prompt ?? body.text) : undefined;
    return typeof text === "string" ? reply.send({ tokens: tokenize(text) }) : missing(reply, "prompt");
  });
  app.post("/serverless/v1/detokenize", (http, reply) => {
    const body = bodyOf(http.body);
    const tokens = isObject(body) ? body.tokens : undefined;
    return isTokens(tokens) ? reply.send({ text: detokenize(tokens) }) : missing(reply, "tokens");
  });
}

const bodyOf = (body: unknown): unknown => (typeof body === "string" ? parseJson(body) : undefined);

function missing(reply: FastifyReply, field: string): FastifyReply {
  return reply.code(422).send({ detail: [{ type: "missing", loc: ["body", field], msg: "Field required" }] });
}

function isTokens(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((token) => Number.isSafeInteger(token) && token >= 0);
}

/** As many numbers as the text counts tokens, of which each is the UTF-8 bytes of its share with a 1 before them. */
export function tokenize(text: string): number[] {
  const tokens: number[] = [];
  for (let rest = text; rest !== ""; ) {
    // A token holds at most four characters of one byte or one wider one, which always fits into a safe integer.
    const share = firstTokens(rest, 1) || String.fromCodePoint(rest.codePointAt(0) ?? 0);
    const piece =
      countTokens(share) <= 1 && Buffer.byteLength(share) <= 5
        ? share
        : String.fromCodePoint(share.codePointAt(0) ?? 0);
    tokens.push(Buffer.from(piece).reduce((number, byte) => number * 256 + byte, 1));
    rest = rest.slice(piece.length);
  }
  return tokens;
}

export function detokenize(tokens: readonly number[]): string {
  const bytes = tokens.flatMap((token) => {
    const own: number[] = [];
    for (let rest = token; rest > 1; rest = Math.floor(rest / 256)) own.unshift(rest % 256);
    return own;
  });
  return Buffer.from(bytes).toString("utf8");
}
