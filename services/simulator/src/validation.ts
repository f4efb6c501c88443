import { deeperThan } from "./python-json.ts";
import type { ChatRequest, ResponseFormat } from "./request.ts";
import {
  type Fail,
  isObject,
  type Json,
  type Loc,
  MAX_SCHEMA_DEPTH,
  type ValidationError,
} from "./validation-error.ts";
import { readMessages } from "./validation-messages.ts";
import { readToolChoice, readTools } from "./validation-tools.ts";

/** Errors listed at most: a body of a million wrong messages gets a short answer. */
const MAX_ERRORS = 32;

/**
 * Reads a chat completion body as strictly as Friendli's schema: no `developer` role, tool results as plain strings,
 * `parameters` required, no unknown keys in a tool, `tools` never with `response_format` or `min_tokens`. Unknown keys
 * at the top are ignored, as its SDK users rely on. `parseReasoning` is the endpoint's default for `parse_reasoning`.
 * Hosts that are not `strict` take `tools` with `response_format`; see `lenient` for the rest of what they take.
 */
export function readChatRequest(
  body: unknown,
  parseReasoning: boolean,
  strict = true,
): { readonly request: ChatRequest } | { readonly errors: readonly ValidationError[] } {
  const errors: ValidationError[] = [];
  const fail = (loc: Loc, type: string, msg: string): void => {
    if (errors.length < MAX_ERRORS) errors.push({ type, loc: ["body", ...loc], msg });
  };
  if (!isObject(body)) {
    fail([], "model_attributes_type", "Input should be a valid dictionary or object to extract fields from");
    return { errors };
  }

  const model = body.model;
  if (model === undefined) fail(["model"], "missing", "Field required");
  else if (typeof model !== "string") fail(["model"], "string_type", "Input should be a valid string");

  const messages = readMessages(body.messages, fail);
  const tools = readTools(body.tools, fail);
  const toolChoice = readToolChoice(body.tool_choice, tools, fail);
  const responseFormat = readResponseFormat(body.response_format, fail);

  if (strict && tools.length > 0 && given(body, "response_format")) {
    fail(["response_format"], "value_error", "Value error, response_format can not be used with tools");
  }
  if (tools.length > 0 && given(body, "min_tokens")) {
    fail(["min_tokens"], "value_error", "Value error, min_tokens can not be used with tools");
  }
  if (given(body, "response_format") && given(body, "min_tokens")) {
    fail(["min_tokens"], "value_error", "Value error, min_tokens can not be used with response_format");
  }

  const flag = (name: string, fallback: boolean): boolean => {
    const value = body[name];
    if (value === undefined || value === null) return fallback;
    if (typeof value !== "boolean") fail([name], "bool_type", "Input should be a valid boolean");
    return value === true;
  };
  const number = (name: string, min: number, max: number, whole: boolean): number | null => {
    const value = body[name];
    if (value === undefined || value === null) return null;
    if (typeof value !== "number" || (whole && !Number.isInteger(value))) {
      fail([name], whole ? "int_type" : "float_type", `Input should be a valid ${whole ? "integer" : "number"}`);
    } else if (value < min || value > max) {
      fail([name], "value_error", `Value error, ${name} should be between ${min} and ${max}`);
    } else return value;
    return null;
  };
  const maxTokens = number("max_tokens", 1, Number.MAX_SAFE_INTEGER, true);
  number("temperature", 0, 2, false);
  number("top_p", 0, 1, false);
  number("presence_penalty", -2, 2, false);
  number("frequency_penalty", -2, 2, false);
  number("min_tokens", 0, Number.MAX_SAFE_INTEGER, true);
  number("n", 1, 1, true);

  const stream = flag("stream", false);
  const streamOptions = body.stream_options ?? null;
  if (streamOptions !== null && !isObject(streamOptions)) {
    fail(["stream_options"], "model_type", "Input should be a valid object");
  } else if (streamOptions !== null && !stream) {
    fail(["stream_options"], "value_error", "Value error, stream_options is only allowed when stream is true");
  }

  const request: ChatRequest = {
    model: typeof model === "string" ? model : "",
    messages,
    tools,
    toolChoice,
    parallelToolCalls: flag("parallel_tool_calls", true),
    responseFormat,
    maxTokens,
    stop: readStop(body.stop, fail),
    seed: readSeed(body.seed, fail),
    stream,
    includeUsage: isObject(streamOptions) && streamOptions.include_usage === true,
    ...readThinking(body.chat_template_kwargs, fail),
    parseReasoning: flag("parse_reasoning", parseReasoning),
    includeReasoning: flag("include_reasoning", true),
  };
  return errors.length > 0 ? { errors } : { request };
}

function given(body: Json, name: string): boolean {
  return body[name] !== undefined && body[name] !== null;
}

function readResponseFormat(value: unknown, fail: Fail): ResponseFormat {
  if (value === undefined || value === null) return { type: "text" };
  const type = isObject(value) ? value.type : undefined;
  if (type === "text" || type === "json_object") return { type };
  if (type === "json_schema" && isObject(value)) {
    const holder = value.json_schema;
    const schema = isObject(holder) ? holder.schema : undefined;
    if (!isObject(schema)) fail(["response_format", "json_schema", "schema"], "missing", "Field required");
    else if (deeperThan(schema, MAX_SCHEMA_DEPTH)) {
      fail(["response_format", "json_schema", "schema"], "value_error", "Value error, the schema is nested too deeply");
    } else return { type, schema };
  } else if (type === "regex") {
    fail(["response_format", "type"], "value_error", "Value error, the simulator does not write text for a regex");
  } else
    fail(
      ["response_format", "type"],
      "literal_error",
      "Input should be 'text', 'json_object', 'json_schema' or 'regex'",
    );
  return { type: "text" };
}

function readStop(value: unknown, fail: Fail): string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string"))
    return value.filter((item) => item !== "");
  fail(["stop"], "list_type", "Input should be a valid list of strings");
  return [];
}

function readSeed(value: unknown, fail: Fail): string {
  if (value === undefined || value === null) return "";
  const list = Array.isArray(value) ? value : [value];
  if (list.every((item) => Number.isInteger(item))) return list.join(",");
  fail(["seed"], "int_type", "Input should be a valid integer");
  return "";
}

/** K-EXAONE thinks unless told not to. */
function readThinking(value: unknown, fail: Fail): Pick<ChatRequest, "thinking" | "kwargs"> {
  if (value === undefined || value === null) return { thinking: true };
  if (!isObject(value)) {
    fail(["chat_template_kwargs"], "dict_type", "Input should be a valid dictionary");
    return { thinking: true };
  }
  const flag = (name: string): boolean | undefined => {
    const given = value[name] ?? undefined;
    if (given === undefined || typeof given === "boolean") return given;
    fail(["chat_template_kwargs", name], "bool_type", "Input should be a valid boolean");
    return undefined;
  };
  const kwargs = { thinking: flag("thinking"), enable_thinking: flag("enable_thinking") };
  return { thinking: kwargs.enable_thinking !== false, kwargs };
}
