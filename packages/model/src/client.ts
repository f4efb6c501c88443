import type { ModelAnswer, ModelDelta, ModelRequest } from "@maru/contract";
import OpenAI, { APIConnectionError, APIError } from "openai";
import type { ChatCompletionChunk } from "openai/resources/chat/completions";
import type { Stream } from "openai/streaming";
import { createAssembler, type WireChunk } from "./assembler.ts";
import { ModelError, statusError } from "./errors.ts";
import { buildRequest, DIALECTS, type DialectName } from "./request.ts";
import { estimateRequestTokens } from "./tokens.ts";

export interface ModelClient {
  readonly simulated: boolean;
  /**
   * One model step. `onDelta` hears it as it is written.
   * @throws ModelError; and the signal's own reason when it aborts, which also aborts the call upstream
   */
  complete(
    request: ModelRequest,
    options: { signal: AbortSignal; onDelta?: (delta: ModelDelta) => void },
  ): Promise<ModelAnswer>;
}

export interface ModelClientOptions {
  /** An OpenAI-compatible base URL, ending before `/chat/completions`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly simulated: boolean;
  readonly dialect?: DialectName;
  readonly team?: string | null;
  /** Further attempts after the first, while nothing was shown. Default 4. */
  readonly maxRetries?: number;
  /** Thinking may take minutes before the first byte (measured: 60 to 180 s). Default 300 s. */
  readonly firstByteMs?: number;
  /** Silence between chunks. Default 90 s. */
  readonly idleMs?: number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random?: () => number;
}

const RETRY_FIRST_MS = 500;
const RETRY_FACTOR = 1.5;
const RETRY_MAX_MS = 60_000;

/** A client of one OpenAI-compatible host, over the official SDK; retries are our own, since only we know what was shown. */
export function createModelClient(options: ModelClientOptions): ModelClient {
  const { maxRetries = 4, firstByteMs = 300_000, idleMs = 90_000, random = Math.random, sleep = pause } = options;
  const dialect = DIALECTS[options.dialect ?? "friendli"];
  const openai = new OpenAI({
    baseURL: options.baseUrl,
    apiKey: options.apiKey,
    maxRetries: 0,
    timeout: firstByteMs,
    logLevel: "off",
    ...(options.team ? { defaultHeaders: { "X-Friendli-Team": options.team } } : {}),
  });

  const attempt = async (
    request: ModelRequest,
    signal: AbortSignal,
    onDelta: (delta: ModelDelta) => void,
  ): Promise<ModelAnswer> => {
    const call = new AbortController();
    const abort = () => call.abort(signal.reason);
    if (signal.aborted) throw signal.reason;
    signal.addEventListener("abort", abort, { once: true });
    let timer = setTimeout(() => call.abort(LATE), firstByteMs);
    const assembler = createAssembler({
      thinking: request.thinking,
      toolNames: request.tools.map(({ name }) => name),
      promptTokens: estimateRequestTokens(request),
    });
    try {
      const stream = (await openai.chat.completions.create(buildRequest(request, dialect), {
        signal: call.signal,
      })) as Stream<ChatCompletionChunk>;
      for await (const chunk of stream) {
        clearTimeout(timer);
        timer = setTimeout(() => call.abort(LATE), idleMs);
        for (const delta of assembler.push(chunk as unknown as WireChunk)) onDelta(delta);
      }
      // The SDK ends a stream quietly when its own signal aborts.
      if (call.signal.aborted) throw call.signal.reason;
      if (!assembler.finished())
        throw new ModelError("stream_interrupted", "The model's host closed the stream before the answer was whole.", {
          retryable: true,
        });
      return assembler.end();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (call.signal.reason === LATE)
        throw new ModelError("model_timeout", "The model's host fell silent.", { retryable: true });
      throw asModelError(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  };

  return {
    simulated: options.simulated,
    async complete(request, { signal, onDelta = () => {} }) {
      let shown = false;
      for (let tries = 0; ; tries++) {
        try {
          return await attempt(request, signal, (delta) => {
            shown = true;
            onDelta(delta);
          });
        } catch (error) {
          // What was shown can't be taken back, and a retry would write other words after it.
          if (!(error instanceof ModelError) || !error.retryable || shown || tries >= maxRetries) throw error;
          const backoff = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * RETRY_FACTOR ** tries);
          await sleep(
            error.retryAfterMs === null ? backoff * (0.5 + random() / 2) : Math.min(RETRY_MAX_MS, error.retryAfterMs),
            signal,
          );
        }
      }
    },
  };
}

const LATE = new Error("model call timed out");

function asModelError(error: unknown): ModelError {
  if (error instanceof ModelError) return error;
  if (error instanceof APIConnectionError)
    return new ModelError("upstream_unavailable", "The model's host could not be reached.", { retryable: true });
  if (error instanceof APIError) {
    // An error inside a stream that began with 200 has no HTTP status of its own, but often one in its body.
    const body = error.error as { status?: unknown; code?: unknown } | undefined;
    const inside = Number(body?.status ?? body?.code ?? 0);
    return statusError(
      error.status ?? (Number.isInteger(inside) && inside >= 400 ? inside : 500),
      body,
      error.headers?.get("retry-after") ?? null,
      Date.now(),
    );
  }
  return new ModelError("stream_interrupted", "The connection to the model's host broke.", { retryable: true });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal.addEventListener("abort", abort, { once: true });
  });
}
