import { AGENTS, type AgentName } from "./agents.ts";
import type { Random } from "./random.ts";

/** A run as the load asks for it. */
export interface PlannedRun {
  /** Its Idempotency-Key. */
  readonly key: string;
  readonly agent: AgentName;
  /** Tells the simulated model which calls to make, each with a reference nobody else has. */
  readonly input: string;
  readonly tenant: number;
  /** Number of the conversation it belongs to. */
  readonly thread: number | null;
}

export const TENANTS = 3;
const THREAD_SHARE = 0.1;
const RUNS_A_THREAD = 3;

/** How many threads a load of so many runs talks in. */
export const threadsOf = (count: number): number => Math.max(1, Math.round((count * THREAD_SHARE) / RUNS_A_THREAD));
export const tenantOfThread = (thread: number): number => thread % TENANTS;

/**
 * Runs of 3 to 6 steps: 30 in a hundred call a tool outside (a third each safe, idempotent, at most once), the others
 * calculate. One in ten talks in a thread.
 */
export function planRuns(count: number, random: Random): PlannedRun[] {
  const threads = threadsOf(count);
  let inThreads = 0;
  return Array.from({ length: count }, (_, index) => {
    const dice = random.next();
    const agent: AgentName = dice < 0.1 ? "reader" : dice < 0.2 ? "payer" : dice < 0.3 ? "sender" : "counter";
    const thread = random.next() < THREAD_SHARE ? inThreads++ % threads : null;
    return {
      key: `chaos-${index}`,
      agent,
      input: inputOf(agent, index, random),
      tenant: thread === null ? index % TENANTS : tenantOfThread(thread),
      thread,
    };
  });
}

/** One call, two after one another, or two to four at once: 3 to 6 steps with those of the model. */
function inputOf(agent: AgentName, index: number, random: Random): string {
  const { tool } = AGENTS[agent];
  const call = (number: number) =>
    agent === "counter"
      ? `${tool} {"expression": "${index} + ${number}"}`
      : `${tool} {"reference": "${index}-${number}"}`;
  const directives = random.pick([
    [`#sim tool ${call(1)}`],
    [`#sim tool ${call(1)}`, `#sim tool ${call(2)}`],
    [`#sim parallel ${call(1)} ${call(2)}`],
    [`#sim parallel ${call(1)} ${call(2)} ${call(3)}`],
    [`#sim parallel ${call(1)} ${call(2)} ${call(3)} ${call(4)}`],
  ]);
  return `Do number ${index}.\n${directives.join("\n")}`;
}
