import { Problem } from "@maru/contract";
import { newWebhookSecret, type Sealer } from "@maru/domain";
import type { Policies, StoredWebhook, Webhooks } from "@maru/store";
import { urlRefusal } from "@maru/tools";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { ifMatch } from "./deployments.ts";
import { refuseDenied } from "./policy.ts";
import { uuidPosition } from "./positions.ts";

export interface WebhookDeps {
  readonly webhooks: Webhooks;
  readonly policies: Policies;
  readonly pages: Pages;
  readonly sealer: Sealer;
  /** Private hosts the operator lets workspaces reach. */
  readonly allowedHosts: readonly string[];
}

export function webhookRoutes({ webhooks, policies, pages, sealer, allowedHosts }: WebhookDeps) {
  /** The webhook to change, if it is as the caller last saw it. @throws Problem not_found, precondition_failed */
  const seen = async (workspaceId: string, id: string, header: string | undefined): Promise<StoredWebhook> => {
    const found = await webhooks.get(workspaceId, id);
    const tag = ifMatch(header);
    if (tag !== null && tag !== version(found))
      throw new Problem("precondition_failed", "The webhook was changed: read it again and repeat with its new ETag.");
    return found;
  };

  return {
    createWebhook: async ({ caller, body }) => {
      checkUrl(body.url, allowedHosts);
      await refuseDenied(policies, caller.workspaceId, "/url", body.url);
      const secret = newWebhookSecret();
      const { url, events, description = "", enabled = true } = body;
      const made = await webhooks.add(caller.workspaceId, { url, events, description, enabled }, (id) =>
        sealer.seal(secret, id),
      );
      return {
        status: 201,
        headers: { etag: `"${version(made)}"`, location: `/v1/webhooks/${made.webhook.id}` },
        body: { webhook: made.webhook, secret },
      };
    },

    listWebhooks: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        "webhooks",
        caller.workspaceId,
        query,
        (limit, before) => webhooks.list(caller.workspaceId, limit, before),
        uuidPosition("webhook"),
      ),
    }),

    getWebhook: async ({ caller, params }) => shown(await webhooks.get(caller.workspaceId, params.webhook)),

    updateWebhook: async ({ caller, params, body, request }) => {
      if (body.url !== undefined) {
        checkUrl(body.url, allowedHosts);
        await refuseDenied(policies, caller.workspaceId, "/url", body.url);
      }
      const before = await seen(caller.workspaceId, params.webhook, request.headers["if-match"]);
      return shown(await webhooks.change(caller.workspaceId, before, body));
    },

    deleteWebhook: async ({ caller, params, request }) => {
      const before = await seen(caller.workspaceId, params.webhook, request.headers["if-match"]);
      await webhooks.remove(caller.workspaceId, before);
      return { status: 204 };
    },

    rotateWebhookSecret: async ({ caller, params }) => {
      const secret = newWebhookSecret();
      const rotated = await webhooks.rotate(caller.workspaceId, params.webhook, sealer.seal(secret, params.webhook));
      return {
        status: 200,
        headers: { etag: `"${version(rotated)}"` },
        body: { webhook: rotated.webhook, secret },
      };
    },

    testWebhook: async ({ caller, params }) => ({
      status: 202,
      body: await webhooks.test(caller.workspaceId, params.webhook),
    }),

    listWebhookDeliveries: async ({ caller, params, query }) => ({
      status: 200,
      body: await pages.read(
        `deliveries ${params.webhook} ${query.state ?? ""}`,
        caller.workspaceId,
        query,
        (limit, before) =>
          webhooks.deliveries(caller.workspaceId, params.webhook, { state: query.state ?? null, limit, before }),
        uuidPosition("webhookDelivery"),
      ),
    }),

    redeliverWebhook: async ({ caller, params }) => ({
      status: 202,
      body: await webhooks.redeliver(caller.workspaceId, params.webhook, params.delivery),
    }),
  } satisfies Partial<Handlers>;
}

const version = ({ webhook, generation }: StoredWebhook): string => `${webhook.id}:${generation}`;

const shown = (found: StoredWebhook) => ({
  status: 200 as const,
  headers: { etag: `"${version(found)}"` },
  body: found.webhook,
});

/** @throws Problem url_not_allowed. What a name resolves to is judged when it is connected to. */
function checkUrl(url: string, allowedHosts: readonly string[]): void {
  const wrong =
    urlRefusal(url, allowedHosts) ??
    (url.startsWith("https://") || allowedHosts.includes(new URL(url).host) ? null : "must begin with https://");
  if (wrong === null) return;
  const detail = `url ${wrong}.`;
  throw new Problem("url_not_allowed", detail, { errors: [{ pointer: "/url", code: "url_not_allowed", detail }] });
}
