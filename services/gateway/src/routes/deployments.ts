import {
  type AgentSpec,
  type DeploySettings,
  LIMITS,
  type ModelRequest,
  type PlanChange,
  type PolicyRules,
  Problem,
  type ProblemCode,
  type ProblemDetail,
  type Quota,
  type Revision,
  type TrafficPart,
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
import type { createSecretReader, ReleaseRequest, Store, StoredDeployment } from "@maru/store";
import {
  checkSources,
  checkToolSpec,
  type EgressGate,
  hostProblems,
  pinTools,
  policyProblems,
  prepareTools,
  type Sandbox,
  SandboxLost,
  schemaProblems,
  secretNamesIn,
  UNCALLED,
} from "@maru/tools";
import type { FastifyRequest } from "fastify";
import type { Caller } from "../auth/authenticate.ts";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { deploymentObject, readShelf, type Serving, type Shelf } from "../models/shelf.ts";
import type { RunControl } from "../runs.ts";
import { uuidPosition } from "./positions.ts";
import { answererOf } from "./runs.ts";

export interface DeploymentDeps {
  readonly store: Store;
  readonly control: RunControl;
  readonly pages: Pages;
  readonly serving: Serving;
  /** Private hosts the operator lets tools reach. */
  readonly allowedHosts: readonly string[];
  /** Whether MCP servers may be started as commands. */
  readonly mcpStdio: boolean;
  readonly egress: EgressGate;
  /** Loads the functions of manifests. */
  readonly sandbox: Sandbox;
  /** Values of an agent's secrets, for servers that are asked at deploy what tools they have. */
  readonly secrets: ReturnType<typeof createSecretReader>["read"];
  readonly closing: AbortSignal;
}

export function deploymentRoutes(deps: DeploymentDeps) {
  const { store, control, pages, serving, allowedHosts, mcpStdio, egress, sandbox, closing } = deps;
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
      tools: prepareTools(spec.tools, UNCALLED).declarations,
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

  interface Released {
    readonly caller: Caller;
    readonly name: string;
    readonly request: FastifyRequest;
    readonly note: string | null;
  }
  const releaseOf = ({ caller, name, request, note }: Released, change: ReleaseRequest["change"]) =>
    deployments.release(caller.workspaceId, {
      deployment: name,
      ifMatch: ifMatch(request.headers["if-match"]),
      by: answererOf(caller),
      note,
      change,
    });
  const released = async (asked: Released, change: ReleaseRequest["change"]) => {
    await releaseOf(asked, change);
    const { deployment, version } = await deployments.get(asked.caller.workspaceId, asked.name);
    const shelf = await shelfOf(asked.caller.workspaceId);
    return { status: 200 as const, headers: { etag: `"${version}"` }, body: shown(deployment, shelf) };
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
      const { policy } = await store.policies.read(caller.workspaceId);
      const normal = normaliseManifest(value, {
        findModel: (id) => shelf.find(id)?.model,
        isServed: (id) => shelf.find(id)?.status !== "unserved",
        modelIds: shelf.models.map(({ model }) => model.id),
        checkSchema: schemaProblems,
        defaultModelId: DEFAULT_MODEL_ID,
        checkTool: (tool, pointer) => [
          ...checkToolSpec(tool, pointer, { allowedHosts, mcpStdio, hasSecret: (name) => secrets.has(name) }),
          ...policyProblems(tool, pointer, policy),
        ],
        locate,
      });
      const { deployment: name, settings, rollout } = normal;
      const unreachable = endpointProblems(normal.spec, shelf, policy);
      if (unreachable.length > 0) throw manifestRefusal(unreachable, { locate });
      await refuseBrokenSources(normal.spec, locate);
      await refuseAgents(caller.workspaceId, normal.spec, name, locate);
      const { tools, problems, warnings } = await pinTools(normal.spec.tools, {
        egress: egress.forWorkspace(caller.workspaceId),
        allowedHosts,
        mcpStdio,
        secrets: (names) => deps.secrets(caller.workspaceId, normal.spec.name, names),
        signal: closing,
      });
      // Again, of what entries stand for is known only now.
      const refused = [
        ...problems,
        ...tools.flatMap((tool, index) => policyProblems(tool, `/spec/tools/${index}`, policy)),
      ];
      if (refused.length > 0) throw manifestRefusal(refused, { locate });
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
        rollout,
        by: answererOf(caller),
        note: query.note ?? null,
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
          changes:
            result.action === "unchanged"
              ? []
              : [...diffSpecs(result.before, spec), ...settingChanges, ...trafficChange(result)],
          warnings: [...warnings, ...quotaWarnings(await store.quotas.get(caller.workspaceId, { look: true }))].map(
            ({ pointer, code, detail }) => ({ pointer, code, detail }),
          ),
        },
      };
    },

    deleteDeployment: async ({ caller, params, query, request }) => {
      const { workspaceId } = caller;
      const name = params.deployment;
      const { id } = (await deployments.get(workspaceId, name)).deployment;
      await releaseOf({ caller, name, request, note: null }, { kind: "delete" });
      const left = await deployments.activeRuns(workspaceId, id);
      if (query.cancel_runs === true) for (const run of left) await control.cancel(request, workspaceId, run);
      return { status: 200, body: { name, runs: left.length } };
    },

    listReleases: async ({ caller, params, query }) => ({
      status: 200,
      body: await pages.read(
        `releases ${params.deployment}`,
        caller.workspaceId,
        query,
        (limit, before) =>
          deployments.releases(caller.workspaceId, params.deployment, limit, before === null ? null : Number(before)),
        ({ number }) => String(number),
      ),
    }),

    setTraffic: async ({ caller, params, body, request }) => {
      const split = trafficOf(body.split);
      return released(
        { caller, name: params.deployment, request, note: body.note ?? null },
        { kind: "traffic", split },
      );
    },
    promote: async ({ caller, params, body, request }) =>
      released(
        { caller, name: params.deployment, request, note: body.note ?? null },
        { kind: "promote", revision: body.revision ?? null },
      ),
    rollback: async ({ caller, params, body, request }) =>
      released(
        { caller, name: params.deployment, request, note: body.note ?? null },
        { kind: "rollback", release: body.release ?? null },
      ),
    pause: async ({ caller, params, body, request }) =>
      released({ caller, name: params.deployment, request, note: body.note ?? null }, { kind: "pause" }),
    resume: async ({ caller, params, body, request }) =>
      released({ caller, name: params.deployment, request, note: body.note ?? null }, { kind: "resume" }),

    labelRevision: async ({ caller, params, body }) => ({
      status: 200,
      body: await deployments.label(caller.workspaceId, params.agent, params.number, body.labels),
    }),

    diffRevisions: async ({ caller, params, query }) => {
      const { agent, number } = params;
      const to = await deployments.getRevision(caller.workspaceId, agent, number);
      const from = query.with ?? (number > 1 ? number - 1 : null);
      const before = from === null ? null : await deployments.getRevision(caller.workspaceId, agent, from);
      const specOf = (revision: Revision) => revision.spec as unknown as AgentSpec;
      return {
        status: 200,
        body: { agent, from, to: number, changes: diffSpecs(before === null ? null : specOf(before), specOf(to)) },
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

/** What a policy says against the hosts of the workspace's own endpoints that an agent uses. */
function endpointProblems({ model }: AgentSpec, shelf: Shelf, policy: PolicyRules): ProblemDetail[] {
  const named = [model.name, ...(model.fallbacks ?? [])];
  return named.flatMap((name, index) => {
    const url = shelf.find(name)?.endpoint?.baseUrl;
    const pointer = index === 0 ? "/spec/model/name" : `/spec/model/fallbacks/${index - 1}`;
    return url === undefined ? [] : hostProblems(url, pointer, policy);
  });
}

/** A deployment stands whether or not its runs are accepted now; who deploys wants to know. */
function quotaWarnings({ windows }: Quota): ProblemDetail[] {
  const full = windows.filter(
    ({ subject, remaining, after }) => subject === "workspace" && remaining === 0 && after !== "frees",
  );
  return full.map(({ name, limit, resets_at: resets }) => ({
    pointer: "",
    code: "quota_exhausted",
    detail: `All of ${name} (${limit}) is used or held: runs are refused${resets === null ? "" : `, until ${resets}`}.`,
  }));
}

/** Where all the traffic goes to one revision, that is not said. */
function trafficChange({
  moved,
  trafficBefore,
  traffic,
}: {
  moved: boolean;
  trafficBefore: unknown;
  traffic: unknown;
}): PlanChange[] {
  if (!moved || (trafficBefore === null && traffic === null)) return [];
  return [{ path: "/deploy/traffic", op: "change", before: trafficBefore, after: traffic }];
}

/** @throws Problem traffic_invalid */
function trafficOf(split: readonly TrafficPart[]): TrafficPart[] {
  const refuse = (detail: string): never => {
    throw new Problem("traffic_invalid", detail, { errors: [{ pointer: "/split", code: "traffic_invalid", detail }] });
  };
  const sum = split.reduce((total, { percent }) => total + percent, 0);
  if (sum !== 100) refuse(`The parts must sum to 100 percent, and these sum to ${sum}.`);
  if (new Set(split.map(({ revision }) => revision)).size < split.length) refuse("A revision may have one part only.");
  return split.filter(({ percent }) => percent > 0);
}

/** The version an If-Match header names; null when there is none or it is `*`. */
export function ifMatch(header: string | undefined): string | null {
  if (header === undefined || header === "*") return null;
  const match = /^"([^"]+)"$/.exec(header.trim());
  if (match === null)
    throw new Problem("invalid_header", 'If-Match must be one entity tag in quotes, as ETag gave it, or "*".');
  return match[1] as string;
}
