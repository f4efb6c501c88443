import { Conflict, InvalidRequest } from "./errors.ts";
import type { RequiredAction, SubmitToolResultsBody } from "./generated.ts";
import { RECONNECTS, type RunEvent, readRun } from "./stream.ts";
import type { Transport } from "./transport.ts";

/** A call a run waits for somebody to answer. */
export interface AskedCall {
  readonly runId: string;
  readonly callId: string;
  /** The call's step in the run's journal. */
  readonly step: number;
  /** The tool. */
  readonly name: string;
}
export interface ToolContext extends AskedCall {
  /** Aborts when the answer is of no use any more: the run ended, or nobody reads its stream. */
  readonly signal: AbortSignal;
}
/**
 * A client-side tool. What it answers is the result: a string as it is, anything else as JSON. What it throws is told to the model
 * as the tool's failure.
 */
// biome-ignore lint/suspicious/noExplicitAny: the arguments fit the tool's parameters in the manifest, which TypeScript does not see
export type ToolFunction = (args: any, context: ToolContext) => unknown;

export interface ApprovalCall extends AskedCall {
  readonly arguments: Readonly<Record<string, unknown>>;
  /** approval: may the call be made? outcome: it was made once and a crash hid what came of it: shall it be made again? */
  readonly question: "approval" | "outcome";
}
export type Decision =
  | "approve"
  | "reject"
  | { readonly decision: "approve"; readonly arguments?: Readonly<Record<string, unknown>> | undefined }
  | { readonly decision: "reject"; readonly reason?: string | undefined };

/** Who answers what a run asks while its stream is read. Runs of other agents that it starts may ask too, and are answered by the same. */
export interface Answering {
  /** The client-side tools by name. */
  readonly tools?: Readonly<Record<string, ToolFunction>> | undefined;
  /**
   * Answers for tools that are not among `tools`; its context says which. Without it they are answered as a failure, and where there are
   * no `tools` either, left to somebody else.
   */
  readonly onUnknownTool?: ToolFunction | undefined;
  /** Decides on calls that need approval; undefined leaves one to somebody else, as does having no `approve`. What it throws ends the stream. */
  readonly approve?: ((call: ApprovalCall) => Decision | undefined | Promise<Decision | undefined>) | undefined;
}

type ToolResult = SubmitToolResultsBody["tool_results"][number];
type Asked = RequiredAction["tool_results"][number];

/** Of what a tool throws, in characters. */
const LONGEST_FAILURE = 4_000;
/** Somebody else answered, or nobody needs the answer any more. */
const TOO_LATE: ReadonlySet<string> = new Set(["already_answered", "run_finished", "wait_expired"]);

/**
 * Answers what runs ask: all calls at once, each at most once. `fail` is told of what cannot be answered.
 */
export function createAnswerer(
  transport: Transport,
  { tools, onUnknownTool, approve }: Answering,
  signal: AbortSignal,
  fail: (error: unknown) => void,
) {
  // As patient as the stream beside it: what a tool did must not be lost to a gateway that is away for a moment.
  const call = { signal, retries: RECONNECTS };
  const hasTools = tools !== undefined || onUnknownTool !== undefined;
  const taken = new Set<string>();
  /** Runs that are being looked up, and whether to do it again. */
  const looking = new Map<string, boolean>();
  /** Whether this is the first time; every call and every run is taken up once. */
  const take = (name: string): boolean => !taken.has(name) && taken.add(name) !== undefined;
  const background = (work: Promise<void>) =>
    void work.catch((error) => {
      if (!signal.aborted) fail(error);
    });

  const submit = async (run: string, result: ToolResult) => {
    const send = (tool_results: ToolResult[]) =>
      transport.call("submitToolResults", { ...call, params: { run }, body: { tool_results } });
    try {
      await send([result]);
    } catch (error) {
      if (error instanceof Conflict && TOO_LATE.has(error.code)) return;
      // Too large, or of characters that can't be kept: the model hears why it gets no result.
      if (!(error instanceof InvalidRequest) || result.is_error) throw error;
      await submit(run, {
        call_id: result.call_id,
        output: `The result was not taken. ${error.problem.detail ?? ""}`,
        is_error: true,
      });
    }
  };

  const runTool = async (run: string, { call_id, step, name, arguments: text }: Asked) => {
    const answer = (output: string, is_error = false) =>
      submit(run, { call_id, output, ...(is_error ? { is_error } : {}) });
    const tool = tools !== undefined && Object.hasOwn(tools, name) ? tools[name] : onUnknownTool;
    if (tool === undefined) return answer(`There is no tool ${name} here.`, true);
    let output: string;
    try {
      const result = await tool(JSON.parse(text), { runId: run, callId: call_id, step, name, signal });
      output = typeof result === "string" ? result : (JSON.stringify(result) ?? "");
    } catch (error) {
      const said = error instanceof Error ? error.message || error.name : String(error);
      return answer(said.slice(0, LONGEST_FAILURE), true);
    }
    await answer(output);
  };

  const decide = async (run: string, asked: RequiredAction["approvals"][number]) => {
    const { call_id, step, name, arguments: text, question } = asked;
    const said = await approve?.({ runId: run, callId: call_id, step, name, arguments: JSON.parse(text), question });
    if (said === undefined) return;
    const decision = typeof said === "string" ? { decision: said } : said;
    try {
      await transport.call("decideApprovals", {
        ...call,
        params: { run },
        body: { approvals: [{ call_id, ...(decision as { decision: "approve" }) }] },
      });
    } catch (error) {
      if (!(error instanceof Conflict && TOO_LATE.has(error.code))) throw error;
    }
  };

  const answerAll = (run: string, action: RequiredAction | null) => {
    for (const asked of hasTools ? (action?.tool_results ?? []) : [])
      if (take(`result ${run} ${asked.call_id}`)) background(runTool(run, asked));
    for (const asked of approve === undefined ? [] : (action?.approvals ?? []))
      if (take(`approval ${run} ${asked.call_id}`)) background(decide(run, asked));
    for (const { run_id: child } of action?.runs ?? []) if (take(`run ${child}`)) background(follow(child));
  };

  /** What a run asks now: events of the past may ask what was answered long ago. */
  const lookUp = async (run: string) => {
    // Whoever is looking looks once more: a long past may say often that the run waits.
    if (looking.has(run)) return void looking.set(run, true);
    do {
      looking.set(run, false);
      answerAll(run, (await transport.call("getRun", { ...call, params: { run } })).required_action);
    } while (looking.get(run));
    looking.delete(run);
  };

  const follow = async (run: string) => {
    for await (const event of readRun(transport, run, { signal })) if (event.type === "run.waiting") await lookUp(run);
  };

  return {
    /** `isNew`: nobody but this client has seen the run, so what its events ask is asked now. */
    hear(event: RunEvent, isNew: boolean): void {
      if (event.type !== "run.waiting") return;
      if (isNew) answerAll(event.run_id, event.required_action);
      else background(lookUp(event.run_id));
    },
    lookUp: (run: string) => background(lookUp(run)),
  };
}
