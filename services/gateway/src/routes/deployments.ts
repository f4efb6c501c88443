import {
  type AgentSpec,
  type DeploySettings,
  LIMITS,
  type ModelRequest,
  type PlanChange,
  Problem,
  type ProblemCode,
  type ProblemDetail,
} from "@maru/contract";
import {
  diffSpecs,
  manifestDigest,
  manifestRefusal,
  normaliseManifest,
  type ParsedManifest,
  parseManifestDocument,
} from "@maru/domain";
import { DEFAULT_MODEL_ID, estimateRequestTokens } from "@maru/model";
import type { createSecretReader, Store, StoredDeployment } from "@maru/store";
import {
  checkSources,
  checkToolSpec,
  type Egress,
  pinTools,
  prepareTools,
  type Sandbox,
  SandboxLost,
  schemaProblems,
  secretNamesIn,
} from "@maru/tools";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { deploymentObject, readShelf, type Serving, type Shelf } from "../models/shelf.ts";
import { uuidPosition } from "./positions.ts";

export interface DeploymentDeps {
  readonly store: Store;
  readonly pages: Pages;
  readonly serving: Serving;
  /** Private hosts the operator lets tools reach. */
  readonly allowedHosts: readonly string[];
  /** Whether MCP servers may be started as commands. */
  readonly mcpStdio: boolean;
  readonly egress: Egress;
  /** Loads the functions of manifests. */
  readonly sandbox: Sandbox;
  /** Values of an agent's secrets, for servers that are asked at deploy what tools they have. */
  readonly secrets: ReturnType<typeof createSecretReader>["read"];
  readonly closing: AbortSignal;
}

