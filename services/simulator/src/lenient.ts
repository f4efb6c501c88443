import { deeperThan } from "./python-json.ts";
import { isObject, type Json, MAX_SCHEMA_DEPTH } from "./validation-error.ts";
import type { DialectName, Versions } from "./wire/dialect.ts";

/**
 * A body as Friendli's schema wants it, made from what the more tolerant hosts take: the `developer` role, contents in
 * parts, other keys in tools, `max_completion_tokens`, one stop string. Reasoning is kept only under the names the host
 * reads: the others it drops without a word.
 */
export function lenient(body: unknown, dialect: DialectName, versions: Versions): unknown {
  if (!isObject(body)) return body;
  const names = reasoningNames(dialect, versions);
  return {
    ...body,
    messages: Array.isArray(body.messages) ? body.messages.map((one) => message(one, names)) : body.messages,
    tools: Array.isArray(body.tools) ? body.tools.map(tool) : body.tools,
    max_tokens: body.max_tokens ?? body.max_completion_tokens,
    stop: typeof body.stop === "string" ? [body.stop] : body.stop,
  };
}

function reasoningNames(dialect: DialectName, versions: Versions): readonly string[] {
  if (dialect === "vllm") return versions.vllm.reasoningInputNames;
  return dialect === "openai" ? [] : ["reasoning_content"];
}

function message(value: unknown, names: readonly string[]): unknown {
  if (!isObject(value)) return value;
  const { reasoning, reasoning_content, ...rest } = value;
  const kept = Object.entries({ reasoning, reasoning_content }).filter(
    ([name, text]) => names.includes(name) && text !== undefined,
  );
  return {
    ...rest,
    ...Object.fromEntries(kept),
    role: value.role === "developer" ? "system" : value.role,
    content: Array.isArray(value.content) ? joined(value.content) : value.content,
    ...(Array.isArray(value.tool_calls) ? { tool_calls: value.tool_calls.map(call) } : {}),
  };
}

function joined(parts: readonly unknown[]): unknown {
  const texts = parts.map((part) => (isObject(part) && typeof part.text === "string" ? part.text : null));
  return texts.includes(null) ? parts : texts.join("\n");
}

/** Arguments of a recorded call may be an object, nothing or text; the template gets text. */
function call(value: unknown): unknown {
  if (!isObject(value) || !isObject(value.function)) return value;
  const args = value.function.arguments ?? "{}";
  if (deeperThan(args, MAX_SCHEMA_DEPTH)) return value;
  const text = typeof args === "string" ? args : JSON.stringify(args);
  return { ...value, id: value.id ?? "", function: { ...value.function, arguments: text } };
}

function tool(value: unknown): unknown {
  if (!isObject(value) || !isObject(value.function)) return value;
  const { name, description, parameters } = value.function as Json;
  return {
    type: value.type ?? "function",
    function: {
      name,
      ...(description === undefined ? {} : { description }),
      parameters: parameters ?? { type: "object", properties: {} },
    },
  };
}
