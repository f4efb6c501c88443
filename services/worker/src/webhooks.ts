import { type Sealer, signWebhook, webhookRetryMs } from "@maru/domain";
import type { DueWebhook, WebhookOutbox, WebhookResult } from "@maru/store";
import { blockedBy, type EgressGate } from "@maru/tools";
import type { Logger } from "pino";
import { Counter, Gauge, type Registry } from "prom-client";
import type { WebhookLimits } from "./config.ts";

export interface WebhookSenderDeps {
  readonly outbox: WebhookOutbox;
  readonly sealer: Sealer;
  readonly egress: EgressGate;
  readonly limits: WebhookLimits;
  /** How often is looked for what is due. */
  readonly sweepMs: number;
  readonly logger: Logger;
  readonly metrics: Registry;
}

/** More of an answer is not read; nothing of it is used. */
const ANSWER_BYTES = 65_536;

/** Delivers what the outbox holds: looks every sweep, and again whenever there may be more and there is room. */
export function createWebhookSender(deps: WebhookSenderDeps) {
  const { outbox, limits, logger } = deps;
  const tries = new Counter({
    name: "maru_webhook_deliveries_total",
    help: "Tries of webhook deliveries by what came of them",
    labelNames: ["outcome"],
    registers: [deps.metrics],
  });
  /** Of each endpoint, how many are with this process. */
  const inFlight = new Map<string, number>();
  const under = new Set<Promise<void>>();
  const stopped = new AbortController();
  let stopping = false;
  let sweeper: NodeJS.Timeout | null = null;
  /** The asking that is under way. */
  let taking: Promise<void> | null = null;
  let again = false;

  new Gauge({
    name: "maru_webhooks_in_flight",
    help: "Webhook deliveries this process has under way",
    registers: [deps.metrics],
    collect() {
      this.set(under.size);
    },
  });

  /** Fills the room there is. Only one asks at a time; whoever asks meanwhile has it asked once more. */
  const take = (): Promise<void> => {
    again = true;
    taking ??= fill().finally(() => {
      taking = null;
    });
    return taking;
  };

  const fill = async (): Promise<void> => {
    try {
      while (again) {
        again = false;
        const limit = limits.inFlight - under.size;
        if (stopping || limit <= 0) return;
        const { perEndpoint, leaseMs } = limits;
        for (const due of await outbox.due({ limit, perEndpoint, leaseMs, inFlight })) start(due);
      }
    } catch (error) {
      logger.warn({ err: error }, "webhooks not looked for; they are looked for again");
    }
  };

  const start = (due: DueWebhook): void => {
    inFlight.set(due.endpointId, (inFlight.get(due.endpointId) ?? 0) + 1);
    const work = deliver(due).catch((error) =>
      logger.warn({ err: error, deliveryId: due.deliveryId }, "webhook not recorded; it is delivered again"),
    );
    under.add(work);
    void work.finally(() => {
      under.delete(work);
      const left = (inFlight.get(due.endpointId) ?? 1) - 1;
      if (left === 0) inFlight.delete(due.endpointId);
      else inFlight.set(due.endpointId, left);
      void take();
    });
  };

  const deliver = async (due: DueWebhook): Promise<void> => {
    const result = await send(due, deps, stopped.signal);
    // Cut off by our own end: whether it arrived is not known, so its lease runs out and it is delivered again.
    if (stopped.signal.aborted && result.outcome !== "delivered") return;
    const state = await outbox.finish(due, result, webhookRetryMs(due.attempt, Math.random()));
    tries.inc({ outcome: result.outcome });
    if (state === "dead") logger.info({ deliveryId: due.deliveryId, webhookId: due.endpointId }, "webhook given up");
  };

  const sweep = async (): Promise<void> => {
    await take();
    if (!stopping) sweeper = setTimeout(() => void sweep(), deps.sweepMs * (0.75 + Math.random() / 2));
  };

  return {
    start: () => void sweep(),
    /** Takes no more, lets those under way end for a while, then cuts them off. */
    async stop(drainMs: number): Promise<void> {
      stopping = true;
      if (sweeper !== null) clearTimeout(sweeper);
      const patience = setTimeout(() => stopped.abort(), drainMs);
      while (taking !== null || under.size > 0) await Promise.allSettled([taking, ...under]);
      clearTimeout(patience);
    },
  };
}

/** One try (Standard Webhooks, “Webhook headers”): any 2xx is an arrival, and no redirect is followed. */
async function send(due: DueWebhook, deps: WebhookSenderDeps, stopped: AbortSignal): Promise<WebhookResult> {
  const secrets = due.sealedSecrets.map((sealed) => deps.sealer.open(sealed, due.endpointId));
  // The newest one counts: a receiver that has changed over knows no other.
  if (secrets[0] === null) return failed("secret_unreadable");
  const { id, type, timestamp, data } = due.event;
  const body = JSON.stringify({ type, timestamp, data });
  // Of this process, and not the database's: a receiver compares it with its own.
  const timestampSeconds = Math.floor(Date.now() / 1_000);
  const late = AbortSignal.timeout(deps.limits.timeoutMs);
  try {
    const response = await deps.egress.forWorkspace(due.workspaceId).request({
      method: "POST",
      url: due.url,
      headers: {
        "user-agent": "maru-webhooks",
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": String(timestampSeconds),
        "webhook-signature": signWebhook(
          secrets.filter((secret) => secret !== null),
          { id, timestampSeconds, body },
        ),
      },
      body,
      signal: AbortSignal.any([late, stopped]),
      headersTimeoutMs: deps.limits.timeoutMs,
    });
    // Read so that the connection can be used again. What fails from here on changes nothing: the status has been said.
    await response.body.dump({ limit: ANSWER_BYTES }).catch(() => {});
    return judged(response.statusCode);
  } catch (error) {
    if (late.aborted) return failed("timeout");
    return failed(blockedBy(error)?.code ?? "unreachable");
  }
}

function judged(status: number): WebhookResult {
  if (status >= 200 && status < 300) return { outcome: "delivered", status, error: null };
  if (status === 410) return { outcome: "gone", status, error: "http_status" };
  return { outcome: "failed", status, error: status >= 300 && status < 400 ? "redirect" : "http_status" };
}

const failed = (error: NonNullable<WebhookResult["error"]>): WebhookResult => ({
  outcome: "failed",
  status: null,
  error,
});
