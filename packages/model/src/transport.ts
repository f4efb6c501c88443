import type { ModelDelta } from "@maru/contract";
import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from "openai";
import type { ChatCompletionCreateParams } from "openai/resources/chat/completions";
import type { Assembler } from "./assembler.ts";
import type { ModelClock } from "./clock.ts";
import { envelopeError, ModelError, statusError } from "./errors.ts";
import { isObject } from "./json.ts";
import type { WireRequest } from "./request.ts";
import { createSseSplitter, type SseEvent } from "./sse.ts";
import type { WireChunk } from "./wire.ts";

/**
 * More than any answer of so many tokens, each in a verbose chunk of its own: a host that sends on and on would otherwise fill
 * the memory.
 */
const bodyLimit = (maxTokens: number): number => Math.min(67_108_864, 1_048_576 + maxTokens * 2_048);
/** Of a refusal's body; what is told of it is one sentence. */
const MAX_REFUSAL_BYTES = 64 * 1024;
/** A refusal nested deeper than this is none that anyone wrote, and the SDK can't write it down for its message. */
const MAX_REFUSAL_DEPTH = 100;
/** How long the rest of a body may take once `[DONE]` was read. */
const DRAIN_MS = 1_000;
const LONGEST_TIMEOUT_MS = 2_147_483_647;

export interface TransportOptions {
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly team: string | null;
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * The official SDK does URL, headers and sending; its retries, timeouts, logs and settings from the environment are off.
 * Its stream reader is not used: it cancels the body at `[DONE]`, which costs the connection wherever the end of the body
 * comes in a packet of its own, and it ends quietly when aborted.
 */
export function openTransport({ baseUrl, apiKey, team, fetch }: TransportOptions): OpenAI {
  return new OpenAI({
    baseURL: baseUrl,
    apiKey,
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: LONGEST_TIMEOUT_MS,
    logLevel: "off",
    // The SDK reads a refusal itself, whole.
    fetch: async (...request) => {
      const response = await (fetch ?? globalThis.fetch)(...request);
      return response.ok ? response : Object.defineProperty(response, "text", { value: () => refusalText(response) });
    },
    ...(team === null ? {} : { defaultHeaders: { "X-Friendli-Team": team } }),
  });
}

async function refusalText(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  while (bytes < MAX_REFUSAL_BYTES) {
    const { value, done } = await reader.read();
    if (done) break;
    const piece = value.subarray(0, MAX_REFUSAL_BYTES - bytes);
    bytes += piece.byteLength;
    text += decoder.decode(piece, { stream: true });
  }
  void reader.cancel().catch(() => {});
  let depth = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === "[" || bracket === "{" ? 1 : -1;
    if (depth > MAX_REFUSAL_DEPTH) return "";
  }
  return text;
}

/**
 * Sends a request. Resolves when the host has begun to answer with success.
 * @throws ModelError for a refusal, and for a host that can't be reached or when `signal` aborts
 */
export async function send(
  openai: OpenAI,
  request: WireRequest,
  clock: ModelClock,
  signal: AbortSignal,
): Promise<Response> {
  try {
    // The SDK's types know OpenAI's fields and values alone.
    const body = request as ChatCompletionCreateParams;
    return await openai.chat.completions.create(body, { signal }).asResponse();
  } catch (error) {
    if (error instanceof APIConnectionTimeoutError)
      throw new ModelError("model_timeout", "The model's host did not answer in time.", { retryable: true });
    if (error instanceof APIError && error.status !== undefined) {
      const body = error.error ?? error.message.replace(/^\d{3} (?:status code \(no body\))?/, "");
      throw statusError(error.status, body, error.headers?.get("retry-after") ?? null, clock.now());
    }
    if (error instanceof APIConnectionError || signal.aborted)
      throw new ModelError("upstream_unavailable", "The model's host could not be reached.", { retryable: true });
    throw error;
  }
}

export interface Reading {
  readonly assembler: Assembler;
  /** The most tokens the answer was allowed. */
  readonly maxTokens: number;
  readonly clock: ModelClock;
  readonly onDelta: (delta: ModelDelta) => void;
  /** Called for every piece of the body. */
  readonly onBytes: () => void;
}

/**
 * Reads a reply into the assembler. The body's end without `[DONE]` is a success once the host said why it finished.
 * @throws ModelError for an error envelope and for a broken stream
 */
export async function receive(response: Response, reading: Reading): Promise<void> {
  const { assembler, clock, maxTokens, onBytes, onDelta } = reading;
  const maxBytes = bodyLimit(maxTokens);
  const reader = response.body?.getReader();
  if (reader === undefined) throw interrupted();
  const decoder = new TextDecoder();
  const streamed = !/^application\/(?:[\w.-]+\+)?json/i.test(response.headers.get("content-type") ?? "");
  const splitter = createSseSplitter();
  let body = "";
  let bytes = 0;

  /** True at `[DONE]`. */
  const take = (events: readonly SseEvent[]): boolean => {
    for (const { event, data } of events) {
      if (data.trim() === "[DONE]") return true;
      if (data === "") continue;
      takePiece(event, data);
    }
    return false;
  };
  const takePiece = (event: string, data: string): void => {
    const piece = parsed(data);
    // What comes after the answer's end can't make it worse: a mangled usage chunk, a late complaint.
    const error = envelopeError(event, piece ?? data, clock.now());
    if (error !== null && !assembler.finished()) throw error;
    if (!isObject(piece)) {
      if (!assembler.finished()) throw interrupted();
    } else if (error === null) for (const delta of assembler.push(piece as WireChunk)) onDelta(delta);
  };

  let done = false;
  try {
    while (!done) {
      const { value, done: ended } = await read(reader);
      onBytes();
      if (ended) {
        const rest = decoder.decode();
        if (streamed) take([...splitter.push(rest), ...splitter.end()]);
        else if (body + rest !== "") takePiece("", body + rest);
        break;
      }
      bytes += value.byteLength;
      if (bytes > maxBytes)
        throw new ModelError("stream_interrupted", "The model's host sent more than any answer has.", {
          retryable: false,
        });
      const text = decoder.decode(value, { stream: true });
      if (streamed) done = take(splitter.push(text));
      else body += text;
    }
    if (!assembler.finished()) throw interrupted();
    if (done) void drain(reader, clock);
  } catch (error) {
    // Unread, the body would hold its connection for good.
    void reader.cancel().catch(() => {});
    throw error;
  }
}

const interrupted = () =>
  new ModelError("stream_interrupted", "The model's host closed the stream before the answer was whole.", {
    retryable: true,
  });

type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

async function read(reader: Reader) {
  try {
    return await reader.read();
  } catch {
    throw new ModelError("stream_interrupted", "The connection to the model's host broke.", { retryable: true });
  }
}

/** Reads a body to its end, so that its connection can carry the next call; gives it up when that takes long. */
async function drain(reader: Reader, clock: ModelClock): Promise<void> {
  const ended = new AbortController();
  clock.sleep(DRAIN_MS, ended.signal).then(
    () => reader.cancel().catch(() => {}),
    () => {},
  );
  try {
    while (!(await reader.read()).done);
  } catch {
    // The answer was whole already.
  } finally {
    ended.abort();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
