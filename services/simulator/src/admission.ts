import type { ChatCall, ChatDeps } from "./call.ts";
import { type Prompt, readPrompt } from "./completion.ts";
import { lenient } from "./lenient.ts";
import type { Host } from "./options.ts";
import { parseJson } from "./python-json.ts";
import type { Refusal } from "./refusal.ts";
import type { ChatRequest } from "./request.ts";
import { adaptiveRefusal } from "./request-window.ts";
import { readChatRequest } from "./validation.ts";
import type { ValidationError } from "./validation-error.ts";
import type { Dialect } from "./wire/dialect.ts";

/** Reads the body, as strictly as the dialect's host does. */
export function readCall(host: Host, { body: text, dialect }: ChatCall): { readonly request: ChatRequest } | Refusal {
  const body = parseJson(text);
  const invalid = (errors: readonly ValidationError[]): Refusal =>
    dialect.strict
      ? { status: 422, body: { detail: errors } }
      : {
          status: 400,
          body: dialect.errorBody(400, errors.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; ")),
        };
  if (body === undefined) return invalid([{ type: "json_invalid", loc: ["body", 0], msg: "JSON decode error" }]);
  const given = dialect.strict ? body : lenient(body, dialect.name, host.versions);
  const read = readChatRequest(given, host.parseReasoning, dialect.strict);
  if ("errors" in read) return invalid(read.errors);
  const stray = host.matchToolCallIds ? strayResult(read.request) : -1;
  if (stray < 0) return read;
  const msg = "Value error, tool_call_id matches no call of the assistant message before it";
  return invalid([{ type: "value_error", loc: ["body", "messages", stray, "tool_call_id"], msg }]);
}

/** The first result whose id no earlier call has; -1 when there is none. */
function strayResult({ messages }: ChatRequest): number {
  const ids = new Set<string>();
  return messages.findIndex((message) => {
    if (message.role === "assistant") for (const { id } of message.calls) ids.add(id);
    return message.role === "tool" && !ids.has(message.toolCallId);
  });
}

/** The prompt of a model that is served and has room for an answer. */
export function promptOf(host: Host, dialect: Dialect, request: ChatRequest): Prompt | Refusal {
  const model = host.models.find(({ id }) => id === request.model);
  if (model === undefined) {
    const message = `The model ${request.model.slice(0, 200)} does not exist.`;
    return { status: 404, body: dialect.errorBody(404, message) };
  }
  const prompt = readPrompt(request, model, host.hostCap, host.seed);
  if (prompt !== null) return prompt;
  const message = `This model's maximum context length is ${model.contextTokens} tokens, the messages are longer.`;
  return { status: 400, body: dialect.errorBody(400, message, "context_length_exceeded") };
}

/** Requests are counted for the team where one is named, across all models. */
export function overLimit({ host, state, now }: ChatDeps, call: ChatCall, digest: string): Refusal | null {
  const { requestsPerMinute, adaptive, retryAfter } = host.limits;
  const waitSeconds =
    requestsPerMinute !== null
      ? state.window.refuses(call.team ?? call.key, requestsPerMinute, now().getTime())
      : adaptive && adaptiveRefusal(digest) && state.tries.within(`${digest} adaptive`, 1)
        ? 1
        : null;
  if (waitSeconds === null) return null;
  return {
    status: 429,
    body: call.dialect.errorBody(429, "Too many requests."),
    ...(retryAfter ? { headers: { "retry-after": String(waitSeconds) } } : {}),
  };
}
