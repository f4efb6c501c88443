import {
  type Agent,
  type AgentSpec,
  type CanaryRule,
  type Deployment,
  type DeploySettings,
  idOf,
  newId,
  type OnLimit,
  type OnThreadBusy,
  Problem,
  type Release,
  type Revision,
  type Rollout,
  type TrafficPart,
  uuidOf,
} from "@maru/contract";
import type { CanaryResults } from "@maru/domain";
import { asProblem, type Database, instant, only } from "./database.ts";

/** A deployment as the database knows it; whether its models can be had is another question. */
export type StoredDeployment = Omit<Deployment, "simulated" | "health"> & { readonly drifts: readonly ToolDrift[] };

/** Where a tool that others declare is not what it was when the deployment's revision was made. */
export interface ToolDrift {
  /** The manifest's name for who declares it. */
  readonly entry: string;
  readonly tool: string;
  readonly what: "gone" | "parameters" | "description";
  readonly since: string;
}

export interface DeployRequest {
  readonly spec: AgentSpec;
  readonly digest: string;
  readonly deployment: string;
  /** Tokens the first model call of a run holds, input aside: instructions, tools and the output cap. */
  readonly reserveTokens: number;
  readonly dryRun: boolean;
  /** The ETag the caller last saw, or null. */
  readonly ifMatch: string | null;
  readonly settings: DeploySettings;
  /** The part of the traffic it gets at first; null = all of it. */
  readonly rollout: Rollout | null;
  readonly by: string;
  readonly note: string | null;
}

/** A change of what a deployment's runs go by. */
export interface ReleaseRequest {
  readonly deployment: string;
  readonly ifMatch: string | null;
  readonly by: string;
  readonly note: string | null;
  readonly change:
    | { readonly kind: "traffic"; readonly split: readonly TrafficPart[] }
    /** Null = the part that is not the main one. */
    | { readonly kind: "promote"; readonly revision: number | null; readonly reason?: string }
    /** Null = off the split, else the revision before. */
    | { readonly kind: "rollback"; readonly release: number | null; readonly reason?: string }
    | { readonly kind: "pause" | "resume" | "delete" };
}

/** A canary as its rule sees it. */
export interface CanaryState extends CanaryResults {
  readonly deployment: string;
  readonly version: string;
  readonly rule: CanaryRule;
}

