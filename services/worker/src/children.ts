import { LIMITS, Problem } from "@maru/contract";
import { storableText } from "@maru/domain";
import type { ChildrenPort } from "@maru/engine";
import type { LiveBus } from "@maru/queue";
import type { Children, EndedChild, NextRun } from "@maru/store";
import { cutToBytes } from "@maru/tools";

/**
 * Runs that runs start. A child's end is told to its parent after it, in a transaction of its own: the row of one run is
 * never held while another's is waited for. Whatever is missed when a process dies is found by the sweep.
 */
export function createChildRuns(deps: {
  children: Children;
  bus: Pick<LiveBus, "publish">;
  wake: (workspaceId: string, next: NextRun) => void;
  estimateTokens: (text: string) => number;
}) {
  const { children, bus, wake } = deps;

  const tell = async (workspaceId: string, runId: string): Promise<void> => {
    const ended = await children.ended(workspaceId, runId);
    if (ended === null) return;
    const told = await children.tell(workspaceId, runId, resultOf(ended));
    if (told === null) return;
    bus.publish(told.parentRunId, { kind: "reload" });
    if (told.resumed !== null) wake(workspaceId, told.resumed);
  };

  const cancelBelow = async (workspaceId: string, runId: string): Promise<void> => {
    for (const { runId: child, ended } of await children.cancelBelow(workspaceId, runId))
      bus.publish(child, { kind: ended ? "reload" : "cancel" });
  };

  const port: ChildrenPort = {
    async start(claim, { step, call, deployment, input, mayBegin }) {
      try {
        if (!mayBegin) {
          const begun = await children.of(claim.workspaceId, claim.runId);
          if (!begun.some(({ runId }) => runId === call.run))
            return { kind: "refused", code: "policy_denied", message: REFUSALS.policy_denied };
        }
        const started = await children.start(claim, {
          step,
          call,
          deployment,
          input,
          inputTokens: deps.estimateTokens(input),
        });
        if ("started" in started) {
          if (!started.parked) wake(claim.workspaceId, { runId: call.run, epoch: 0 });
          return { kind: "started" };
        }
        if (started.refused === "lost" || started.refused === "cancelled") return { kind: started.refused };
        return { kind: "refused", code: started.refused, message: REFUSALS[started.refused] };
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        return { kind: "refused", code: error.code, message: `The agent could not be asked: ${error.message}` };
      }
    },
  };

  return {
    port,
    /** Asks all runs below one to stop. */
    cancelBelow,
    /** A run waits: children that ended before it did are told of now. */
    async collect(workspaceId: string, runId: string): Promise<void> {
      for (const child of await children.of(workspaceId, runId)) if (child.ended) await tell(workspaceId, child.runId);
    },
    /** A run has ended: its parent is told, and what it started is cancelled. */
    async settle(workspaceId: string, runId: string): Promise<void> {
      await cancelBelow(workspaceId, runId);
      await tell(workspaceId, runId);
    },
    async sweep(limit: number): Promise<void> {
      for (const { workspaceId, runId, ended, parentRunId } of await children.stray(limit)) {
        if (ended) await tell(workspaceId, runId);
        else await cancelBelow(workspaceId, parentRunId);
      }
    },
  };
}

const REFUSALS = {
  policy_denied: "The workspace's policy does not allow this tool.",
  agent_depth: `Agents may call one another ${LIMITS.agentDepth} deep, and this call would go deeper.`,
  agent_cycle: "That agent is already among those that led to this call.",
} as const;

/** What the calling agent's model reads of a run. */
function resultOf({ status, output, reason, error, maxBytes }: EndedChild) {
  const failed = (code: string, words: string) => ({ output: storableText(words), isError: true, code });
  const said = output === null ? null : cutToBytes(output, maxBytes).text;
  switch (status) {
    case "completed":
      return { output: said ?? "", isError: false, code: null };
    case "incomplete":
      return said === null
        ? failed("agent_incomplete", `The agent stopped before it had an answer: ${reason}.`)
        : { output: `${said}\n[The agent stopped before it was done: ${reason}.]`, isError: false, code: null };
    case "failed":
      return failed("agent_failed", `The agent failed: ${error?.message ?? "it is not known why"}`);
    default:
      return failed(`agent_${status}`, `The agent's run was ${status}.`);
  }
}
