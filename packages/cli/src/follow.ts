import type { Client, CreateRunBody, Run } from "@maru/sdk";
import { answerAtTerminal, answerNowhere } from "./answering.ts";
import type { Cli } from "./cli.ts";
import { EXIT, Interrupted } from "./exit.ts";
import { inWords } from "./failure.ts";
import { createRunView } from "./run-view.ts";

export interface FollowOptions {
  readonly thinking?: boolean;
  readonly json?: boolean;
  /** Whether somebody at the terminal answers what the run asks. */
  readonly asks: boolean;
  /** Where nobody does: whether to wait until somebody answers elsewhere, instead of leaving the run as it waits. */
  readonly wait?: boolean | undefined;
}

/** The run asks what nobody here answers. */
class Unanswered extends Error {}

/**
 * Starts a run, or takes up one that is there, and shows it to its end; or until it asks what nobody here answers, which is said with
 * the commands that answer it. The first Ctrl-C asks to cancel it; the second leaves, and the run goes on or ends as it will.
 * @returns what the command exits with
 * @throws Interrupted when it was left
 */
export async function follow(
  { output, prompt }: Cli,
  client: Client,
  source: CreateRunBody | { readonly run: string },
  options: FollowOptions,
): Promise<number> {
  const leaving = new AbortController();
  const ended = new AbortController();
  const view = createRunView(output, options);
  let runId = "run" in source ? source.run : null;
  let pressed = 0;
  const onInterrupt = () => {
    if (++pressed > 1 || runId === null) return leaving.abort(new Interrupted());
    output.note(`\nCancelling ${runId}; Ctrl-C again leaves it.`);
    client.runs.cancel(runId, { signal: leaving.signal }).catch((error: unknown) => {
      if (!leaving.signal.aborted) output.note(inWords(error));
    });
  };
  // After everything that is asked together was told, and the event that asks it.
  const onUnanswered = () => {
    if (!options.wait) setImmediate(() => leaving.abort(new Unanswered()));
  };
  process.on("SIGINT", onInterrupt);
  try {
    const answering = options.asks
      ? answerAtTerminal(prompt, output, ended.signal)
      : answerNowhere(output, onUnanswered);
    const stream = client.runs.stream({ ...source, ...answering }, { signal: leaving.signal });
    let run: Run | null = null;
    for await (const event of stream) {
      runId = event.run_id;
      if ("run" in event) {
        run = event.run;
        ended.abort(new Interrupted());
      }
      view.hear(event);
    }
    run ??= (await stream.result()).run;
    view.end(run);
    if (pressed > 0) throw new Interrupted();
    return run.status === "completed" ? EXIT.ok : EXIT.failed;
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    output.note(`Nobody here answers: ${runId} is left as it waits. maru logs -f ${runId} follows it; --wait waits.`);
    return EXIT.waiting;
  } finally {
    process.off("SIGINT", onInterrupt);
    ended.abort(new Interrupted());
  }
}