/** Agents, their revisions and the deployments that run them. */
export function createDeployments(db: Database) {
  const include = {
    current: { select: { spec: true, drifts: { orderBy: { since: "asc" } } } },
    agent: { select: { name: true } },
  } as const;
  const scope = (workspaceId: string) => {
    const workspace = uuidOf("workspace", workspaceId) as string;
    return { workspace, client: db.forWorkspace(workspace) };
  };

  return {
    /**
     * Creates or rolls forward; the same digest as the revision in force changes nothing. Several are one statement: all of them or
     * none. They are done in the order of their agents' names, so that two callers lock the same rows in one order.
     * @throws Problem name_taken (a deployment's name belongs to another agent), precondition_failed
     */
    async deploy(workspaceId: string, requests: readonly DeployRequest[]): Promise<Deployed[]> {
      const order = requests
        .map((request, index) => ({ request, index }))
        .sort((a, b) => (a.request.spec.name < b.request.spec.name ? -1 : 1));
      const parameters = order.map(({ request }) => ({
        workspace_id: uuidOf("workspace", workspaceId),
        agent_id: uuidOf("agent", newId("agent")),
        deployment_id: uuidOf("deployment", newId("deployment")),
        agent: request.spec.name,
        deployment: request.deployment,
        digest: request.digest,
        spec: request.spec,
        reserve_tokens: request.reserveTokens,
        dry_run: request.dryRun,
        if_match: request.ifMatch,
        on_thread_busy: request.settings.onThreadBusy,
        on_limit: request.settings.onLimit,
        concurrency: request.settings.concurrency,
        canary: request.rollout,
        by: request.by,
        note: request.note,
      }));
      try {
        const rows = await db.call<{ r: DeployRow }>(
          "SELECT deploy_manifest(value) AS r FROM jsonb_array_elements($1) WITH ORDINALITY ORDER BY ordinality",
          [JSON.stringify(parameters)],
        );
        const results: Deployed[] = [];
        for (const [place, { index }] of order.entries()) {
          const { r } = rows[place] as { r: DeployRow };
          results[index] = {
            action: r.action,
            before: r.before,
            settingsBefore: r.settings_before,
            revision: r.revision,
            moved: r.moved,
            trafficBefore: r.traffic_before,
            traffic: r.traffic,
          };
        }
        return results;
      } catch (error) {
        const names = requests.map(({ deployment }) => deployment);
        return asProblem(error, {
          MD001: () =>
            new Problem(
              "name_taken",
              names.length === 1
                ? `The deployment ${names[0]} belongs to another agent.`
                : `One of the deployments ${names.join(", ")} belongs to another agent.`,
            ),
          MD002: () => new Problem("precondition_failed", "Read the deployment again and repeat with its new ETag."),
        });
      }
    },

    /** Notes what a call of a run found of a tool; null: it is what it was at deploy. */
    async noteDrift(
      workspaceId: string,
      runId: string,
      { entry, tool, what }: { entry: string; tool: string; what: ToolDrift["what"] | null },
    ): Promise<void> {
      const run = { workspace_id: uuidOf("workspace", workspaceId), run_id: uuidOf("run", runId) };
      await db.aside("SELECT note_tool_drift($1)", [{ ...run, entry, tool, what }]);
    },

    async list(workspaceId: string, limit: number, before: string | null): Promise<StoredDeployment[]> {
      const { workspace, client } = scope(workspaceId);
      const rows = await client.deployment.findMany({
        where: { workspaceId: workspace, deletedAt: null, ...(before === null ? {} : { id: { lt: before } }) },
        orderBy: { id: "desc" },
        take: limit,
        include,
      });
      return rows.map(deploymentObject);
    },

    /** A deployment with its version tag (for ETag and If-Match). @throws Problem not_found */
    async get(workspaceId: string, name: string): Promise<{ deployment: StoredDeployment; version: string }> {
      const { workspace, client } = scope(workspaceId);
      const row = await client.deployment.findFirst({ where: { workspaceId: workspace, name }, include });
      if (row === null) throw new Problem("not_found", `There is no deployment named ${name}.`);
      return { deployment: deploymentObject(row), version: `${row.id}:${row.generation}` };
    },

    /**
     * Changes what runs go by, in one statement that also writes the history; the change itself is in force for every run that is
     * accepted after it.
     * @throws Problem not_found (also of a revision or release), nothing_to_release, precondition_failed
     */
    async release(workspaceId: string, { deployment, ifMatch, by, note, change }: ReleaseRequest): Promise<void> {
      try {
        await db.call("SELECT release_deployment($1)", [
          { workspace_id: uuidOf("workspace", workspaceId), deployment, if_match: ifMatch, by, note, ...change },
        ]);
      } catch (error) {
        asProblem(error, {
          MD002: () => new Problem("precondition_failed", "Read the deployment again and repeat with its new ETag."),
          MD003: () => new Problem("not_found", `There is no deployment named ${deployment}.`),
          MD004: () => new Problem("not_found", "The agent has no such revision."),
          MD005: () => new Problem("nothing_to_release", "All the traffic goes to one revision already."),
          MD006: () =>
            change.kind === "rollback" && change.release !== null
              ? new Problem("not_found", `The deployment has no release ${change.release}.`)
              : new Problem("nothing_to_release", "The deployment never ran another revision."),
        });
      }
    },

    /** Releases newest first; `before` is the number the page before ended with. @throws Problem not_found */
    async releases(workspaceId: string, name: string, limit: number, before: number | null): Promise<Release[]> {
      const { workspace, client } = scope(workspaceId);
      const owner = await client.deployment.findFirst({
        where: { workspaceId: workspace, name },
        select: { id: true, agentId: true },
      });
      if (owner === null) throw new Problem("not_found", `There is no deployment named ${name}.`);
      const rows = await client.release.findMany({
        where: {
          workspaceId: workspace,
          deploymentId: owner.id,
          ...(before === null ? {} : { number: { lt: before } }),
        },
        orderBy: { number: "desc" },
        take: limit,
      });
      const revisions = await client.revision.findMany({
        where: { workspaceId: workspace, agentId: owner.agentId, number: { in: rows.map(({ revision }) => revision) } },
        select: { number: true, digest: true },
      });
      const digests = new Map(revisions.map(({ number, digest }) => [number, digest]));
      return rows.map((row) => ({
        number: row.number,
        kind: row.kind as Release["kind"],
        revision: row.revision,
        digest: digests.get(row.revision) ?? "",
        traffic: trafficOf(row),
        reason: row.reason,
        note: row.note,
        by: row.by,
        at: instant(row.at),
      }));
    },

    /** Ids of a deployment's runs that have not ended, oldest first. */
    async activeRuns(workspaceId: string, id: string): Promise<string[]> {
      const { workspace, client } = scope(workspaceId);
      const rows = await client.run.findMany({
        where: { workspaceId: workspace, deploymentId: uuidOf("deployment", id) as string, finishedAt: null },
        select: { id: true },
        orderBy: { id: "asc" },
      });
      return rows.map(({ id }) => idOf("run", id));
    },

    /** Canaries of all workspaces whose rules are to be judged. */
    async canaries(limit: number): Promise<{ workspaceId: string; deploymentId: string }[]> {
      const rows = await db.aside<{ workspace_id: string; deployment_id: string }>("SELECT * FROM canaries($1)", [
        limit,
      ]);
      return rows.map((row) => ({
        workspaceId: idOf("workspace", row.workspace_id),
        deploymentId: idOf("deployment", row.deployment_id),
      }));
    },

    /** Null: it is none any more. */
    async canary(workspaceId: string, deploymentId: string): Promise<CanaryState | null> {
      const rows = await db.call<{ r: CanaryRow | null }>("SELECT canary_state($1, $2) AS r", [
        uuidOf("workspace", workspaceId),
        uuidOf("deployment", deploymentId),
      ]);
      const { r } = only(rows);
      if (r === null) return null;
      const { since_ms: sinceMs, latency_ms: latencyMs, cost_micros: costMicros, ...rest } = r;
      return { ...rest, sinceMs, latencyMs, costMicros };
    },

    /** Removes up to `limit` revisions that nothing refers to, beyond the newest of each agent; answers how many. */
    async forgetRevisions(keep: number, limit: number): Promise<number> {
      const rows = await db.aside<{ n: number }>("SELECT forget_revisions($1, $2) AS n", [keep, limit]);
      return only(rows).n;
    },

    /** @throws Problem not_found */
    async label(
      workspaceId: string,
      agent: string,
      number: number,
      labels: Readonly<Record<string, string>>,
    ): Promise<Revision> {
      const { workspace, client } = scope(workspaceId);
      await client.revision.updateMany({
        where: { workspaceId: workspace, agent: { name: agent }, number },
        data: { labels: { ...labels } },
      });
      return this.getRevision(workspaceId, agent, number);
    },

    async listAgents(workspaceId: string, limit: number, before: string | null): Promise<Agent[]> {
      const { workspace, client } = scope(workspaceId);
      const rows = await client.agent.findMany({
        where: {
          workspaceId: workspace,
          latestRevision: { gt: 0 },
          ...(before === null ? {} : { id: { lt: before } }),
        },
        orderBy: { id: "desc" },
        take: limit,
        include: { revisions: { orderBy: { number: "desc" }, take: 1 } },
      });
      return rows.map(agentObject);
    },

    /** @throws Problem not_found */
    async getAgent(workspaceId: string, name: string): Promise<Agent> {
      const { workspace, client } = scope(workspaceId);
      const row = await client.agent.findFirst({
        where: { workspaceId: workspace, name, latestRevision: { gt: 0 } },
        include: { revisions: { orderBy: { number: "desc" }, take: 1 } },
      });
      if (row === null) throw new Problem("not_found", `There is no agent named ${name}.`);
      return agentObject(row);
    },

    async listRevisions(workspaceId: string, agent: string, limit: number, before: number | null): Promise<Revision[]> {
      const { workspace, client } = scope(workspaceId);
      const rows = await client.revision.findMany({
        where: {
          workspaceId: workspace,
          agent: { name: agent },
          ...(before === null ? {} : { number: { lt: before } }),
        },
        orderBy: { number: "desc" },
        take: limit,
      });
      if (rows.length === 0 && before === null) throw new Problem("not_found", `There is no agent named ${agent}.`);
      return rows.map((row) => revisionObject(agent, row));
    },

    /** @throws Problem not_found */
    async getRevision(workspaceId: string, agent: string, number: number): Promise<Revision> {
      const { workspace, client } = scope(workspaceId);
      const row = await client.revision.findFirst({
        where: { workspaceId: workspace, agent: { name: agent }, number },
      });
      if (row === null) throw new Problem("not_found", `There is no revision ${number} of an agent named ${agent}.`);
      return revisionObject(agent, row);
    },
  };
}
export type Deployments = ReturnType<typeof createDeployments>;

