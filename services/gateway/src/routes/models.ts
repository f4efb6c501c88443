import { Problem } from "@maru/contract";
import type { Sealer } from "@maru/domain";
import { findModel } from "@maru/model";
import type { Endpoint, Models, Policies } from "@maru/store";
import type { Handlers } from "../http/bind.ts";
import { changedEndpointFields, newEndpointFields } from "../models/endpoint-fields.ts";
import { modelObject, readShelf, type Serving, type Shelved } from "../models/shelf.ts";
import { ifMatch } from "./deployments.ts";
import { refuseDenied } from "./policy.ts";

export interface ModelDeps {
  readonly models: Models;
  readonly policies: Policies;
  readonly serving: Serving;
  readonly sealer: Sealer;
  readonly allowedHosts: readonly string[];
  readonly now: () => number;
}

export function modelRoutes({ models, policies, serving, sealer, allowedHosts, now }: ModelDeps) {
  const rules = { sealer, allowedHosts };
  const shown = (shelved: Shelved) => modelObject(shelved, serving, now());
  const found = async (workspaceId: string, name: string): Promise<Shelved> => {
    const shelved = (await readShelf(models, workspaceId, serving)).find(name);
    if (shelved === undefined) throw new Problem("not_found", `There is no model ${name}.`);
    return shelved;
  };
  /** The endpoint to change, if it is as the caller last saw it. @throws Problem not_found, read_only, precondition_failed */
  const ownEndpoint = async (workspaceId: string, name: string, header: string | undefined): Promise<Endpoint> => {
    const { endpoint } = await found(workspaceId, name);
    if (endpoint === null)
      throw new Problem("read_only", `${name} is the catalogue's: only a workspace's own endpoints can be changed.`);
    const seen = ifMatch(header);
    if (seen !== null && seen !== version(endpoint))
      throw new Problem("precondition_failed", "The endpoint was changed: read it again and repeat with its new ETag.");
    return endpoint;
  };
  const reply = async (workspaceId: string, name: string) => {
    const shelved = await found(workspaceId, name);
    const headers: Record<string, string> = shelved.endpoint === null ? {} : { etag: `"${version(shelved.endpoint)}"` };
    return { headers, body: shown(shelved) };
  };

  return {
    listModels: async ({ caller }) => ({
      status: 200,
      body: { data: (await readShelf(models, caller.workspaceId, serving)).models.map(shown) },
    }),

    getModel: async ({ caller, params }) => ({ status: 200, ...(await reply(caller.workspaceId, params.model)) }),

    createModel: async ({ caller, body }) => {
      if (findModel(body.name) !== undefined)
        throw new Problem("name_taken", `The catalogue has a model named ${body.name}: choose another name.`);
      const fields = newEndpointFields(body, rules);
      await refuseDenied(policies, caller.workspaceId, "/base_url", fields.baseUrl);
      const { api_key: key } = body;
      await models.addEndpoint(caller.workspaceId, fields, key === undefined ? null : (id) => sealer.seal(key, id));
      const { headers, body: model } = await reply(caller.workspaceId, body.name);
      return { status: 201, headers: { ...headers, location: `/v1/models/${body.name}` }, body: model };
    },

    updateModel: async ({ caller, params, body, request }) => {
      const before = await ownEndpoint(caller.workspaceId, params.model, request.headers["if-match"]);
      const fields = changedEndpointFields(before, body, rules);
      if (body.base_url !== undefined) await refuseDenied(policies, caller.workspaceId, "/base_url", fields.baseUrl);
      await models.changeEndpoint(caller.workspaceId, before, fields);
      return { status: 200, ...(await reply(caller.workspaceId, params.model)) };
    },

    deleteModel: async ({ caller, params, request }) => {
      const before = await ownEndpoint(caller.workspaceId, params.model, request.headers["if-match"]);
      await models.removeEndpoint(caller.workspaceId, before);
      return { status: 204 };
    },
  } satisfies Partial<Handlers>;
}

const version = ({ id, generation }: Endpoint): string => `${id}:${generation}`;
