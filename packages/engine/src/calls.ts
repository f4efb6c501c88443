import { newId, type ToolCall } from "@maru/contract";
import type { ApprovalAsked, StepIntent } from "@maru/store";
import type { ToolAnnotations, ToolSet } from "@maru/tools";
import { callDigest } from "./digest.ts";
import type { ToolsPort } from "./ports.ts";

/**
 * The steps a model's calls become, in the order of the calls: a tool step that begins at once, one that waits for its
 * approval, or an input the run's caller has to give. Approvals come after all of them, so that results keep the calls' order.
 * A call with a wrong name or wrong arguments, or of a tool in `denied`, asks nobody: it fails at once, in words for the model.
 * Calls of other agents get equal shares of `budget`, the tokens the run can spare.
 */
export function intentsOf(
  calls: readonly ToolCall[],
  first: number,
  tools: ToolSet,
  parse: ToolsPort["parseArguments"],
  budget: number,
  denied: ReadonlySet<string>,
): { begun: StepIntent[]; all: StepIntent[] } {
  const asked: StepIntent[] = [];
  const agents = calls.filter(({ name }) => tools.get(name)?.agent !== undefined).length;
  const share = Math.floor(budget / Math.max(1, agents));
  const steps = calls.map((call, index): StepIntent => {
    const seq = first + index;
    const tool = tools.get(call.name);
    const base = { seq, name: call.name, input: call, digest: callDigest(call) };
    const effect = tool?.effect ?? "safe";
    const parsed = parse(call.arguments);
    if (tool === undefined || !parsed.ok || tool.checkArguments(parsed.value) !== null || denied.has(call.name))
      return { ...base, kind: "tool", effect };
    const step: StepIntent =
      tool.agent === undefined
        ? { ...base, kind: "tool", effect }
        : {
            ...base,
            kind: "run",
            effect,
            input: { ...call, run: newId("run"), tokens: Math.min(tool.agent.maxTokens ?? share, share) },
          };
    if (tool.client) return { ...base, kind: "input", state: "waiting", effect: "none" };
    if (!tool.needsApproval?.(parsed.value)) return step;
    asked.push(approvalIntent(first + calls.length + asked.length, seq, call, "approval", tool.annotations));
    return { ...step, state: "waiting" };
  });
  return { begun: steps.filter(({ state }) => state !== "waiting"), all: [...steps, ...asked] };
}

/** Names of the tools among those called that the workspace's policy does not allow, as it is now. */
export async function deniedAmong(calls: readonly ToolCall[], tools: ToolSet): Promise<ReadonlySet<string>> {
  const denied = new Set<string>();
  for (const { name } of calls) if (await tools.get(name)?.denied?.()) denied.add(name);
  return denied;
}

export const approvalIntent = (
  seq: number,
  step: number,
  call: ToolCall,
  question: "approval" | "outcome",
  annotations: ToolAnnotations = {},
): StepIntent => ({
  seq,
  kind: "approval",
  state: "waiting",
  name: call.name,
  effect: "none",
  input: { id: call.id, name: call.name, arguments: call.arguments, step, question, ...shown(annotations) },
  digest: callDigest(call),
});

/** As the API names them; left out where nothing is said of the tool. */
function shown({ title, readOnly, destructive }: ToolAnnotations): Pick<ApprovalAsked, "annotations"> {
  const annotations = {
    ...(title === undefined ? {} : { title }),
    ...(readOnly === undefined ? {} : { read_only: readOnly }),
    ...(destructive === undefined ? {} : { destructive }),
  };
  return Object.keys(annotations).length === 0 ? {} : { annotations };
}
