import { type IncompleteReason, idOf, LIMITS, Problem, type RunError, type RunStatus, uuidOf } from "@maru/contract";
import { type Database, only } from "./database.ts";
import type { Claim, NextRun } from "./journal.ts";
import type { Quotas } from "./quota.ts";
import { windowOpener } from "./quota-window.ts";
import type { ChildCall, ToolOutput } from "./steps.ts";

export interface NewChild {
  /** Number of the call's step in its parent. */
  readonly step: number;
  readonly call: ChildCall;
  readonly deployment: string;
  readonly input: string;
  /** Estimated tokens of the input. */
  readonly inputTokens: number;
}
export type StartedChild =
  /** `parked`: it waits for a limit of pace. */
  | { readonly started: true; readonly parked: boolean }
  | { readonly refused: "lost" | "cancelled" | "agent_depth" | "agent_cycle" };

/** A child that ended and whose parent does not know it yet. */
export interface EndedChild {
  readonly status: RunStatus;
  readonly output: string | null;
  readonly reason: IncompleteReason | null;
  readonly error: RunError | null;
  readonly parentRunId: string;
  /** Bytes of a result that the parent's agent reads. */
  readonly maxBytes: number;
}

/** Runs that other runs started. */
export function createChildren(db: Database, quotas: Quotas) {
  const withWindow = windowOpener(quotas);
  const ids = (workspaceId: string, runId: string) => [uuidOf("workspace", workspaceId), uuidOf("run", runId)];

  return {
    /**
     * Starts the run of a step, under the id its intent named; answers the same however often it is called.
     * @throws Problem unknown_agent, and those of `runs.create`
     */
    start(parent: Pick<Claim, "workspaceId" | "runId" | "epoch">, child: NewChild): Promise<StartedChild> {
      const attempt = async () => {
        const rows = await db.call<{ r: StartedChild }>("SELECT start_child($1) AS r", [
          {
            workspace_id: uuidOf("workspace", parent.workspaceId),
            run_id: uuidOf("run", child.call.run),
            parent: uuidOf("run", parent.runId),
            epoch: parent.epoch,
            step: child.step,
            deployment: child.deployment,
            input: child.input,
            input_tokens: child.inputTokens,
            token_cap: child.call.tokens,
            max_depth: LIMITS.agentDepth,
          },
        ]);
        return only(rows).r;
      };
      return withWindow(parent.workspaceId, attempt, () => ({
        MR001: () => new Problem("unknown_agent", `There is no deployment named ${child.deployment} any more.`),
        MR006: () => new Problem("deployment_paused", "That agent takes no runs now."),
        MQ003: () => new Problem("queue_full", "A thousand runs of that agent wait."),
      }));
    },

    /** Null: it goes on, or its parent was told. */
    async ended(workspaceId: string, runId: string): Promise<EndedChild | null> {
      const rows = await db.call<{ r: EndedRow | null }>("SELECT ended_child($1, $2) AS r", ids(workspaceId, runId));
      const { r } = only(rows);
      if (r === null) return null;
      const { parent, max_bytes: maxBytes, ...child } = r;
      return { ...child, parentRunId: idOf("run", parent), maxBytes };
    },

    /** Gives the parent its child's result, once. `resumed`: it has nothing left to wait for. Null: there was nothing to tell. */
    async tell(
      workspaceId: string,
      runId: string,
      output: ToolOutput,
    ): Promise<{ parentRunId: string; resumed: NextRun | null } | null> {
      const [workspace, child] = ids(workspaceId, runId);
      const rows = await db.call<{ r: { resumed: boolean; parent: string; epoch: number } | null }>(
        "SELECT tell_parent($1) AS r",
        [{ workspace_id: workspace, child, output }],
      );
      const { r } = only(rows);
      if (r === null) return null;
      const parentRunId = idOf("run", r.parent);
      return { parentRunId, resumed: r.resumed ? { runId: parentRunId, epoch: r.epoch } : null };
    },

    /** Children of a run that go on, and those that ended without its being told. */
    async of(workspaceId: string, runId: string): Promise<{ runId: string; ended: boolean }[]> {
      const rows = await db.call<{ run_id: string; ended: boolean }>(
        "SELECT * FROM children_of($1, $2)",
        ids(workspaceId, runId),
      );
      return rows.map((row) => ({ runId: idOf("run", row.run_id), ended: row.ended }));
    },

    /**
     * Asks all runs below one to stop. Those that are with no worker have ended when this answers, and those below them were asked
     * too; a worker that ends a run does the same for it.
     */
    async cancelBelow(workspaceId: string, runId: string): Promise<{ runId: string; ended: boolean }[]> {
      const asked: { runId: string; ended: boolean }[] = [];
      const above = [runId];
      for (let run = above.pop(); run !== undefined; run = above.pop()) {
        for (const child of await this.of(workspaceId, run)) {
          if (child.ended) continue;
          const rows = await db.call<{ ended: boolean | null }>(
            "SELECT r->'run'->>'finished_at' IS NOT NULL AS ended FROM cancel_run($1, $2) r",
            ids(workspaceId, child.runId),
          );
          const ended = only(rows).ended === true;
          asked.push({ runId: child.runId, ended });
          if (ended) above.push(child.runId);
        }
      }
      return asked;
    },

    /** Of all workspaces: children that ended without their parents being told, and such as should be cancelled with theirs. */
    async stray(limit: number): Promise<{ workspaceId: string; runId: string; parentRunId: string; ended: boolean }[]> {
      const rows = await db.aside<{ workspace_id: string; run_id: string; parent_id: string; ended: boolean }>(
        "SELECT * FROM stray_children($1)",
        [limit],
      );
      return rows.map((row) => ({
        workspaceId: idOf("workspace", row.workspace_id),
        runId: idOf("run", row.run_id),
        parentRunId: idOf("run", row.parent_id),
        ended: row.ended,
      }));
    },

    /** The deployments that agents of these deployments call, as they are now; a name that is not there is left out. */
    async called(workspaceId: string, names: readonly string[]): Promise<Map<string, string[]>> {
      const rows = await db.call<{ name: string; calls: string | null }>("SELECT * FROM agents_called($1, $2)", [
        uuidOf("workspace", workspaceId),
        names,
      ]);
      const found = new Map<string, string[]>();
      for (const { name, calls } of rows)
        found.set(name, [...(found.get(name) ?? []), ...(calls === null ? [] : [calls])]);
      return found;
    },
  };
}
export type Children = ReturnType<typeof createChildren>;

interface EndedRow {
  readonly status: RunStatus;
  readonly output: string | null;
  readonly reason: IncompleteReason | null;
  readonly error: RunError | null;
  readonly parent: string;
  readonly max_bytes: number;
}
