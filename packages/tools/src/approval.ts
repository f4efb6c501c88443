import type { ApprovalSpec } from "@maru/contract";
import { createArgumentCheck } from "./schema/check.ts";

/** Whether a call needs a person's approval, by its arguments. */
export function approvalTest(approval: ApprovalSpec): (args: unknown) => boolean {
  if (approval === "always") return () => true;
  const wrongWith = createArgumentCheck({ type: "object", ...approval.when });
  return (args) => wrongWith(args) === null;
}
