import { type Answering, createAnswerer } from "./answers.ts";
import { TimeoutError } from "./errors.ts";
import type { CreateRunBody, ListRunEventsQuery, Operations, Resources, Run } from "./generated.ts";
import type { CallOptions } from "./options.ts";
import { type Pages, pages } from "./pages.ts";
import { type DurableEvent, type RunEvent, readRun, type StreamOptions } from "./stream.ts";
import type { Transport } from "./transport.ts";

/** A run to be started, or one that is there, and who answers what it asks. */
export type RunSource = string | (Answering & (CreateRunBody | { readonly run: string }));

export interface RunResult {
  /** As it ended. */
  readonly run: Run;
  /** Its output; empty when it has none. */
  readonly text: string;
}

/** A run's events as they come. It is read once, by `for await`, by `result`, or by the one after the other. */
export interface RunStream extends AsyncIterable<RunEvent> {
  /** Reads what is left to the end of the run. @throws MaruError, ConnectionError, and the signal's reason */
  result(): Promise<RunResult>;
}

export interface WaitOptions extends Omit<CallOptions, "timeoutMs"> {
  /** Milliseconds after which a `TimeoutError` is thrown; the run goes on. For ever unless told. */
  readonly timeoutMs?: number | undefined;
}

export interface RunOptions extends StreamOptions {
  /** Hears every event as it comes. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
}

export interface RunsResource extends Omit<Resources["runs"], "events"> {
  /** The run's durable events so far, from the first one or after `after_seq`. */
  events(
    run: string,
    query?: ListRunEventsQuery,
    options?: CallOptions,
  ): Pages<DurableEvent, Operations["listRunEvents"]["reply"]>;
  /**
   * The events of a run until its end; it begins when the first one is asked for. A connection that drops is made anew, to any gateway: no durable event is lost or comes twice,
   * and the deltas of a step add up to its text (where a step had to be written anew and came out differently, a `snapshot` takes the
   * place of what was told of it).
   */
  stream(source: RunSource, options?: StreamOptions): RunStream;
  /** Starts a run, answers what it asks, and resolves when it has ended, well or not: `run.status` says. */
  run(source: RunSource, options?: RunOptions): Promise<RunResult>;
  /** Waits for the end of a run, started here or there already. It answers nothing: a run that asks somebody waits for them. */
  wait(source: string | CreateRunBody, options?: WaitOptions): Promise<Run>;
}

/** The longest a gateway lets a call wait. */
const LONGEST_PREFERRED_S = 60;

export function runsResource(transport: Transport, own: Resources["runs"]): RunsResource {
  const eventsPage = (run: string, query: ListRunEventsQuery, options: CallOptions) =>
    transport.call("listRunEvents", { ...options, params: { run }, query });

  const resource: RunsResource = {
    ...own,

    events: (run, query = {}, options = {}) =>
      pages(
        (after: number | undefined) =>
          eventsPage(run, after === undefined ? query : { ...query, after_seq: after }, options),
        ({ data, last_seq }) => {
          const read = data.at(-1)?.seq;
          return read === undefined || read >= last_seq ? null : read;
        },
      ),

    stream(source, options = {}) {
      const { tools, onUnknownTool, approve, ...body } =
        typeof source === "string" ? { run: source } : (source as Answering & { run: string });
      const target = "run" in body ? body.run : (body as CreateRunBody);
      const events = readAnswering(transport, target, { tools, onUnknownTool, approve }, options);
      let ended: Run | null = null;
      let runId = typeof target === "string" ? target : null;
      async function* watched(): AsyncGenerator<RunEvent, void> {
        for await (const event of events) {
          runId = event.run_id;
          if ("run" in event) ended = event.run;
          yield event;
        }
      }
      const once = watched();
      return {
        [Symbol.asyncIterator]: () => once,
        async result() {
          for await (const _ of once);
          const run = ended ?? (await resource.wait(runId ?? "", { signal: options.signal }));
          return { run, text: run.output ?? "" };
        },
      };
    },

    async run(source, { onEvent, ...options } = {}) {
      const stream = resource.stream(source, options);
      if (onEvent !== undefined) for await (const event of stream) onEvent(event);
      return stream.result();
    },

    async wait(source, { timeoutMs, signal, ...options } = {}) {
      const session = openSession(signal);
      let runId = typeof source === "string" ? source : null;
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              const late = `${runId ?? "The run"} did not end within ${timeoutMs} ms; it goes on`;
              const operation = typeof source === "string" ? "getRun" : "createRun";
              session.abort(new TimeoutError(late, { operation, requestId: null }));
            }, timeoutMs);
      const call = { ...options, signal: session.signal };
      try {
        const seconds = Math.min(LONGEST_PREFERRED_S, Math.max(1, Math.ceil((timeoutMs ?? 60_000) / 1_000)));
        const run =
          typeof source === "string"
            ? await own.get(source, call)
            : await own.create(source, { ...call, headers: { ...options.headers, prefer: `wait=${seconds}` } });
        runId = run.id;
        if (run.finished_at !== null) return run;
        // What it said before is of no interest here.
        const { last_seq: afterSeq } = await eventsPage(runId, { limit: 1 }, call);
        for await (const event of readRun(transport, runId, { ...call, afterSeq }))
          if ("run" in event) return event.run;
        return await own.get(runId, call);
      } finally {
        clearTimeout(timer);
        session.close();
      }
    },
  };
  return resource;
}

/** The events of a run, while what it asks is answered. */
async function* readAnswering(
  transport: Transport,
  target: CreateRunBody | string,
  answering: Answering,
  options: StreamOptions,
): AsyncGenerator<RunEvent, void> {
  const session = openSession(options.signal);
  const answerer = createAnswerer(transport, answering, session.signal, session.abort);
  // A key that was used before names a run that was there before.
  const isNew = typeof target !== "string" && options.idempotencyKey === undefined;
  const answers = Object.values(answering).some((one) => one !== undefined);
  try {
    if (answers && typeof target === "string") answerer.lookUp(target);
    for await (const event of readRun(transport, target, { ...options, signal: session.signal })) {
      if (answers) answerer.hear(event, isNew);
      yield event;
    }
  } finally {
    session.abort(new DOMException("The stream is not read any more", "AbortError"));
    session.close();
  }
}

/** A signal of its own that follows the caller's, and lets go of it. */
function openSession(signal: AbortSignal | undefined) {
  const controller = new AbortController();
  const follow = () => controller.abort(signal?.reason);
  if (signal?.aborted) follow();
  signal?.addEventListener("abort", follow, { once: true });
  return {
    signal: controller.signal,
    abort: (reason: unknown) => controller.abort(reason),
    close: () => signal?.removeEventListener("abort", follow),
  };
}
