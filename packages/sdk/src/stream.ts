import { ConnectionError, StreamLost } from "./errors.ts";
import type { CreateRunBody, DeltaEvent, Operations, ProgressEvent, SnapshotEvent } from "./generated.ts";
import type { CallOptions } from "./options.ts";
import { isPassing, pause, retryDelayMs } from "./retry.ts";
import { readEvents } from "./sse.ts";
import { createTextKeeper } from "./text.ts";
import { newKey, type Transport } from "./transport.ts";

/** What a run tells: durable events, which have a `seq`, and between them the text as it is written. */
export type RunEvent = NonNullable<Operations["listRunEvents"]["event"]>;
export type DurableEvent = Exclude<RunEvent, DeltaEvent | SnapshotEvent | ProgressEvent>;

export interface StreamOptions extends CallOptions {
  /** The last event that is known already; what comes after it is told. 0, the beginning, unless told. */
  readonly afterSeq?: number | undefined;
  /** How often in a row the stream may be asked for in vain before it is given up, 20 unless told. */
  readonly reconnects?: number | undefined;
  /** Milliseconds of silence after which a connection is taken for dead, 45,000 unless told: three heartbeats of a gateway. */
  readonly silenceMs?: number | undefined;
}

/** About a minute: longer than a gateway takes to be back. */
export const RECONNECTS = 20;
const SILENCE_MS = 45_000;

/**
 * A run's events to its end, whatever becomes of connections and gateways meanwhile: each durable event once and in order, and
 * deltas that add up to the text. A run that is not there yet is made, once, by the same key however often it is asked for.
 * @throws MaruError, StreamLost, and the signal's reason
 */
export async function* readRun(
  transport: Transport,
  source: CreateRunBody | string,
  options: StreamOptions,
): AsyncGenerator<RunEvent, void> {
  const { reconnects = RECONNECTS, silenceMs = SILENCE_MS, afterSeq, idempotencyKey, ...call } = options;
  const key = idempotencyKey ?? newKey();
  const keeper = createTextKeeper();
  let runId = typeof source === "string" ? source : null;
  let last = afterSeq ?? 0;
  let failures = 0;

  const connect = (first: boolean): Promise<Response> => {
    const again = first ? {} : { retries: 0 };
    const headers = { ...call.headers, accept: "text/event-stream" };
    if (runId === null)
      return transport.request("createRun", {
        ...call,
        ...again,
        idempotencyKey: key,
        headers,
        body: source as CreateRunBody,
      });
    return transport.request("listRunEvents", {
      ...call,
      ...again,
      headers: { ...headers, "last-event-id": String(last) },
      params: { run: runId },
    });
  };

  for (let first = true; ; first = false) {
    let connected = false;
    let lost: unknown;
    try {
      const response = await connect(first);
      connected = true;
      if (response.status === 204) return;
      runId ??= response.headers.get("location")?.split("/").at(-1) ?? null;
      const context = { operation: "listRunEvents", requestId: response.headers.get("x-request-id") } as const;
      for await (const event of readEvents<RunEvent>(response, silenceMs, context)) {
        failures = 0;
        if (event === null) continue;
        runId = event.run_id;
        if ("seq" in event) {
          if (event.seq <= last) continue;
          if (event.seq > last + 1) throw new ConnectionError("The stream left an event out", context);
          last = event.seq;
        }
        yield* keeper.tell(event);
        if ("run" in event) return;
      }
      lost = new ConnectionError("The stream ended before the run did", context);
    } catch (error) {
      call.signal?.throwIfAborted();
      // One that cannot even begin has been tried as often as any call.
      if (!isPassing(error) || (first && !connected)) throw error;
      lost = error;
    }
    if (++failures > reconnects) {
      const about = { runId, lastSeq: last, cause: lost };
      throw new StreamLost(
        `The stream of ${runId ?? "the run"} broke ${failures} times in a row`,
        { operation: "listRunEvents", requestId: null },
        about,
      );
    }
    const delay = retryDelayMs(lost, failures - 1);
    if (delay === null) throw lost;
    await pause(delay, call.signal);
  }
}
