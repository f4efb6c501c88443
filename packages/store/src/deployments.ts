import {
  type Agent,
  type AgentSpec,
  type Deployment,
  type DeploySettings,
  idOf,
  newId,
  type OnLimit,
  type OnThreadBusy,
  Problem,
  type Revision,
  uuidOf,
} from "@maru/contract";
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
     * Creates or rolls forward; the same digest as the revision in force changes nothing.
     * @throws Problem name_taken (the deployment's name belongs to another agent), precondition_failed
     */
    async deploy(workspaceId: string, request: DeployRequest) {
      try {
        const rows = await db.call<{ r: DeployRow }>("SELECT deploy_manifest($1) AS r", [
          {
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
          },
        ]);
        const { r } = only(rows);
        return { action: r.action, before: r.before, settingsBefore: r.settings_before, revision: r.revision };
      } catch (error) {
        return asProblem(error, {
          MD001: () => new Problem("name_taken", `The deployment ${request.deployment} belongs to another agent.`),
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
        where: { workspaceId: workspace, ...(before === null ? {} : { id: { lt: before } }) },
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

interface DeployRow {
  readonly action: "create" | "update" | "unchanged";
  readonly before: AgentSpec | null;
  readonly settings_before: DeploySettings | null;
  readonly revision: number | null;
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
  row: { number: number; digest: string; spec: unknown; createdAt: Date },
): Revision {
  return {
    agent,
    number: row.number,
    digest: row.digest,
    spec: row.spec as Record<string, unknown>,
    created_at: instant(row.createdAt),
  };
}
