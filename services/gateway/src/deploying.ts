import {
  type AgentSpec,
  type DeployResult,
  type DeploySettings,
  type DeployWarning,
  LIMITS,
  type ModelRequest,
  type PlanChange,
  type PolicyRules,
  Problem,
  type ProblemCode,
  type ProblemDetail,
  type Quota,
  type Rollout,
} from "@maru/contract";
import {
  diffSpecs,
  manifestDigest,
  manifestRefusal,
  manifestRefusalOf,
  type NormalManifest,
  normaliseManifest,
  type ParsedManifest,
} from "@maru/domain";
import { DEFAULT_MODEL_ID, estimateRequestTokens } from "@maru/model";
import type { createSecretReader, Deployed, Store, StoredDeployment } from "@maru/store";
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
import type { Shelf } from "./models/shelf.ts";

export interface DeployingDeps {
  readonly store: Store;
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

/** What a workspace has and allows when it deploys. */
interface Circumstances {
  readonly shelf: Shelf;
  readonly policy: PolicyRules;
}

/** A manifest that could be deployed. */
interface Plan {
  readonly normal: NormalManifest;
  readonly spec: AgentSpec;
  readonly digest: string;
  readonly warnings: readonly DeployWarning[];
}

export interface DeployOptions {
  readonly shelf: Shelf;
  readonly dryRun: boolean;
  readonly ifMatch: string | null;
  readonly by: string;
  readonly note: string | null;
  shown(deployment: StoredDeployment): NonNullable<DeployResult["deployment"]>;
}

/** Deploys manifests: checks all of them, and then writes all of them or none. */
export function createDeploying(deps: DeployingDeps) {
  const { store, allowedHosts, mcpStdio, egress, sandbox, closing } = deps;
  const { deployments } = store;

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
    throw manifestRefusalOf(
      problems.map(({ within, ...problem }) => ({ ...problem, ...locate(problem.pointer, within ?? undefined) })),
    );
  };