/** What became of a manifest, or would. */
export interface Deployed {
  readonly action: "create" | "update" | "unchanged";
  readonly before: AgentSpec | null;
  readonly settingsBefore: DeploySettings | null;
  /** Null = of a dry run, one that is not there yet. */
  readonly revision: number | null;
  readonly moved: boolean;
  /** Null = all to one. */
  readonly trafficBefore: TrafficPart[] | null;
  readonly traffic: TrafficPart[] | null;
}

interface DeployRow {
  readonly action: "create" | "update" | "unchanged";
  readonly before: AgentSpec | null;
  readonly settings_before: DeploySettings | null;
  readonly revision: number | null;
  readonly moved: boolean;
  /** Null = all to one. */
  readonly traffic_before: TrafficPart[] | null;
  readonly traffic: TrafficPart[] | null;
}

interface CanaryRow {
  readonly deployment: string;
  readonly version: string;
  readonly rule: CanaryRule;
  readonly since_ms: number;
  readonly runs: number;
  readonly failed: number;
  readonly latency_ms: number;
  readonly cost_micros: number;
}

function deploymentObject(row: {
  id: string;
  name: string;
  revision: number;
  createdAt: Date;
  updatedAt: Date;
  agent: { name: string };
  current: { spec: unknown; drifts: readonly { entry: string; tool: string; what: string; since: Date }[] };
  onThreadBusy: string;
  onLimit: string;
  concurrency: number | null;
  traffic: unknown;
  canary: unknown;
  release: number;
  pausedAt: Date | null;
  pauseReason: string | null;
}): StoredDeployment {
  const { model } = row.current.spec as AgentSpec;
  return {
    id: idOf("deployment", row.id),
    name: row.name,
    agent: row.agent.name,
    revision: row.revision,
    model: model.name,
    fallbacks: [...(model.fallbacks ?? [])],
    on_thread_busy: row.onThreadBusy as OnThreadBusy,
    on_limit: row.onLimit as OnLimit,
    concurrency: row.concurrency,
    release: row.release,
    traffic: trafficOf(row),
    canary: canaryOf(row.canary),
    paused: row.pausedAt === null ? null : { at: instant(row.pausedAt), reason: row.pauseReason },
    drifts: row.current.drifts.map(({ entry, tool, what, since }) => ({
      entry,
      tool,
      what: what as ToolDrift["what"],
      since: instant(since),
    })),
    created_at: instant(row.createdAt),
    updated_at: instant(row.updatedAt),
  };
}

