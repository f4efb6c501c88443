import { createHash } from "node:crypto";
import type { ModelAnswer, ModelDelta, ModelRequest, TokenUsage } from "@maru/contract";
import { type Assembler, createAssembler } from "./assembler.ts";
import { createBreaker } from "./breaker.ts";
import { createWatchdog, type ModelClock, systemClock } from "./clock.ts";
import { DIALECTS, type DialectName, dialectOf } from "./dialect.ts";
import { ModelError } from "./errors.ts";
import { createLocalSlots, createPacer, type UpstreamLimits, type UpstreamSlots } from "./pace.ts";
import { buildRequest, thinks, type WireRequest } from "./request.ts";
import { estimateRequestTokens } from "./tokens.ts";
import { openTransport, receive, send } from "./transport.ts";

export interface ModelTimeouts {
  /**
   * Until the first byte of the answer, from sending; default 290 s. Thinking may take minutes to the first visible word (measured: 60 to
   * 180 s). Node's own fetch gives a host 10 s to connect and 300 s to its headers, and gives up then; pass another `fetch`
   * for longer.
   */
  readonly firstByteMs: number;
  /** Silence between two pieces of the answer; default 90 s. */
  readonly idleMs: number;
}

export interface CompleteOptions {
  /** Aborting it aborts the call upstream too. */
  readonly signal: AbortSignal;
  /** Hears the answer as it is written. Once it heard anything, a broken call is not tried again. */
  readonly onDelta?: (delta: ModelDelta) => void;
  /**
   * Hears what an attempt used that gave neither an answer nor the error thrown: one that was aborted, or tried again.
   * With the answer's usage and `ModelError.usage`, the tokens of every attempt the host began to answer are told once.
   */
  readonly onAbandoned?: (usage: TokenUsage) => void;
  readonly timeouts?: Partial<ModelTimeouts>;
  /** Our count of the prompt's tokens, by default the plain estimate. */
  readonly promptTokens?: number;
  /** Another model may answer in its place: then this one is tried twice at most, and long waits are errors. */
  readonly impatient?: boolean;
}

export interface ModelClient {
  /** Whether a simulator answers, not the model. */
  readonly simulated: boolean;
  /**
   * One model step.
   * @throws ModelError when the host failed; the signal's own reason when that aborted
   */
  complete(request: ModelRequest, options: CompleteOptions): Promise<ModelAnswer>;
  /** Ends the calls in flight with an error; further ones fail at once. */
  close(): void;
}

export interface ModelClientOptions extends Partial<ModelTimeouts> {
  /** An OpenAI-compatible base URL, ending before `/chat/completions`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly simulated: boolean;
  /** By default `friendli` for Friendli and the simulator, `openai` for OpenAI, and `vllm` for any other host. */
  readonly dialect?: DialectName;
  /** Friendli's `X-Friendli-Team`. */
  readonly team?: string | null;
  /** False for a host that can't stream. */
  readonly stream?: boolean;
  /** The host's cap on one answer in tokens; null = the model's own. */
  readonly maxOutputTokens?: number | null;
  /** Names the host knows models by, where they are not the catalogue's: catalogue id → name. */
  readonly modelNames?: Readonly<Record<string, string>>;
  /** What the key may do, and where its calls are counted; by default unlimited, in this process alone. */
  readonly limits?: UpstreamLimits;
  readonly slots?: UpstreamSlots;
  /** Further attempts after the first, while nothing was shown. Default 4. */
  readonly maxRetries?: number;
  /** How a pause before another attempt is waited out; by default by the clock. */
  readonly sleep?: ModelClock["sleep"];
  readonly fetch?: typeof globalThis.fetch;
  readonly clock?: ModelClock;
  /** From 0 up to 1, for jitter. */
  readonly random?: () => number;
  /** Ids for calls the host gave none. */
  readonly newCallId?: () => string;
}

// Friendli's own policy (x-speakeasy-retries in its OpenAPI document): 500 ms, times 1.5, up to 60 s.
const RETRY_FIRST_MS = 500;
const RETRY_FACTOR = 1.5;
const RETRY_MAX_MS = 60_000;
// Below fetch's own 300 s, so that the error is ours.
const FIRST_BYTE_MS = 290_000;
const IDLE_MS = 90_000;
/** What an impatient call puts up with. */
const IMPATIENT_RETRIES = 1;
const IMPATIENT_WAIT_MS = 2_000;
const UNLIMITED: UpstreamLimits = { callsPerMinute: null, inFlight: null };

/**
 * A client of one OpenAI-compatible host. Keep one per host: it holds the connections. Retries are our own, since only we
 * know what was shown; hosts have no idempotency key, so a retry may be billed twice (`onAbandoned`).
 */