  /**
   * Agents a manifest calls must be there or come with it, and no way may lead from them back to it. What others call is looked at
   * as it is now; a run looks again when it calls.
   */
  const refuseAgents = async (
    workspaceId: string,
    { spec, deployment: name }: NormalManifest,
    together: readonly NormalManifest[],
    locate: ParsedManifest["locate"],
  ) => {
    const called = spec.tools.flatMap((tool, index) =>
      tool.type === "agent" ? [{ name: tool.deployment, index }] : [],
    );
    if (called.length === 0) return;
    const coming = new Map(together.map((other) => [other.deployment, agentsOf(other.spec)]));
    /** By the name of a deployment: the way to it. */
    const ways = new Map(called.map((call) => [call.name, { index: call.index, line: [call.name] }]));
    const problems: ProblemDetail[] = [];
    const report = (index: number, code: ProblemCode, detail: string) =>
      problems.push({ pointer: `/spec/tools/${index}/deployment`, code, detail });
    for (let next = [...ways.keys()]; next.length > 0; ) {
      const there = await store.children.called(
        workspaceId,
        next.filter((other) => other !== name && !coming.has(other)),
      );
      const after: string[] = [];
      for (const other of next) {
        const { index, line } = ways.get(other) as { index: number; line: string[] };
        const calls = coming.get(other) ?? there.get(other);
        if (other === name) {
          report(index, "agent_cycle", `This agent would call itself: ${[name, ...line].join(" → ")}.`);
          continue;
        }
        if (calls === undefined && line.length === 1)
          report(index, "unknown_agent", `There is no deployment named ${other}: deploy it first, or with this one.`);
        for (const further of calls ?? []) {
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

  const normalise = async (
    workspaceId: string,
    { value, locate }: ParsedManifest,
    { shelf, policy }: Circumstances,
  ): Promise<NormalManifest> => {
    const secrets = await secretsFor(workspaceId, value);
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
    const places = inWritten(locate, normal);
    const unreachable = endpointProblems(normal.spec, shelf, policy);
    if (unreachable.length > 0) throw manifestRefusal(unreachable, { locate: places });
    await refuseBrokenSources(normal.spec, places);
    return normal;
  };

  const pin = async (
    workspaceId: string,
    manifest: ParsedManifest,
    normal: NormalManifest,
    policy: PolicyRules,
  ): Promise<Plan> => {
    const { tools, problems, warnings } = await pinTools(normal.spec.tools, {
      egress: egress.forWorkspace(workspaceId),
      allowedHosts,
      mcpStdio,
      secrets: (names) => deps.secrets(workspaceId, normal.spec.name, names),
      signal: closing,
    });
    const locate = inWritten(manifest.locate, normal);
    // Again, of what entries stand for is known only now.
    const refused = [
      ...problems,
      ...tools.flatMap((tool, index) => policyProblems(tool, `/spec/tools/${index}`, policy)),
    ];
    if (refused.length > 0) throw manifestRefusal(refused, { locate });
    const spec: AgentSpec = { ...normal.spec, tools };
    return {
      normal,
      spec,
      digest: manifestDigest(spec),
      warnings: [...normal.warnings, ...warnings].map((warning) => ({ ...warning, ...locate(warning.pointer) })),
    };
  };

  /** @throws Problem with everything that is wrong with any of them */
  const plan = async (workspaceId: string, manifests: readonly ParsedManifest[], shelf: Shelf): Promise<Plan[]> => {
    refuseSize(manifests);
    const { policy } = await store.policies.read(workspaceId);
    const normal = await together(manifests, (manifest) => normalise(workspaceId, manifest, { shelf, policy }));
    refuseSameDeployment(manifests, normal);
    await together(manifests, async ({ locate }, index) => {
      const own = normal[index] as NormalManifest;
      return refuseAgents(workspaceId, own, normal, inWritten(locate, own));
    });
    return together(manifests, (manifest, index) =>
      pin(workspaceId, manifest, normal[index] as NormalManifest, policy),
    );
  };

  return {
    /**
     * Answers in the order of the manifests.
     * @throws Problem with everything that is wrong with any of them, name_taken, precondition_failed: then nothing is written
     */
    async deploy(
      workspaceId: string,
      manifests: readonly ParsedManifest[],
      options: DeployOptions,
    ): Promise<{ result: DeployResult; version: string | null }[]> {
      const { shelf, dryRun, ifMatch, by, note } = options;
      const plans = await plan(workspaceId, manifests, shelf);
      const request = ({ normal, spec, digest }: Plan, dry: boolean) => ({
        spec,
        digest,
        deployment: normal.deployment,
        reserveTokens: reserveTokens(spec, shelf),
        dryRun: dry,
        ifMatch,
        settings: normal.settings,
        rollout: normal.rollout,
        by,
        note,
      });
      // Tried one by one, of several it is known which of them is refused.
      if (plans.length > 1 && !dryRun)
        await together(manifests, (_, index) => deployments.deploy(workspaceId, [request(plans[index] as Plan, true)]));
      const results = dryRun
        ? await together(manifests, async (_, index) => {
            const [result] = await deployments.deploy(workspaceId, [request(plans[index] as Plan, true)]);
            return result as Deployed;
          })
        : await deployments.deploy(
            workspaceId,
            plans.map((item) => request(item, false)),
          );
      const noRoom = quotaWarnings(await store.quotas.get(workspaceId, { look: true }));
      return Promise.all(
        plans.map(async (item, index) => {
          const result = results[index] as Deployed;
          const exists = result.action !== "create" || !dryRun;
          const current = exists ? await deployments.get(workspaceId, item.normal.deployment) : null;
          return {
            version: current?.version ?? null,
            result: {
              action: result.action,
              dry_run: dryRun,
              deployment: current === null ? null : options.shown(current.deployment),
              revision: result.revision,
              digest: item.digest,
              changes: changesOf(result, item),
              warnings: [...item.warnings, ...aloneWarnings(item.normal, result), ...noRoom],
            },
          };
        }),
      );
    },
  };
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

/** A canary beside nothing is none: the first revision of a deployment takes all its runs. */
const aloneWarnings = ({ rollout }: { rollout: Rollout | null }, { action }: Deployed): DeployWarning[] =>
  rollout === null || action !== "create"
    ? []
    : [
        {
          pointer: "/deploy/traffic/canary",
          code: "canary_alone",
          detail:
            "The deployment is new, so all runs go to this revision: the next one that is deployed can be a canary beside it.",
        },
      ];

/** A deployment stands whether or not its runs are accepted now; who deploys wants to know. */
function quotaWarnings({ windows }: Quota): DeployWarning[] {
  const full = windows.filter(
    ({ subject, remaining, after }) => subject === "workspace" && remaining === 0 && after !== "frees",
  );
  return full.map(({ name, limit, resets_at: resets }) => ({
    pointer: "",
    code: "quota_exhausted",
    detail: `All of ${name} (${limit}) is used or held: runs are refused${resets === null ? "" : `, until ${resets}`}.`,
  }));
}

const agentsOf = (spec: AgentSpec): string[] =>
  spec.tools.flatMap((tool) => (tool.type === "agent" ? [tool.deployment] : []));

/** Does something for each of several manifests; what is wrong with any of them is one problem, which says of which. */
async function together<Done>(
  manifests: readonly ParsedManifest[],
  work: (manifest: ParsedManifest, index: number) => Promise<Done>,
): Promise<Done[]> {
  const [only] = manifests;
  if (only !== undefined && manifests.length === 1) return [await work(only, 0)];
  const settled = await Promise.allSettled(manifests.map(work));
  const errors: ProblemDetail[] = [];
  for (const [index, outcome] of settled.entries()) {
    if (outcome.status === "fulfilled") continue;
    const { reason } = outcome;
    if (!(reason instanceof Problem) || reason.status >= 500) throw reason;
    const found = reason.extras.errors ?? [
      {
        pointer: "",
        code: reason.code,
        detail: reason.detail ?? reason.message,
        ...(manifests[index] as ParsedManifest).locate(""),
      },
    ];
    errors.push(...found.map((error) => ({ ...error, document: index + 1 })));
  }
  if (errors.length > 0) throw manifestRefusalOf(errors);
  return settled.map((outcome) => (outcome as PromiseFulfilledResult<Done>).value);
}

function refuseSize(manifests: readonly ParsedManifest[]): void {
  if (manifests.length > LIMITS.manifestsAtOnce)
    throw new Problem(
      "limit_out_of_range",
      `${LIMITS.manifestsAtOnce} manifests may be deployed together, and these are ${manifests.length}.`,
    );
  for (const [index, { bytes }] of manifests.entries())
    if (bytes > LIMITS.manifestBytes)
      throw new Problem(
        "body_too_large",
        `A manifest may have at most ${LIMITS.manifestBytes} bytes, and ${manifests.length === 1 ? "this" : `number ${index + 1}`} has ${bytes}.`,
      );
}

function refuseSameDeployment(manifests: readonly ParsedManifest[], normal: readonly NormalManifest[]): void {
  const first = new Map<string, number>();
  const errors = normal.flatMap(({ deployment }, index): ProblemDetail[] => {
    const before = first.get(deployment);
    first.set(deployment, before ?? index);
    if (before === undefined) return [];
    const pointer = "/deploy/name";
    return [
      {
        pointer,
        code: "duplicate_deployment",
        detail: `Manifest ${before + 1} is of the deployment ${deployment} already: give one of them another deploy.name.`,
        ...manifests[index]?.locate(pointer),
        document: index + 1,
      },
    ];
  });
  if (errors.length > 0) throw manifestRefusalOf(errors);
}

function changesOf(result: Deployed, { spec, normal: { settings } }: Plan): PlanChange[] {
  if (result.action === "unchanged") return [];
  const before = result.settingsBefore;
  const settingChanges = (Object.keys(settings) as (keyof DeploySettings)[]).flatMap((name): PlanChange[] =>
    before === null || before[name] === settings[name]
      ? []
      : [{ path: `/deploy/${name}`, op: "change", before: before[name], after: settings[name] }],
  );
  return [...diffSpecs(result.before, spec), ...settingChanges, ...trafficChange(result)];
}

/** Where all the traffic goes to one revision, that is not said. */
function trafficChange({ moved, trafficBefore, traffic }: Deployed): PlanChange[] {
  if (!moved || (trafficBefore === null && traffic === null)) return [];
  return [{ path: "/deploy/traffic", op: "change", before: trafficBefore, after: traffic }];
}

/** Places in the text of what was written, for pointers of the version it was read as. */
const inWritten =
  (locate: ParsedManifest["locate"], { written }: NormalManifest): ParsedManifest["locate"] =>
  (pointer, within) =>
    locate(written(pointer), within);