const trafficOf = ({ traffic, revision }: { traffic: unknown; revision: number }): TrafficPart[] =>
  (traffic as TrafficPart[] | null) ?? [{ revision, percent: 100 }];

function canaryOf(stored: unknown): CanaryRule | null {
  if (stored === null) return null;
  const rule = stored as CanaryRule;
  return { ...rule, since: instant(rule.since) };
}

function agentObject(row: {
  id: string;
  name: string;
  latestRevision: number;
  createdAt: Date;
  updatedAt: Date;
  revisions: readonly { spec: unknown }[];
}): Agent {
  const spec = row.revisions[0]?.spec as AgentSpec | undefined;
  return {
    id: idOf("agent", row.id),
    name: row.name,
    description: spec?.description ?? "",
    labels: { ...spec?.labels },
    latest_revision: row.latestRevision,
    created_at: instant(row.createdAt),
    updated_at: instant(row.updatedAt),
  };
}

function revisionObject(
  agent: string,
  row: { number: number; digest: string; spec: unknown; labels: unknown; createdAt: Date },
): Revision {
  return {
    agent,
    number: row.number,
    digest: row.digest,
    spec: row.spec as Record<string, unknown>,
    labels: row.labels as Record<string, string>,
    created_at: instant(row.createdAt),
  };
}
