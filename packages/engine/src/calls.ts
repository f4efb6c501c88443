import type { ToolCall } from "@maru/contract";
import type { ApprovalAsked, StepIntent } from "@maru/store";
import type { ToolAnnotations, ToolSet } from "@maru/tools";
import { callDigest } from "./digest.ts";
import type { ToolsPort } from "./ports.ts";

/**
 * The steps a model's calls become, in the order of the calls: a tool step that begins at once, one that waits for its
 * approval, or an input the run's caller has to give. Approvals come after all of them, so that results keep the calls' order.
 * A call with a wrong name or wrong arguments asks nobody: it fails at once, in words for the model.
 */
export function intentsOf(
  calls: readonly ToolCall[],
  first: number,
  tools: ToolSet,
  parse: ToolsPort["parseArguments"],
): { begun: StepIntent[]; all: StepIntent[] } {
  const asked: StepIntent[] = [];
  const steps = calls.map((call, index): StepIntent => {
    const seq = first + index;
    const tool = tools.get(call.name);
    const base = { seq, name: call.name, input: call, digest: callDigest(call) };
    const effect = tool?.effect ?? "safe";
    const parsed = parse(call.arguments);
    if (tool === undefined || !parsed.ok || tool.checkArguments(parsed.value) !== null)
      return { ...base, kind: "tool", effect };
    if (tool.client) return { ...base, kind: "input", state: "waiting", effect: "none" };
    if (!tool.needsApproval?.(parsed.value)) return { ...base, kind: "tool", effect };
    asked.push(approvalIntent(first + calls.length + asked.length, seq, call, "approval", tool.annotations));
    return { ...base, kind: "tool", state: "waiting", effect };
  });
  return { begun: steps.filter(({ state }) => state !== "waiting"), all: [...steps, ...asked] };
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
