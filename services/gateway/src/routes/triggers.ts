import { type JsonSchema, type NewTrigger, Problem, type ProblemDetail, type TriggerChange } from "@maru/contract";
import { isPointer, newTriggerSecret, type Sealer, templatePlaces } from "@maru/domain";
import type { Store, StoredTrigger, TriggerFields } from "@maru/store";
import { schemaProblems } from "@maru/tools";
import type { FastifyRequest } from "fastify";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { ifMatch } from "./deployments.ts";
import { uuidPosition } from "./positions.ts";

export interface TriggerDeps {
  readonly store: Pick<Store, "triggers" | "deployments">;
  readonly pages: Pages;
  readonly sealer: Sealer;
}

export function triggerRoutes({ store, pages, sealer }: TriggerDeps) {
  const { triggers } = store;

  /** The trigger to change, if it is as the caller last saw it. @throws Problem not_found, precondition_failed */
  const seen = async (workspaceId: string, id: string, request: FastifyRequest): Promise<StoredTrigger> => {
    const found = await triggers.get(workspaceId, id);
    const tag = ifMatch(request.headers["if-match"]);
    if (tag !== null && tag !== version(found))
      throw new Problem("precondition_failed", "The trigger was changed: read it again and repeat with its new ETag.");
    return found;
  };

  /** @throws Problem template_error, filter_invalid; not_found for a deployment that is not there */
  const check = async (workspaceId: string, { deployment, ...change }: TriggerChange): Promise<void> => {
    refuse("template_error", templateProblems(change));
    const { filter } = change;
    if (filter)
      refuse(
        "filter_invalid",
        schemaProblems(filter as JsonSchema, "/filter").map((problem) => ({ ...problem, code: "filter_invalid" })),
      );
    if (deployment !== undefined) await store.deployments.get(workspaceId, deployment);
  };

  return {
    createTrigger: async ({ caller, body }) => {
      const { workspaceId, apiKeyId } = caller;
      await check(workspaceId, body);
      const auth = body.auth ?? "token";
      const secret = newTriggerSecret(auth);
      const fields = { ...DEFAULTS, ...fieldsOf(body) } as TriggerFields;
      const made = await triggers.add(workspaceId, fields, auth, apiKeyId, (id) => sealer.seal(secret, id));
      return {
        status: 201,
        headers: { etag: `"${version(made)}"`, location: `/v1/triggers/${made.trigger.id}` },
        body: { trigger: made.trigger, secret },
      };
    },

    listTriggers: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        "triggers",
        caller.workspaceId,
        query,
        (limit, before) => triggers.list(caller.workspaceId, limit, before),
        uuidPosition("trigger"),
      ),
    }),

    getTrigger: async ({ caller, params }) => shown(await triggers.get(caller.workspaceId, params.trigger)),

    updateTrigger: async ({ caller, params, body, request }) => {
      const before = await seen(caller.workspaceId, params.trigger, request);
      await check(caller.workspaceId, body);
      return shown(await triggers.change(caller.workspaceId, before, fieldsOf(body)));
    },

    deleteTrigger: async ({ caller, params, request }) => {
      await triggers.remove(caller.workspaceId, await seen(caller.workspaceId, params.trigger, request));
      return { status: 204 };
    },

    rotateTriggerSecret: async ({ caller, params }) => {
      const { trigger } = await triggers.get(caller.workspaceId, params.trigger);
      const secret = newTriggerSecret(trigger.auth);
      const rotated = await triggers.rotate(caller.workspaceId, trigger.id, sealer.seal(secret, trigger.id));
      return {
        status: 200,
        headers: { etag: `"${version(rotated)}"` },
        body: { trigger: rotated.trigger, secret },
      };
    },

    listTriggerDeliveries: async ({ caller, params, query }) => ({
      status: 200,
      body: await pages.read(
        `trigger deliveries ${params.trigger}`,
        caller.workspaceId,
        query,
        (limit, before) => triggers.deliveries(caller.workspaceId, params.trigger, limit, before),
        uuidPosition("triggerDelivery"),
      ),
    }),
  } satisfies Partial<Handlers>;
}

const DEFAULTS = { metadata: {}, filter: null, thread: null, onThreadBusy: null, enabled: true } as const;

/** The fields a request names, and no others. */
function fieldsOf(change: NewTrigger | TriggerChange): Partial<TriggerFields> {
  const { on_thread_busy: onThreadBusy, name, deployment, input, metadata, filter, thread, enabled } = change;
  const named = { name, deployment, input, metadata, filter, thread, enabled, onThreadBusy };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}

function templateProblems({ input, metadata, thread }: TriggerChange): ProblemDetail[] {
  const templates: [string, string][] = [
    ...(input === undefined ? [] : [["/input", input] as [string, string]]),
    ...Object.entries(metadata ?? {}).map(([name, text]): [string, string] => [`/metadata/${name}`, text]),
  ];
  const code = "template_error";
  const problems = templates.flatMap(([pointer, text]): ProblemDetail[] => {
    const places = templatePlaces(text);
    if (places === null) return [{ pointer, code, detail: "opens a place with {{ that no }} closes" }];
    const unknown = places.find((place) => place !== "body" && place !== "name" && !isPointer(place));
    return unknown === undefined
      ? []
      : [
          {
            pointer,
            code,
            detail: `has the unknown place {{${unknown}}}: there are {{body}}, {{name}}, and JSON pointers into the body as {{/issue/title}}`,
          },
        ];
  });
  if (thread && !isPointer(thread))
    problems.push({ pointer: "/thread", code, detail: "must be a JSON pointer into the body, as /conversation/id" });
  return problems;
}

function refuse(code: "template_error" | "filter_invalid", errors: readonly ProblemDetail[]): void {
  const [first] = errors;
  if (first !== undefined) throw new Problem(code, `${first.pointer} ${first.detail}`, { errors });
}

const version = ({ trigger, generation }: StoredTrigger): string => `${trigger.id}:${generation}`;

const shown = (found: StoredTrigger) => ({
  status: 200 as const,
  headers: { etag: `"${version(found)}"` },
  body: found.trigger,
});
