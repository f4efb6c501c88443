import { createHmac } from "node:crypto";
import { idOf, newId, uuidOf } from "@maru/contract";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { isPointer, renderTemplate, templatePlaces, valueAt, valueText } from "./template.ts";
import { deliveryKey, newTriggerSecret, opensTrigger, type ShownToTrigger, threadOfKey } from "./trigger.ts";

const nothing: ShownToTrigger = {
  token: null,
  id: null,
  timestamp: null,
  signature: null,
  hubSignature: null,
  body: '{"a":"가"}',
};
const NOW = Date.parse("2026-11-26T00:00:00Z");

describe("a token", () => {
  const secret = newTriggerSecret("token");
  const opens = (token: string | null, secrets = [secret]) =>
    opensTrigger("token", secrets, { ...nothing, token }, NOW);
  test("opens what it is the secret of, also before the last rotation", () => {
    expect([opens(secret), opens(secret, [newTriggerSecret("token"), secret])]).toEqual([true, true]);
  });
  test.each([null, "", "mtr_", secret.slice(0, -1), `${secret}x`, newTriggerSecret("token")])(
    "%s opens nothing",
    (token) => {
      expect(opens(token)).toBe(false);
    },
  );
});

describe("a message signed by Standard Webhooks", () => {
  const secret = newTriggerSecret("standard_webhooks");
  const signed = (at = NOW, id = "msg_1", body = nothing.body): ShownToTrigger => ({
    ...nothing,
    id,
    body,
    timestamp: String(Math.floor(at / 1_000)),
    signature: new Webhook(secret).sign(id, new Date(at), body),
  });
  const opens = (shown: ShownToTrigger, secrets = [secret]) => opensTrigger("standard_webhooks", secrets, shown, NOW);

  test("opens, as the official library signs it, within five minutes to either side", () => {
    expect([opens(signed()), opens(signed(NOW - 299_000)), opens(signed(NOW + 299_000))]).toEqual([true, true, true]);
    expect([opens(signed(NOW - 302_000)), opens(signed(NOW + 302_000))]).toEqual([false, false]);
  });
  test("opens by any of several signatures, and by a secret that was rotated", () => {
    const other = new Webhook(newTriggerSecret("standard_webhooks")).sign("msg_1", new Date(NOW), nothing.body);
    expect(opens({ ...signed(), signature: `v1a,xyz ${other} ${signed().signature}` })).toBe(true);
    expect(opens(signed(), [newTriggerSecret("standard_webhooks"), secret])).toBe(true);
  });
  test.each<[string, Partial<ShownToTrigger>]>([
    ["another body", { body: '{"a":"나"}' }],
    ["another id", { id: "msg_2" }],
    ["another time", { timestamp: String(NOW / 1_000 + 1) }],
    ["no id", { id: null }],
    ["no time", { timestamp: null }],
    ["a time that is none", { timestamp: "Infinity" }],
    ["no signature", { signature: null }],
    ["an empty one", { signature: "v1," }],
    ["another version", { signature: signed().signature?.replace("v1,", "v2,") ?? null }],
  ])("with %s opens nothing", (_name, changed) => {
    expect(opens({ ...signed(), ...changed })).toBe(false);
  });
});

describe("a body signed as GitHub does", () => {
  const secret = newTriggerSecret("github");
  const hub = (body = nothing.body, key = secret) => `sha256=${createHmac("sha256", key).update(body).digest("hex")}`;
  const opens = (hubSignature: string | null, body = nothing.body) =>
    opensTrigger("github", [secret], { ...nothing, hubSignature, body }, NOW);

  test("opens", () => {
    expect(opens(hub())).toBe(true);
  });
  test("does not with another body, key, or form", () => {
    for (const wrong of [
      null,
      "",
      hub("{}"),
      hub(nothing.body, "other"),
      hub().toUpperCase(),
      hub().slice(7),
      `${hub()} `,
    ])
      expect([wrong, opens(wrong)]).toEqual([wrong, false]);
  });
  test("is known again by its body, since its headers are not signed", () => {
    const key = deliveryKey("github", { ...nothing, id: "a" });
    expect(deliveryKey("github", { ...nothing, id: "b" })).toBe(key);
    expect(deliveryKey("github", { ...nothing, id: "a", body: "{}" })).not.toBe(key);
  });
});

