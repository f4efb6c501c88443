import { storableText } from "@maru/domain";
import type { Claim, StoredStep, ToolOutput } from "@maru/store";
import type { Attachment, ToolSet } from "@maru/tools";
import { ClaimLost } from "./journal-run.ts";
import type { EnginePorts } from "./ports.ts";

export type ToolStep = Extract<StoredStep, { kind: "tool" }>;

/** The code of a call that may have taken effect, and that is not made again by itself. */
export const OUTCOME_UNKNOWN = "outcome_unknown";
export const UNKNOWN_AFTER_CRASH: ToolOutput = {
  output:
    "The outcome of this call is unknown: the worker was lost while it ran, and it must not be sent twice. It may have taken effect.",
  isError: true,
  code: OUTCOME_UNKNOWN,
};

/**
 * Runs one tool call and turns whatever happens into a result the model can read; only the stop of the run itself is
 * thrown. A wrong name or wrong arguments are results too: the model gets the valid names, or the validator's message.
 */
export async function runTool(
  step: ToolStep,
  claim: Claim,
  tools: ToolSet,
  ports: EnginePorts,
  signal: AbortSignal,
): Promise<ToolOutput> {
  const tool = tools.get(step.name);
  if (tool === undefined) {
    const names = tools.names.length === 0 ? "There are no tools." : `The tools are: ${tools.names.join(", ")}.`;
    return failure("unknown_tool", `There is no tool named ${step.name}. ${names}`);
  }
  const parsed = ports.tools.parseArguments(step.input.arguments);
  if (!parsed.ok) return failure("tool_arguments_invalid", parsed.message);
  const wrong = tool.checkArguments(parsed.value);
  if (wrong !== null) return failure("tool_arguments_invalid", wrong);
  ports.pass?.("before_tool_call");
  const result = await tool.call(parsed.value, {
    caller: {
      workspaceId: claim.workspaceId,
      agent: claim.spec.name,
      runId: claim.runId,
      step: step.seq,
      threadId: claim.threadId,
      endUser: claim.endUser,
    },
    signal,
    idempotencyKey: `${claim.runId}-${step.seq}`,
    epoch: claim.epoch,
    now: ports.clock.date(),
    progress: (at) => ports.live.progress(claim, step.seq, at),
    maxOutputBytes: claim.spec.limits.toolOutputBytes,
    secrets: (names) => ports.tools.secrets(claim.workspaceId, claim.spec.name, names),
  });
  ports.pass?.("after_tool_call");
  const { artifacts, notes } = await keep(claim, step.seq, result.attachments ?? [], ports);
  const output = storableText([result.output, ...notes].join("\n"));
  const kept = artifacts.length === 0 ? {} : { artifacts };
  if (result.uncertain && step.effect === "at_most_once")
    return {
      output: `${output} The outcome of this call is unknown: it may have taken effect, and it is not sent twice.`,
      isError: true,
      code: OUTCOME_UNKNOWN,
      ...kept,
    };
  return { output, isError: result.isError, code: result.code, ...kept };
}

/** Keeps what came beside the text, and says of each in a line what became of it: that is all the model sees of it. */
async function keep(claim: Claim, step: number, attachments: readonly Attachment[], { artifacts }: EnginePorts) {
  const kept: NonNullable<ToolOutput["artifacts"]>[number][] = [];
  const notes: string[] = [];
  for (const attachment of attachments) {
    const { mediaType, bytes } = attachment;
    const name = storableText(attachment.name);
    const what = `${name} (${mediaType}, ${bytes.length} bytes)`;
    const answer = await artifacts.keep(claim, step, { ...attachment, name });
    if (answer === "lost") throw new ClaimLost();
    if (answer === "full") notes.push(`[not kept: ${what}: there is no room for it]`);
    else {
      notes.push(`[kept: ${what} as ${answer.id}]`);
      kept.push({ id: answer.id, name, mediaType, size: bytes.length });
    }
  }
  return { artifacts: kept, notes };
}

const failure = (code: string, output: string): ToolOutput => ({ output: storableText(output), isError: true, code });

/** Runs jobs with at most `width` at a time; the first throw stops the taking of new ones and is thrown at the end. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  job: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  let failed: { error: unknown } | null = null;
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined && failed === null; item = queue.shift()) {
      try {
        await job(item);
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  if (failed !== null) throw (failed as { error: unknown }).error;
}
