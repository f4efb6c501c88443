import { idOf, uuidOf, type WebhookDelivery, type WebhookError } from "@maru/contract";
import { type Database, instant, only } from "./database.ts";

/** A delivery as its worker holds it, until its lease ends. `attempt` is the fencing token. */
export interface DueWebhook {
  readonly workspaceId: string;
  readonly deliveryId: string;
  readonly attempt: number;
  readonly event: {
    readonly id: string;
    readonly type: string;
    readonly timestamp: string;
    readonly data: Record<string, unknown>;
  };
  readonly endpointId: string;
  readonly generation: number;
  readonly url: string;
  /** The secrets in force, the newest first, sealed for the endpoint. */
  readonly sealedSecrets: readonly Uint8Array[];
}

/** What came of a try. `gone`: the receiver wants nothing any more. */
export interface WebhookResult {
  readonly outcome: "delivered" | "failed" | "gone";
  readonly status: number | null;
  readonly error: WebhookError | null;
}

/** What workers see of webhooks, of all workspaces. */
export function createWebhookOutbox(db: Database) {
  return {
    /** Takes what is due; `inFlight` is how many of each endpoint this process has already. */
    async due(ask: {
      readonly limit: number;
      readonly perEndpoint: number;
      readonly leaseMs: number;
      readonly inFlight: ReadonlyMap<string, number>;
    }): Promise<DueWebhook[]> {
      const rows = await db.aside<DueRow>("SELECT * FROM due_webhooks($1, $2, $3, $4, $5)", [
        ask.limit,
        ask.perEndpoint,
        ask.leaseMs,
        [...ask.inFlight.keys()].map((id) => uuidOf("webhook", id)),
        [...ask.inFlight.values()],
      ]);
      return rows.map((row) => ({
        workspaceId: idOf("workspace", row.workspace_id),
        deliveryId: idOf("webhookDelivery", row.delivery_id),
        attempt: row.attempt,
        event: { id: idOf("webhookEvent", row.event_id), type: row.type, timestamp: instant(row.at), data: row.data },
        endpointId: idOf("webhook", row.endpoint_id),
        generation: row.generation,
        url: row.url,
        sealedSecrets: row.sealed_previous === null ? [row.sealed_secret] : [row.sealed_secret, row.sealed_previous],
      }));
    },

    /** Answers the delivery's state; null when another has it meanwhile, and nothing was recorded. */
    async finish(due: DueWebhook, result: WebhookResult, retryMs: number): Promise<WebhookDelivery["state"] | null> {
      const rows = await db.aside<{ state: WebhookDelivery["state"] | null }>(
        "SELECT finish_webhook($1, $2, $3, $4, $5, $6, $7, $8) AS state",
        [
          uuidOf("workspace", due.workspaceId),
          uuidOf("webhookDelivery", due.deliveryId),
          due.attempt,
          due.generation,
          result.outcome,
          result.status,
          result.error,
          retryMs,
        ],
      );
      return only(rows).state;
    },

    /** Forgets what ended more than 30 days ago, at most `limit` rows of a kind; answers how many went. */
    async forgetOld(limit: number): Promise<number> {
      return only(await db.aside<{ n: number }>("SELECT forget_webhooks($1) AS n", [limit])).n;
    },
  };
}
export type WebhookOutbox = ReturnType<typeof createWebhookOutbox>;

interface DueRow {
  readonly workspace_id: string;
  readonly delivery_id: string;
  readonly attempt: number;
  readonly event_id: string;
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly at: Date;
  readonly endpoint_id: string;
  readonly generation: number;
  readonly url: string;
  readonly sealed_secret: Buffer;
  readonly sealed_previous: Buffer | null;
}