test("an id that could not be stored or be told from others names no delivery", () => {
  for (const id of ["a b", "", "x".repeat(256), "가"]) expect(deliveryKey("token", { ...nothing, id })).toBeNull();
  expect(deliveryKey("token", { ...nothing, id: "evt_1" })).toBe("evt_1");
});

test("a key stands for one thread of one trigger, whose id is one of Maru's", () => {
  const [a, b] = [newId("trigger"), newId("trigger")].map((id) => uuidOf("trigger", id) as string) as [string, string];
  const thread = threadOfKey(a, "C1");
  expect(threadOfKey(a, "C1")).toBe(thread);
  expect(new Set([thread, threadOfKey(a, "C2"), threadOfKey(b, "C1")]).size).toBe(3);
  expect(uuidOf("thread", idOf("thread", thread))).toBe(thread);
});

describe("templates", () => {
  test("say what places they have, and when one is not closed", () => {
    expect(templatePlaces("a {{x}} b {{ /y/0 }} {z} }}")).toEqual(["x", "/y/0"]);
    for (const open of ["{{", "a {{x", "{{x}} {{", "{{ {x} }}"])
      expect([open, templatePlaces(open)]).toEqual([open, null]);
  });

  test("never look again at what was filled in", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, value) => {
        const text = before.replaceAll(/[{}]/g, "");
        expect(renderTemplate(`${text}{{a}}${text}`, 1_000, () => value)).toBe(`${text}${value}${text}`);
      }),
    );
    expect(renderTemplate("{{a}}{{b}}", 10, (place) => (place === "a" ? "{{b}}$&" : "2"))).toBe("{{b}}$&2");
  });

  test("ask for a value once, and put together no more than the text may have", () => {
    let asked = 0;
    const value = "x".repeat(1_000);
    const render = (times: number, maxLength: number) =>
      renderTemplate("{{a}}-".repeat(times), maxLength, () => {
        asked++;
        return value;
      });
    expect(render(3, 3_003)).toBe(`${value}-`.repeat(3));
    expect(asked).toBe(1);
    // Far more than a string can have.
    expect(render(10_000_000 / 8, 3_002)).toBeNull();
    expect(renderTemplate("abc", 2, () => "")).toBeNull();
    expect(renderTemplate("{{a}}bc", 2, () => "")).toBe("bc");
  });

  test("pointers are those of RFC 6901, into what is there and no further", () => {
    const document = JSON.parse('{"a/b":{"~":[10,{"x":null}]},"":1,"__proto__":2,"s":"text"}');
    const values = ["/a~1b/~0/0", "/a~1b/~0/1", "/a~1b/~0/1/x", "/", "/__proto__", "/s"].map((at) =>
      valueAt(document, at),
    );
    expect(values).toEqual([10, { x: null }, null, 1, 2, "text"]);
    for (const none of [
      "/toString",
      "/s/length",
      "/s/0",
      "/a~1b/~0/length",
      "/a~1b/~0/00",
      "/a~1b/~0/-",
      "/a~1b/~0/2",
      "/a",
    ])
      expect([none, valueAt(document, none)]).toEqual([none, undefined]);
    expect(["/a", "/a/0/~1~0", "/", "a", "", "/~2", "/~"].map(isPointer)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
    expect([10, { x: [1] }, null, undefined, "t", true].map(valueText)).toEqual([
      "10",
      '{"x":[1]}',
      "",
      "",
      "t",
      "true",
    ]);
  });
});
