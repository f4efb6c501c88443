import { idOf, newId, Problem, uuidOf, type Webhook, type WebhookDelivery } from "@maru/contract";
import { asProblem, type Database, instant, instantOrNull, only } from "./database.ts";

/** What a workspace says of an endpoint. */
export type WebhookFields = Pick<Webhook, "url" | "events" | "description" | "enabled">;

/** An endpoint with the version its ETag names. */
export interface StoredWebhook {
  readonly webhook: Webhook;
  readonly generation: number;
}

/** Workspaces' webhook endpoints and the log of what was sent to them. Secrets are sealed before they come here. */
export function createWebhooks(db: Database) {
  const scope = (workspaceId: string, id: string) => {
    const workspace = uuidOf("workspace", workspaceId) as string;
    return { workspace, endpoint: uuidOf("webhook", id) as string, client: db.forWorkspace(workspace) };
  };
  const missing = (id: string) => new Problem("not_found", `There is no webhook ${id}.`);
  const changed = () => new Problem("precondition_failed", "The webhook was changed: read it again and repeat.");

  /** @throws Problem not_found */
  const get = async (workspaceId: string, id: string): Promise<StoredWebhook> => {
    const { workspace, endpoint, client } = scope(workspaceId, id);
    const row = await client.webhookEndpoint.findFirst({
      where: { workspaceId: workspace, id: endpoint, deletedAt: null },
    });
    if (row === null) throw missing(id);
    return stored(row);
  };

  const delivery = async (workspaceId: string, webhookId: string, id: string): Promise<WebhookDelivery> => {
    const { workspace, client } = scope(workspaceId, webhookId);
    const row = await client.webhookDelivery.findFirstOrThrow({
      where: { workspaceId: workspace, id },
      include: { event: true },
    });
    return deliveryObject(row);
  };

  return {
    get,

    /**
     * `seal` gets the new endpoint's id, to which its secret is bound.
     * @throws Problem limit_out_of_range
     */
    async add(workspaceId: string, fields: WebhookFields, seal: (id: string) => Uint8Array): Promise<StoredWebhook> {
      const id = newId("webhook");
      const { workspace, endpoint } = scope(workspaceId, id);
      const { url, events, description, enabled } = fields;
      try {
        const sealed = Buffer.from(seal(id));
        await db.call("SELECT add_webhook($1, $2, $3, $4, $5, $6, $7)", [
          workspace,
          endpoint,
          url,
          events,
          description,
          enabled,
          sealed,
        ]);
      } catch (error) {
        asProblem(error, {
          MW001: () => new Problem("limit_out_of_range", "A workspace may have 20 webhooks: delete one first."),
        });
      }
      return get(workspaceId, id);
    },

    async list(workspaceId: string, limit: number, before: string | null): Promise<Webhook[]> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const rows = await db.forWorkspace(workspace).webhookEndpoint.findMany({
        where: { workspaceId: workspace, deletedAt: null, ...(before === null ? {} : { id: { lt: before } }) },
        orderBy: { id: "desc" },
        take: limit,
      });
      return rows.map((row) => stored(row).webhook);
    },

    /**
     * Changes an endpoint as it was when `before` was read; what disabled it is forgotten when it is enabled.
     * @throws Problem precondition_failed (it was changed or deleted since)
     */
    async change(workspaceId: string, before: StoredWebhook, fields: Partial<WebhookFields>): Promise<StoredWebhook> {
      const { workspace, endpoint, client } = scope(workspaceId, before.webhook.id);
      const { count } = await client.webhookEndpoint.updateMany({
        where: { workspaceId: workspace, id: endpoint, generation: before.generation, deletedAt: null },
        data: {
          ...fields,
          ...(fields.enabled === true ? { disabledReason: null } : {}),
          generation: before.generation + 1,
          updatedAt: new Date(),
        },
      });
      if (count === 0) throw changed();
      return get(workspaceId, before.webhook.id);
    },

    /** @throws Problem precondition_failed (it was changed or deleted since it was read) */
    async remove(workspaceId: string, before: StoredWebhook): Promise<void> {
      const { workspace, endpoint, client } = scope(workspaceId, before.webhook.id);
      const { count } = await client.webhookEndpoint.updateMany({
        where: { workspaceId: workspace, id: endpoint, generation: before.generation, deletedAt: null },
        data: {
          enabled: false,
          deletedAt: new Date(),
          sealedSecret: new Uint8Array(),
          sealedPrevious: null,
          generation: before.generation + 1,
        },
      });
      if (count === 0) throw changed();
    },

    /** Puts a new secret in place; the one before it signs for 24 hours more. @throws Problem not_found */
    async rotate(workspaceId: string, id: string, sealed: Uint8Array): Promise<StoredWebhook> {
      const { workspace, endpoint } = scope(workspaceId, id);
      const rows = await db.call<{ rotated: boolean }>("SELECT rotate_webhook_secret($1, $2, $3) AS rotated", [
        workspace,
        endpoint,
        Buffer.from(sealed),
      ]);
      if (!only(rows).rotated) throw missing(id);
      return get(workspaceId, id);
    },

    /** Newest first. @throws Problem not_found */
    async deliveries(
      workspaceId: string,
      id: string,
      filter: { state: WebhookDelivery["state"] | null; limit: number; before: string | null },
    ): Promise<WebhookDelivery[]> {
      await get(workspaceId, id);
      const { workspace, endpoint, client } = scope(workspaceId, id);
      const rows = await client.webhookDelivery.findMany({
        where: {
          workspaceId: workspace,
          endpointId: endpoint,
          ...(filter.state === null ? {} : { state: filter.state }),
          ...(filter.before === null ? {} : { id: { lt: filter.before } }),
        },
        orderBy: { id: "desc" },
        take: filter.limit,
        include: { event: true },
      });
      return rows.map(deliveryObject);
    },

    /** Sends a `webhook.test` event. @throws Problem not_found, webhook_disabled */
    async test(workspaceId: string, id: string): Promise<WebhookDelivery> {
      const { workspace, endpoint } = scope(workspaceId, id);
      const made = await sent(db.call<Sent>("SELECT test_webhook($1, $2) AS id", [workspace, endpoint]));
      if (made === null) throw missing(id);
      return delivery(workspaceId, id, made);
    },

    /** Sends a delivery's event again, or tries a pending one now. @throws Problem not_found, webhook_disabled */
    async redeliver(workspaceId: string, id: string, deliveryId: string): Promise<WebhookDelivery> {
      const { workspace, endpoint } = scope(workspaceId, id);
      const made = await sent(
        db.call<Sent>("SELECT redeliver_webhook($1, $2, $3) AS id", [
          workspace,
          endpoint,
          uuidOf("webhookDelivery", deliveryId),
        ]),
      );
      if (made === null) throw new Problem("not_found", `There is no delivery ${deliveryId} of webhook ${id}.`);
      return delivery(workspaceId, id, made);
    },
  };
}
export type Webhooks = ReturnType<typeof createWebhooks>;

