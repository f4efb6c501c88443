import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { CONTEXT_TOKENS, MODEL_ID, modelList } from "./catalogue.ts";
import { type Completion, createCompleter } from "./completion.ts";
import { demoApi } from "./demo-api.ts";
import { createForcedErrors } from "./forced-errors.ts";
import { errorBody } from "./http-error.ts";
import { type Latency, type Pace, paceOf, scheduleOf, writePaced } from "./pacing.ts";
import { parseJson } from "./python-json.ts";
import type { ChatRequest } from "./request.ts";
import { numbersFrom } from "./seeded.ts";
import { readChatRequest } from "./validation.ts";
import { completionBody, type Envelope, slicer, streamEvents } from "./wire/envelope.ts";
import { friendli } from "./wire/friendli.ts";

export interface SimulatorOptions {
  /** Part of every id and chunk size; another seed gives other bytes, the same seed the same. Default "0". */
  readonly seed?: string | number;
  /** Bearer tokens that are let in; without the option every call is. */
  readonly apiKeys?: readonly string[];
  /** Latency to start with; all zero by default. */
  readonly latency?: Partial<Latency>;
  /** Source of `created` and of the model's "today". */
  readonly clock?: { now(): Date };
  /** The host's cap on one answer, in tokens; 16,384 by default, as on the middle tiers. */
  readonly maxOutputTokens?: number;
  /** The endpoint's default for `parse_reasoning`, which differs between endpoints of the real host. Default true. */
  readonly parseReasoning?: boolean;
  /** Told of errors that are the simulator's own fault. */
  readonly onError?: (error: unknown) => void;
}

export interface Simulator {
  /** Starts to listen; port 0 takes a free one. */
  listen(address: { readonly host?: string; readonly port: number }): Promise<{ readonly url: string }>;
  /** Stops at once: calls still being answered are cut. */
  close(): Promise<void>;
  /** Latency of calls that start from now on. */
  readonly settings: Latency;
  /** Chat completion calls received so far, refused ones included. */
  calls(): number;
}

/** Bodies larger than this are refused with 413: 8 MiB. */
const BODY_LIMIT = 8 * 1_024 * 1_024;
const JSON_TYPE = "application/json; charset=utf-8";
const SSE_HEADERS = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };

/** An offline K-EXAONE endpoint with the wire of an OpenAI-compatible host; see the package's README. */
export function createSimulator(options: SimulatorOptions = {}): Simulator {
  const settings: Latency = { callMs: 0, firstByteMs: 0, tokensPerSecond: 0, writeIntervalMs: 15, ...options.latency };
  const maxOutputTokens = options.maxOutputTokens ?? 16_384;
  const complete = createCompleter({
    seed: String(options.seed ?? "0"),
    dialect: friendli,
    maxOutputTokens,
    clock: options.clock ?? { now: () => new Date() },
  });
  const forcedErrors = createForcedErrors();
  const allowed = options.apiKeys === undefined ? null : new Set(options.apiKeys);
  const app = createServer(options.onError ?? (() => {}));
  let calls = 0;

  const answer = (http: FastifyRequest, reply: FastifyReply): FastifyReply => {
    calls++;
    reply.type(JSON_TYPE);
    const key = /^Bearer (.+)$/i.exec(http.headers.authorization ?? "")?.[1] ?? "";
    if (allowed !== null && !allowed.has(key))
      return reply.code(401).send(errorBody(401, "Invalid or missing API key."));
    const body = typeof http.body === "string" ? parseJson(http.body) : null;
    if (body === undefined) {
      return reply.code(422).send({ detail: [{ type: "json_invalid", loc: ["body", 0], msg: "JSON decode error" }] });
    }
    const read = readChatRequest(body, options.parseReasoning ?? true);
    if ("errors" in read) return reply.code(422).send({ detail: read.errors });
    const { request } = read;
    if (request.model !== MODEL_ID)
      return reply.code(404).send(errorBody(404, `The model ${request.model.slice(0, 200)} does not exist.`));
    const completion = complete(request, key);
    if (completion === null) {
      const message = `This model's maximum context length is ${CONTEXT_TOKENS} tokens, the messages are longer.`;
      return reply.code(400).send(errorBody(400, message, "context_length_exceeded"));
    }
    const forced = forcedErrors(completion.digest, completion.directives.error);
    if (forced !== null) {
      if (forced.retryAfterSeconds !== null) reply.header("retry-after", String(forced.retryAfterSeconds));
      return reply.code(forced.status).send(errorBody(forced.status, `Forced by #sim error ${forced.status}.`));
    }
    const pace = paceOf(settings, completion.usage.completion_tokens, completion.directives.slowMs);
    return send(reply, request, completion, pace, settings.writeIntervalMs);
  };

  for (const prefix of ["", "/serverless"]) {
    app.post(`${prefix}/v1/chat/completions`, answer);
    app.get(`${prefix}/v1/models`, async () => modelList(maxOutputTokens));
  }
  app.get("/health", async () => ({ status: "ok" }));
  app.register(demoApi);

  return {
    settings,
    calls: () => calls,
    async listen({ host = "127.0.0.1", port }) {
      return { url: await app.listen({ host, port }) };
    },
    close: () => app.close(),
  };
}

function send(
  reply: FastifyReply,
  request: ChatRequest,
  completion: Completion,
  pace: Pace,
  intervalMs: number,
): FastifyReply {
  const { digest, created, message, finish, usage } = completion;
  const envelope: Envelope = { id: `chatcmpl-${digest.slice(0, 24)}`, created, model: request.model };
  if (!request.stream) {
    const body = completionBody(envelope, message, finish, usage);
    if (pace.lastMs === 0) return reply.send(body);
    reply.hijack();
    writePaced(reply.raw, { "content-type": JSON_TYPE, "content-length": String(Buffer.byteLength(body)) }, [
      { atMs: pace.lastMs, text: body },
    ]);
    return reply;
  }
  const deltas = friendli.deltas(message, slicer(numbersFrom(digest)));
  const events = streamEvents(envelope, deltas, finish, request.includeUsage ? usage : null);
  // Without latency the whole stream is one write: benches measure the platform, not this process's system calls.
  if (pace.lastMs === 0) return reply.headers(SSE_HEADERS).send(events.join(""));
  reply.hijack();
  writePaced(reply.raw, SSE_HEADERS, scheduleOf(events, pace, intervalMs));
  return reply;
}

function createServer(onError: (error: unknown) => void): FastifyInstance {
  const app = Fastify({ bodyLimit: BODY_LIMIT, forceCloseConnections: true, logger: false });
  // The body is taken as text whatever it calls itself, so that bad JSON gets the host's 422 and not Fastify's 400.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ detail: "Not Found" }));
  app.setErrorHandler((error: { statusCode?: number; message: string }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) onError(error);
    return reply
      .code(status)
      .type(JSON_TYPE)
      .send(errorBody(status, status >= 500 ? "Internal error" : error.message));
  });
  return app;
}