export function deploymentRoutes(deps: DeploymentDeps) {
  const { store, pages, serving, allowedHosts, mcpStdio, egress, sandbox, closing } = deps;
  const { deployments } = store;
  const shelfOf = (workspaceId: string) => readShelf(store.models, workspaceId, serving);
  const shown = (deployment: StoredDeployment, shelf: Shelf) => deploymentObject(deployment, shelf, serving);

  /** Tokens the first model call of a run may take beside its input. */
  const reserveTokens = (spec: AgentSpec, shelf: Shelf): number => {
    const model = shelf.find(spec.model.name)?.model;
    if (model === undefined) throw new Problem("unknown_model");
    const request: ModelRequest = {
      model,
      messages: [{ role: "system", content: spec.instructions }],
      tools: prepareTools(spec.tools, { egress }).declarations,
      thinking: spec.model.thinking,
      temperature: spec.model.temperature,
      topP: spec.model.topP,
      presencePenalty: spec.model.presencePenalty,
      seed: spec.model.seed,
      maxOutputTokens: spec.model.maxOutputTokens,
      parallelToolCalls: true,
    };
    return estimateRequestTokens(request) + spec.model.maxOutputTokens;
  };

  /** @throws Problem source_invalid with every source that does not load, unavailable when that can't be found out */
  const refuseBrokenSources = async (spec: AgentSpec, locate: ParsedManifest["locate"]) => {
    const problems = await checkSources(spec.tools, sandbox, closing).catch((error: unknown) => {
      if (error instanceof SandboxLost)
        throw new Problem("unavailable", "The sources could not be checked: try again.");
      throw error;
    });
    if (problems.length === 0) return;
    throw manifestRefusal(
      problems.map(({ within, ...problem }) => ({ ...problem, ...locate(problem.pointer, within ?? undefined) })),
      {},
    );
  };

  /**
   * Agents a manifest calls must be there, and no way may lead from them back to it. What they call is looked at as it is now;
   * a run looks again when it calls.
   */
  const refuseAgents = async (workspaceId: string, spec: AgentSpec, name: string, locate: ParsedManifest["locate"]) => {
    const called = spec.tools.flatMap((tool, index) =>
      tool.type === "agent" ? [{ name: tool.deployment, index }] : [],
    );
    if (called.length === 0) return;
    /** By the name of a deployment: the way to it. */
    const ways = new Map(called.map((call) => [call.name, { index: call.index, line: [call.name] }]));
    const problems: ProblemDetail[] = [];
    const report = (index: number, code: ProblemCode, detail: string) =>
      problems.push({ pointer: `/spec/tools/${index}/deployment`, code, detail });
    for (let next = [...ways.keys()]; next.length > 0; ) {
      const found = await store.children.called(
        workspaceId,
        next.filter((other) => other !== name),
      );
      const after: string[] = [];
      for (const other of next) {
        const { index, line } = ways.get(other) as { index: number; line: string[] };
        if (other === name)
          report(index, "agent_cycle", `This agent would call itself: ${[name, ...line].join(" → ")}.`);
        else if (!found.has(other) && line.length === 1)
          report(index, "unknown_agent", `There is no deployment named ${other}: deploy it first.`);
        for (const further of found.get(other) ?? []) {
          if (ways.has(further)) continue;
          ways.set(further, { index, line: [...line, further] });
          after.push(further);
        }
      }
      next = after;
    }
    if (problems.length > 0) throw manifestRefusal(problems, { locate });
  };

  /** Names of secrets a manifest may refer to; not looked up for one that refers to none. */
  const secretsFor = async (workspaceId: string, manifest: unknown): Promise<ReadonlySet<string>> => {
    const name = (manifest as { metadata?: { name?: unknown } } | null)?.metadata?.name;
    return typeof name === "string" && secretNamesIn(manifest).length > 0
      ? store.secrets.namesFor(workspaceId, name)
      : new Set();
  };

  return {
    deploy: async ({ caller, body, query, request }) => {
      const text = body as unknown as string;
      if (Buffer.byteLength(text) > LIMITS.manifestBytes) {
        throw new Problem("body_too_large", `A manifest may have at most ${LIMITS.manifestBytes} bytes.`);
      }
      const { value, locate } = parseManifestDocument(
        text,
        /json/i.test(request.headers["content-type"] ?? "") ? "json" : "yaml",
      );
      const shelf = await shelfOf(caller.workspaceId);
      const secrets = await secretsFor(caller.workspaceId, value);
      const normal = normaliseManifest(value, {
        findModel: (id) => shelf.find(id)?.model,
        isServed: (id) => shelf.find(id)?.status !== "unserved",
        modelIds: shelf.models.map(({ model }) => model.id),
        checkSchema: schemaProblems,
        defaultModelId: DEFAULT_MODEL_ID,
        checkTool: (tool, pointer) =>
          checkToolSpec(tool, pointer, { allowedHosts, mcpStdio, hasSecret: (name) => secrets.has(name) }),
        locate,
      });
      const { deployment: name, settings } = normal;
      await refuseBrokenSources(normal.spec, locate);
      await refuseAgents(caller.workspaceId, normal.spec, name, locate);
      const { tools, problems, warnings } = await pinTools(normal.spec.tools, {
        egress,
        mcpStdio,
        secrets: (names) => deps.secrets(caller.workspaceId, normal.spec.name, names),
        signal: closing,
      });
      if (problems.length > 0) throw manifestRefusal(problems, { locate });
      const spec: AgentSpec = { ...normal.spec, tools };
      const digest = manifestDigest(spec);
      const dryRun = query.dry_run ?? false;
      const result = await deployments.deploy(caller.workspaceId, {
        spec,
        digest,
        deployment: name,
        reserveTokens: reserveTokens(spec, shelf),
        dryRun,
        ifMatch: ifMatch(request.headers["if-match"]),
        settings,
      });
      const before = result.settingsBefore;
      const settingChanges = (Object.keys(settings) as (keyof DeploySettings)[]).flatMap((name): PlanChange[] =>
        before === null || before[name] === settings[name]
          ? []
          : [{ path: `/deploy/${name}`, op: "change", before: before[name], after: settings[name] }],
      );
      const exists = result.action !== "create" || !dryRun;
      const current = exists ? await deployments.get(caller.workspaceId, name) : null;
      return {
        status: result.action === "create" && !dryRun ? 201 : 200,
        headers: current === null ? {} : { etag: `"${current.version}"` },
        body: {
          action: result.action,
          dry_run: dryRun,
          deployment: current === null ? null : shown(current.deployment, shelf),
          revision: result.revision,
          digest,
          changes: result.action === "unchanged" ? [] : [...diffSpecs(result.before, spec), ...settingChanges],
          warnings: warnings.map(({ pointer, code, detail }) => ({ pointer, code, detail })),
        },
      };
    },

    listDeployments: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        "deployments",
        caller.workspaceId,
        query,
        async (limit, before) => {
          const found = await deployments.list(caller.workspaceId, limit, before);
          const shelf = await shelfOf(caller.workspaceId);
          return found.map((deployment) => shown(deployment, shelf));
        },
        uuidPosition("deployment"),
      ),
    }),

    getDeployment: async ({ caller, params }) => {
      const { deployment, version } = await deployments.get(caller.workspaceId, params.deployment);
      const shelf = await shelfOf(caller.workspaceId);
      return { status: 200, headers: { etag: `"${version}"` }, body: shown(deployment, shelf) };
    },

    listAgents: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        "agents",
        caller.workspaceId,
        query,
        (limit, before) => deployments.listAgents(caller.workspaceId, limit, before),
        uuidPosition("agent"),
      ),
    }),

    getAgent: async ({ caller, params }) => ({
      status: 200,
      body: await deployments.getAgent(caller.workspaceId, params.agent),
    }),

    listRevisions: async ({ caller, params, query }) => ({
      status: 200,
      body: await pages.read(
        `revisions ${params.agent}`,
        caller.workspaceId,
        query,
        (limit, before) =>
          deployments.listRevisions(caller.workspaceId, params.agent, limit, before === null ? null : Number(before)),
        ({ number }) => String(number),
      ),
    }),

    getRevision: async ({ caller, params }) => ({
      status: 200,
      body: await deployments.getRevision(caller.workspaceId, params.agent, params.number),
    }),
  } satisfies Partial<Handlers>;
}

/** The version an If-Match header names; null when there is none or it is `*`. */
export function ifMatch(header: string | undefined): string | null {
  if (header === undefined || header === "*") return null;
  const match = /^"([^"]+)"$/.exec(header.trim());
  if (match === null)
    throw new Problem("invalid_header", 'If-Match must be one entity tag in quotes, as ETag gave it, or "*".');
  return match[1] as string;
}
