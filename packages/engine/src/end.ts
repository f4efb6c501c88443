import type { IncompleteReason } from "@maru/contract";

/** How a run ends. */
export interface End {
  readonly status: "completed" | "incomplete" | "failed" | "cancelled";
  readonly output: string | null;
  readonly reason?: IncompleteReason;
  readonly error?: { code: string; message: string };
}
