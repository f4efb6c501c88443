import { createHash, createHmac, randomBytes } from "node:crypto";
import type { TriggerAuth } from "@maru/contract";
import { hashApiSecret, sameBytes } from "./api-key.ts";
import { newWebhookSecret, signWebhook } from "./webhook.ts";

/** The purpose under which triggers' secrets are sealed. */
export const TRIGGER_SECRETS = "trigger secrets";

const SECRET_BYTES = 32;
/** How far the time of a signed message may be from ours (Standard Webhooks, “Verifying webhook authenticity”). */
const TOLERANCE_S = 300;
const MAX_SIGNATURES = 16;
const DELIVERY_ID = /^[\x21-\x7e]{1,255}$/;

/** What whoever sends to a trigger is given: a token to show, or a key to sign with. */
export const newTriggerSecret = (auth: TriggerAuth): string =>
  auth === "standard_webhooks" ? newWebhookSecret() : `mtr_${randomBytes(SECRET_BYTES).toString("base64url")}`;

/** What came to a trigger, as far as it says who sent it. */
export interface ShownToTrigger {
  readonly token: string | null;
  readonly id: string | null;
  readonly timestamp: string | null;
  readonly signature: string | null;
  readonly hubSignature: string | null;
  /** The body as it came, before anybody read it. */
  readonly body: string;
}

/**
 * Whether one of the secrets opens the trigger. Compared in time that tells nothing of them, and every secret is tried whichever
 * fits. A message signed by Standard Webhooks is good for five minutes to either side of its time.
 */
export function opensTrigger(
  auth: TriggerAuth,
  secrets: readonly string[],
  shown: ShownToTrigger,
  nowMs: number,
): boolean {
  const fits = (secret: string): boolean => {
    switch (auth) {
      case "token":
        return shown.token !== null && sameBytes(hashApiSecret(shown.token), hashApiSecret(secret));
      case "github":
        return sameText(shown.hubSignature, `sha256=${createHmac("sha256", secret).update(shown.body).digest("hex")}`);
      case "standard_webhooks":
        return signedBy(secret, shown, nowMs);
    }
  };
  return secrets.map(fits).includes(true);
}

function signedBy(secret: string, { id, timestamp, signature, body }: ShownToTrigger, nowMs: number): boolean {
  if (id === null || !DELIVERY_ID.test(id) || timestamp === null || signature === null) return false;
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(nowMs / 1_000 - Number(timestamp)) > TOLERANCE_S) return false;
  const wanted = signWebhook([secret], { id, timestampSeconds: Number(timestamp), body });
  return signature
    .split(" ", MAX_SIGNATURES)
    .map((one) => sameText(one, wanted))
    .includes(true);
}

const sameText = (a: string | null, b: string): boolean => a !== null && sameBytes(Buffer.from(a), Buffer.from(b));

/**
 * Under what a delivery is remembered, so that it makes one run however often it comes; null when nothing tells it from another. Only
 * what is signed counts: GitHub's way signs the body alone, so there the body is its own name, whatever its headers say.
 */
export function deliveryKey(auth: TriggerAuth, shown: ShownToTrigger): string | null {
  if (auth === "github") return `sha256:${createHash("sha256").update(shown.body).digest("hex")}`;
  return shown.id !== null && DELIVERY_ID.test(shown.id) ? shown.id : null;
}

/**
 * The id of the thread that a key of somebody else's stands for at a trigger: always the same one, and nobody else's. A UUIDv7 as far
 * as its form goes, of the trigger's own time.
 */
export function threadOfKey(triggerUuid: string, key: string): string {
  const hash = createHash("sha256").update(`${triggerUuid} ${key}`).digest("hex");
  return `${triggerUuid.slice(0, 13)}-7${hash.slice(0, 3)}-8${hash.slice(3, 6)}-${hash.slice(6, 18)}`;
}
