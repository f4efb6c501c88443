import { idOf } from "@maru/contract";
import { TOOL_HOST } from "./agents.ts";
import type { CrashablePostgres } from "./postgres.ts";
import type { Arrival, ToolServer } from "./tool-server.ts";

export interface ToolFindings {
  /** Requests that reached the tool server. */
  readonly arrivals: number;
  /** Steps that were called again by an attempt that began after they had finished. */
  readonly executedAgain: number;
  /** Payments beyond one for each that was asked for. */
  readonly duplicateEffects: number;
  /** Repeats of a payment that were answered from the record of their key. */
  readonly repeatsAnswered: number;
  /** Letters that were sent twice. */
  readonly sentTwice: number;
  /** `at_most_once` steps whose outcome is unknown, and how many of those calls had arrived. */
  readonly unknown: number;
  readonly unknownHappened: number;
  /** Steps that are done though no request of theirs ever arrived. */
  readonly neverSent: number;
  /** Steps of these tools that ended with an error. */
  readonly failed: number;
}

interface ToolStep {
  readonly run_id: string;
  readonly seq: number;
  readonly state: string;
  readonly epoch: number;
  readonly effect: string;
  readonly reference: string;
}

/** Holds the journal's tool steps against what the tool server saw. */
export async function checkTools(postgres: CrashablePostgres, server: ToolServer): Promise<ToolFindings> {
  const steps = await postgres.query<ToolStep>(
    `SELECT run_id, seq, state, epoch, effect, (input->>'arguments')::jsonb->>'reference' AS reference
       FROM run_steps WHERE kind = 'tool' AND name <> 'calculator'`,
  );
  const byReference = Map.groupBy(server.arrivals, ({ reference }) => reference);
  const arrivalsOf = (step: ToolStep) => byReference.get(step.reference) ?? [];
  const unknown = steps.filter(({ state }) => state === "unknown");
  const letters = server.arrivals.filter(({ path }) => path === "/send");
  const payments = [...server.payments.values()];
  // A key of another step, or none, would be a call the journal knows nothing of.
  const keys = new Set(steps.map((step) => `${idOf("run", step.run_id)}-${step.seq}`));
  const stranger = server.arrivals.find(
    ({ path, idempotencyKey }) => path !== "/read" && !keys.has(idempotencyKey ?? ""),
  );
  if (stranger !== undefined) throw new Error(`no step of ${TOOL_HOST} has the key of ${JSON.stringify(stranger)}`);
  return {
    arrivals: server.arrivals.length,
    executedAgain: steps.filter(
      (step) => step.state !== "started" && arrivalsOf(step).some(({ epoch }) => epoch > step.epoch),
    ).length,
    duplicateEffects: payments.length - new Set(payments.map(({ reference }) => reference)).size,
    repeatsAnswered: payments.reduce((sum, { repeats }) => sum + repeats, 0),
    sentTwice: repeated(letters, ({ reference }) => reference) + repeated(letters, (item) => item.idempotencyKey ?? ""),
    unknown: unknown.length,
    unknownHappened: unknown.filter((step) => arrivalsOf(step).length > 0).length,
    neverSent: steps.filter((step) => step.state === "done" && arrivalsOf(step).length === 0).length,
    failed: steps.filter(({ state }) => state === "error").length,
  };
}

const repeated = (arrivals: readonly Arrival[], of: (arrival: Arrival) => string): number =>
  [...Map.groupBy(arrivals, of).values()].filter((same) => same.length > 1).length;
