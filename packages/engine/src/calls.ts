import { newId, type ToolCall } from "@maru/contract";
import type { StepIntent } from "@maru/store";
import type { ToolSet } from "@maru/tools";
import { callDigest } from "./digest.ts";
import type { ToolsPort } from "./ports.ts";

/**
 * The steps a model's calls become, in the order of the calls: a tool step that begins at once, one that waits for its
 * approval, or an input the run's caller has to give. Approvals come after all of them, so that results keep the calls' order.
 * A call with a wrong name or wrong arguments asks nobody: it fails at once, in words for the model. Calls of other agents get
 * equal shares of `budget`, the tokens the run can spare.
 */
export function intentsOf(
  calls: readonly ToolCall[],
  first: number,
  tools: ToolSet,
  parse: ToolsPort["parseArguments"],
  budget: number,
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
    if (tool === undefined || !parsed.ok || tool.checkArguments(parsed.value) !== null)
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
    asked.push(approvalIntent(first + calls.length + asked.length, seq, call, "approval"));
    return { ...step, state: "waiting" };
  });
  return { begun: steps.filter(({ state }) => state !== "waiting"), all: [...steps, ...asked] };
}

export const approvalIntent = (
  seq: number,
  step: number,
  call: ToolCall,
  question: "approval" | "outcome",
): StepIntent => ({
  seq,
  kind: "approval",
  state: "waiting",
  name: call.name,
  effect: "none",
  input: { id: call.id, name: call.name, arguments: call.arguments, step, question },
  digest: callDigest(call),
});
