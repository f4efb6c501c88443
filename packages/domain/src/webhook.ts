import { createHmac, randomBytes } from "node:crypto";

/** The purpose under which webhooks' secrets are sealed: by gateways, for workers. */
export const WEBHOOK_SECRETS = "webhook secrets";

const PREFIX = "whsec_";
const SECRET_BYTES = 32;

/** A signing secret as receivers are given it (Standard Webhooks: `whsec_` and base64 of 24 to 64 random bytes). */
export const newWebhookSecret = (): string => PREFIX + randomBytes(SECRET_BYTES).toString("base64");

/**
 * The `webhook-signature` of a message: one `v1,` signature a secret, the newest first, separated by spaces (Standard Webhooks,
 * “Signature scheme”). A receiver accepts a message when any of them is its own.
 */
export function signWebhook(
  secrets: readonly string[],
  message: { readonly id: string; readonly timestampSeconds: number; readonly body: string },
): string {
  const signed = `${message.id}.${message.timestampSeconds}.${message.body}`;
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(PREFIX.length), "base64");
      return `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
    })
    .join(" ");
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DELAYS_MS = [
  5 * SECOND,
  30 * SECOND,
  2 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  4 * HOUR,
  8 * HOUR,
] as const;

/**
 * Milliseconds from a failed try to the next, the last delay repeated. Spread by a fifth to either side, so that what failed
 * together does not come back together. `attempt` counts from 1; `random` is in [0, 1).
 */
export function webhookRetryMs(attempt: number, random: number): number {
  const delay = DELAYS_MS[Math.min(attempt, DELAYS_MS.length) - 1] ?? DELAYS_MS[0];
  return Math.round(delay * (0.8 + 0.4 * random));
}
