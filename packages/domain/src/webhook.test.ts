import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { newWebhookSecret, signWebhook, webhookRetryMs } from "./webhook.ts";

const now = () => Math.floor(Date.now() / 1_000);

test("the official library takes what is signed, with any of the secrets, and nothing that was changed", () => {
  fc.assert(
    fc.property(fc.uuid(), fc.json(), (id, body) => {
      const [a, b, other] = [newWebhookSecret(), newWebhookSecret(), newWebhookSecret()];
      const timestampSeconds = now();
      const headers = {
        "webhook-id": id,
        "webhook-timestamp": String(timestampSeconds),
        "webhook-signature": signWebhook([a, b], { id, timestampSeconds, body }),
      };
      for (const secret of [a, b]) expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body));
      expect(() => new Webhook(other).verify(body, headers)).toThrow();
      expect(() => new Webhook(a).verify(`${body} `, headers)).toThrow();
      expect(() => new Webhook(a).verify(body, { ...headers, "webhook-id": `${id}x` })).toThrow();
    }),
    { numRuns: 50 },
  );
});

test("it is the very signature the official library makes", () => {
  const secret = newWebhookSecret();
  const at = new Date(now() * 1_000);
  const body = '{"type":"run.completed"}';
  const ours = signWebhook([secret], { id: "evt_1", timestampSeconds: at.getTime() / 1_000, body });
  expect(ours).toBe(new Webhook(secret).sign("evt_1", at, body));
});

test("a secret is whsec_ and 32 random bytes", () => {
  const secrets = new Set(Array.from({ length: 100 }, newWebhookSecret));
  expect(secrets.size).toBe(100);
  for (const secret of secrets) expect(Buffer.from(secret.replace(/^whsec_/, ""), "base64")).toHaveLength(32);
});

test("tries come ever later, spread by a fifth, and reach three days in two dozen tries", () => {
  const middle = Array.from({ length: 12 }, (_, index) => webhookRetryMs(index + 1, 0.5) / 1_000);
  expect(middle).toEqual([5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800, 28_800, 28_800]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      const ratio = webhookRetryMs(attempt, random) / webhookRetryMs(attempt, 0.5);
      expect(ratio).toBeGreaterThan(0.799);
      expect(ratio).toBeLessThan(1.201);
    }),
  );
  let tries = 0;
  for (let at = 0; at < 3 * 86_400_000; tries++) at += webhookRetryMs(tries + 1, 0);
  expect(tries).toBeLessThan(24);
});