interface Sent {
  readonly id: string | null;
}

async function sent(rows: Promise<Sent[]>): Promise<string | null> {
  try {
    return only(await rows).id;
  } catch (error) {
    return asProblem(error, {
      MW002: () => new Problem("webhook_disabled", "Nothing is sent to a disabled webhook: enable it first."),
    });
  }
}

function stored(row: {
  id: string;
  url: string;
  events: string[];
  description: string;
  enabled: boolean;
  disabledReason: string | null;
  sealedPrevious: Uint8Array | null;
  previousUntil: Date | null;
  generation: number;
  createdAt: Date;
  updatedAt: Date;
}): StoredWebhook {
  return {
    webhook: {
      id: idOf("webhook", row.id),
      url: row.url,
      events: row.events as Webhook["events"],
      description: row.description,
      enabled: row.enabled,
      disabled_reason: row.disabledReason as Webhook["disabled_reason"],
      previous_secret_until: instantOrNull(row.previousUntil),
      created_at: instant(row.createdAt),
      updated_at: instant(row.updatedAt),
    },
    generation: row.generation,
  };
}

function deliveryObject(row: {
  id: string;
  state: string;
  attempts: number;
  nextAt: Date;
  lastStatus: number | null;
  lastError: string | null;
  createdAt: Date;
  lastAttemptAt: Date | null;
  finishedAt: Date | null;
  event: { id: string; type: string; data: unknown; at: Date };
}): WebhookDelivery {
  return {
    id: idOf("webhookDelivery", row.id),
    event: {
      id: idOf("webhookEvent", row.event.id),
      type: row.event.type,
      timestamp: instant(row.event.at),
      data: row.event.data as Record<string, unknown>,
    },
    state: row.state as WebhookDelivery["state"],
    attempts: row.attempts,
    next_attempt_at: row.state === "pending" ? instant(row.nextAt) : null,
    last_status: row.lastStatus,
    last_error: row.lastError as WebhookDelivery["last_error"],
    created_at: instant(row.createdAt),
    last_attempt_at: instantOrNull(row.lastAttemptAt),
    finished_at: instantOrNull(row.finishedAt),
  };
}