export function createModelClient(options: ModelClientOptions): ModelClient {
  const { maxRetries = 4, clock = systemClock, sleep = clock.sleep, random = Math.random, newCallId } = options;
  const { firstByteMs = FIRST_BYTE_MS, idleMs = IDLE_MS } = options;
  const { stream = true, maxOutputTokens = null, modelNames = {} } = options;
  const dialect = DIALECTS[options.dialect ?? dialectOf(options.baseUrl, options.simulated)];
  const openai = openTransport({ ...options, team: options.team ?? null });
  const breaker = createBreaker({ clock });
  const pacer = createPacer({
    slots: options.slots ?? createLocalSlots(clock),
    key: keyOf(options),
    limits: options.limits ?? UNLIMITED,
    clock: { now: () => clock.now(), sleep },
    random,
  });
  const inFlight = new Set<AbortController>();
  let closed = false;

  const attempt = async (
    body: WireRequest,
    assembler: Assembler,
    maxTokens: number,
    timeouts: ModelTimeouts,
    life: AbortSignal,
    onDelta: (delta: ModelDelta) => void,
  ): Promise<ModelAnswer> => {
    const endTurn = await pacer.turn(life);
    const call = new AbortController();
    const abort = () => call.abort(life.reason);
    life.addEventListener("abort", abort, { once: true });
    let late = false;
    const watchdog = createWatchdog(clock, () => {
      late = true;
      call.abort();
    });
    let begun = false;
    let ended = false;
    try {
      watchdog.within(timeouts.firstByteMs);
      const response = await send(openai, body, clock, call.signal);
      begun = true;
      const onBytes = () => watchdog.within(timeouts.idleMs);
      await receive(response, { assembler, clock, maxTokens, onBytes, onDelta });
      ended = true;
      for (const delta of assembler.flush()) onDelta(delta);
      return assembler.end();
    } catch (error) {
      const failure =
        late && error instanceof ModelError
          ? new ModelError("model_timeout", "The model's host fell silent.", { retryable: true })
          : error;
      if (failure instanceof ModelError && begun) failure.usage = assembler.usage();
      if (failure instanceof ModelError && failure.retryAfterMs !== undefined) pacer.pause(failure.retryAfterMs);
      throw failure;
    } finally {
      endTurn();
      watchdog.stop();
      life.removeEventListener("abort", abort);
      if (!ended) call.abort();
    }
  };

  return {
    simulated: options.simulated,

    async complete(request, options) {
      const { signal, onDelta, onAbandoned = () => {}, timeouts, impatient = false } = options;
      signal.throwIfAborted();
      if (closed) throw closedError();
      const life = new AbortController();
      const abort = () => life.abort(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      inFlight.add(life);
      const promptTokens = options.promptTokens ?? estimateRequestTokens(request);
      const body = buildRequest(request, dialect, {
        promptTokens,
        stream,
        hostMaxOutputTokens: maxOutputTokens,
        upstreamModel: modelNames[request.model.id] ?? null,
      });
      const asked = {
        thinking: thinks(request),
        exactReasoning: request.model.thinking.history === "preserved",
        toolNames: request.tools.map(({ name }) => name),
        promptTokens,
        ...(newCallId === undefined ? {} : { newCallId }),
      };
      const limits = { firstByteMs, idleMs, ...timeouts };
      const retries = impatient ? Math.min(IMPATIENT_RETRIES, maxRetries) : maxRetries;
      const longestMs = impatient ? IMPATIENT_WAIT_MS : RETRY_MAX_MS;
      let shown = false;
      const show = (delta: ModelDelta) => {
        // The host may have sent more in one piece than was read before the abort.
        if (onDelta === undefined || life.signal.aborted) return;
        shown = true;
        onDelta(delta);
      };
      const pause = (ms: number) =>
        sleep(ms, life.signal).catch((reason: unknown) => {
          throw life.signal.aborted ? life.signal.reason : reason;
        });
      try {
        for (let waits = 0; ; waits++) {
          const openMs = breaker.waitMs();
          if (openMs === 0) break;
          if (openMs > longestMs || waits >= retries) throw circuitOpen(openMs);
          await pause(openMs);
        }
        for (let tries = 0; ; tries++) {
          try {
            const answer = await attempt(
              body,
              createAssembler(asked),
              request.maxOutputTokens,
              limits,
              life.signal,
              show,
            );
            breaker.succeeded();
            return answer;
          } catch (error) {
            const used = error instanceof ModelError ? error.usage : undefined;
            if (life.signal.aborted) {
              breaker.undecided();
              if (used !== undefined) onAbandoned(used);
              throw life.signal.reason;
            }
            const wait = error instanceof ModelError && error.retryable ? waitBefore(tries, error, longestMs) : null;
            // What was shown can't be taken back, and another attempt would write other words after it.
            if (wait === null || shown || tries >= retries) {
              if (error instanceof ModelError && HOST_DOWN.has(error.code)) breaker.failed();
              else breaker.undecided();
              throw error;
            }
            if (used !== undefined) onAbandoned(used);
            await pause(wait);
          }
        }
      } finally {
        inFlight.delete(life);
        signal.removeEventListener("abort", abort);
      }
    },

    close() {
      closed = true;
      for (const life of inFlight) life.abort(closedError());
    },
  };

  /** Never sooner than the host asked for; null when that is longer than a call can wait. */
  function waitBefore(tries: number, { retryAfterMs }: ModelError, longestMs: number): number | null {
    if (retryAfterMs !== undefined && retryAfterMs > longestMs) return null;
    const backoff = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * RETRY_FACTOR ** tries);
    return Math.max(retryAfterMs ?? 0, backoff * (0.5 + random() / 2));
  }
}

/** Failures that say the host is in trouble, not the request. */
const HOST_DOWN: ReadonlySet<string> = new Set(["upstream_unavailable", "model_timeout", "stream_interrupted"]);

/** One key and team are one account at the host, whatever the model. Hashed: it names rows and keys in shared stores. */
const keyOf = ({ baseUrl, apiKey, team = null }: ModelClientOptions): string =>
  createHash("sha256")
    .update(JSON.stringify([new URL(baseUrl).origin, apiKey, team]))
    .digest("hex")
    .slice(0, 32);

const circuitOpen = (ms: number) =>
  new ModelError(
    "upstream_unavailable",
    "The model's host failed several calls in a row; it is left alone for a while.",
    {
      retryable: true,
      retryAfterMs: ms,
    },
  );
const closedError = () => new ModelError("upstream_unavailable", "The model client was closed.", { retryable: false });
