import type { ApprovalSpec } from "@maru/contract";
import { createFitTest } from "./schema/check.ts";

/** Whether a call needs a person's approval, by its arguments. */
export function approvalTest(approval: ApprovalSpec): (args: unknown) => boolean {
  if (approval === "always") return () => true;
  return createFitTest({ type: "object", ...approval.when });
}
