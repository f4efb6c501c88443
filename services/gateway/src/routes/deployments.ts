import {
  type AgentSpec,
  DEPLOY_RESULTS_TYPE,
  LIMITS,
  Problem,
  type Revision,
  type Rollout,
  type TrafficPart,
} from "@maru/contract";
import { denormaliseManifest, diffSpecs, manifestYaml, parseManifests, type WrittenDeploy } from "@maru/domain";
import { DEFAULT_MODEL_ID } from "@maru/model";
import type { ReleaseRequest, Store, StoredDeployment } from "@maru/store";
import type { FastifyRequest } from "fastify";
import type { Caller } from "../auth/authenticate.ts";
import { createDeploying, type DeployingDeps } from "../deploying.ts";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { deploymentObject, readShelf, type Serving, type Shelf } from "../models/shelf.ts";
import type { RunControl } from "../runs.ts";
import { uuidPosition } from "./positions.ts";
import { answererOf } from "./runs.ts";

export interface DeploymentDeps extends DeployingDeps {
  readonly store: Store;
  readonly control: RunControl;
  readonly pages: Pages;
  readonly serving: Serving;
}

export function deploymentRoutes(deps: DeploymentDeps) {
  const { store, control, pages, serving } = deps;
  const { deployments } = store;
  const deploying = createDeploying(deps);
  const shelfOf = (workspaceId: string) => readShelf(store.models, workspaceId, serving);
  const shown = (deployment: StoredDeployment, shelf: Shelf) => deploymentObject(deployment, shelf, serving);

  /** A revision's manifest in the form the caller takes. */
  const written = async (
    request: FastifyRequest,
    workspaceId: string,
    revision: Revision,
    deploy: WrittenDeploy | null,
  ) => {
    const shelf = await shelfOf(workspaceId);
    const manifest = denormaliseManifest(revision.spec as unknown as AgentSpec, deploy, {
      findModel: (id) => shelf.find(id)?.model,
      defaultModelId: DEFAULT_MODEL_ID,
    });
    const json = wantsJson(request);
    return {
      status: 200 as const,
      headers: { vary: "accept" },
      other: json
        ? { type: "application/json", body: JSON.stringify(manifest) }
        : { type: "application/yaml", body: manifestYaml(manifest) },
    };
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
      const bytes = Buffer.byteLength(text);
      // Before it is read, since reading is the work.
      if (bytes > (SEPARATOR.test(text) ? LIMITS.manifestsBytes : LIMITS.manifestBytes))
        throw new Problem(
          "body_too_large",
          `A manifest may have at most ${LIMITS.manifestBytes} bytes, several together ${LIMITS.manifestsBytes}, and this has ${bytes}.`,
        );
      const json = /json/i.test(request.headers["content-type"] ?? "");
      const manifests = parseManifests(text, json ? "json" : "yaml");
      const version = ifMatch(request.headers["if-match"]);
      if (version !== null && manifests.length > 1)
        throw new Problem("invalid_header", "If-Match is of one deployment: send its manifest alone.");
      const dryRun = query.dry_run ?? false;
      const shelf = await shelfOf(caller.workspaceId);
      const done = await deploying.deploy(caller.workspaceId, manifests, {
        shelf,
        dryRun,
        ifMatch: version,
        by: answererOf(caller),
        note: query.note ?? null,
        shown: (deployment) => shown(deployment, shelf),
      });
      const status = !dryRun && done.some(({ result }) => result.action === "create") ? 201 : 200;
      const [only] = done;
      if (only === undefined || done.length > 1) {
        const results = done.map(({ result }) => result);
        return { status, other: { type: DEPLOY_RESULTS_TYPE, body: JSON.stringify({ results }) } };
      }
      return { status, headers: only.version === null ? {} : { etag: `"${only.version}"` }, body: only.result };
    },

    getDeploymentManifest: async ({ caller, params, request }) => {
      const { deployment } = await deployments.get(caller.workspaceId, params.deployment);
      const rollout = rolloutOf(deployment);
      const number = rollout === null ? deployment.revision : rollout.revision;
      const revision = await deployments.getRevision(caller.workspaceId, deployment.agent, number);
      return written(request, caller.workspaceId, revision, {
        deployment: deployment.name,
        settings: {
          onThreadBusy: deployment.on_thread_busy,
          onLimit: deployment.on_limit,
          concurrency: deployment.concurrency,
        },
        rollout: rollout?.rule ?? null,
      });
    },

    getRevisionManifest: async ({ caller, params, request }) =>
      written(
        request,
        caller.workspaceId,
        await deployments.getRevision(caller.workspaceId, params.agent, params.number),
        null,
      ),

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

/** Between manifests of one body. */
const SEPARATOR = /^---(?:\s|$)/m;

/** JSON where it is named and YAML is not. */
function wantsJson({ headers: { accept = "" } }: FastifyRequest): boolean {
  return /json/i.test(accept) && !/yaml/i.test(accept);
}

/** The canary a manifest would make of a deployment, as it is now; null when no manifest would: a split is the work of a hand. */
function rolloutOf({ canary, revision, traffic }: StoredDeployment): { revision: number; rule: Rollout } | null {
  const part = traffic.find((item) => item.revision === canary?.revision);
  if (canary === null || part === undefined || canary.revision === revision || traffic.length !== 2) return null;
  const { promote, rollback } = canary;
  return {
    revision: canary.revision,
    rule: {
      percent: part.percent,
      ...(promote === undefined ? {} : { promote }),
      ...(rollback === undefined ? {} : { rollback }),
    },
  };
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
