import { describe, expect, test } from "vitest";
import { aboutSecret, createEnvelopeSealer, createSealer, deriveKey } from "./index.ts";

const [old, current] = [deriveKey("a".repeat(32), "x"), deriveKey("b".repeat(32), "x")];

test("what is sealed opens again, in its own place only", () => {
  const sealer = createSealer([current]);
  const sealed = sealer.seal("키 sk-123", "endpoint 1");
  expect(sealer.open(sealed, "endpoint 1")).toBe("키 sk-123");
  expect(sealer.open(sealed, "endpoint 2")).toBeNull();
  expect(sealed.includes("sk-123")).toBe(false);
});

test("after a rotation the key before it still opens; two rotations later it does not", () => {
  const sealed = createSealer([old]).seal("secret", "p");
  expect(createSealer([current, old]).open(sealed, "p")).toBe("secret");
  expect(createSealer([current]).open(sealed, "p")).toBeNull();
});

test("any changed byte is refused, and so is what is too short", () => {
  const sealer = createSealer([current]);
  const sealed = sealer.seal("secret", "p");
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] as number) ^ 1;
    expect(sealer.open(changed, "p")).toBeNull();
  }
  expect(sealer.open(sealed.subarray(0, 10), "p")).toBeNull();
  expect(sealer.open(Buffer.alloc(0), "p")).toBeNull();
});

describe("an envelope", () => {
  const about = aboutSecret("wsp_1", null, "KEY", 1);
  const flipped = (bytes: Buffer, at: number) => {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 1;
    return changed;
  };

  test("opens in its own place only: another workspace, agent, name or version does not open it", () => {
    const sealer = createEnvelopeSealer([current]);
    const envelope = sealer.seal("비밀 sk-123", about);
    expect(sealer.open(envelope, about)).toBe("비밀 sk-123");
    for (const other of [
      aboutSecret("wsp_2", null, "KEY", 1),
      aboutSecret("wsp_1", "KEY", "KEY", 1),
      aboutSecret("wsp_1", null, "KEY2", 1),
      aboutSecret("wsp_1", null, "KEY", 2),
    ])
      expect([sealer.open(envelope, other), sealer.rewrap(envelope.wrappedKey, other)]).toEqual([null, null]);
  });

  test("is never twice the same, and its data key opens no other", () => {
    const sealer = createEnvelopeSealer([current]);
    const [a, b] = [sealer.seal("same text", about), sealer.seal("same text", about)];
    expect(a.sealed.equals(b.sealed)).toBe(false);
    expect(sealer.open({ wrappedKey: a.wrappedKey, sealed: b.sealed }, about)).toBeNull();
  });

  test("is wrapped anew without a change of its ciphertext, and then needs the old key no more", () => {
    const before = createEnvelopeSealer([old]).seal("secret", about);
    const rotated = createEnvelopeSealer([current, old]);
    expect(rotated.open(before, about)).toBe("secret");
    const wrapped = rotated.rewrap(before.wrappedKey, about);
    expect(wrapped?.keyId).toBe(rotated.keyId);
    expect(wrapped?.keyId).not.toBe(before.keyId);
    const after = { sealed: before.sealed, wrappedKey: wrapped?.wrappedKey as Buffer };
    expect(createEnvelopeSealer([current]).open(after, about)).toBe("secret");
    expect(createEnvelopeSealer([current]).open(before, about)).toBeNull();
    expect(createEnvelopeSealer([old]).open(after, about)).toBeNull();
  });

  test("any changed byte of it is refused", () => {
    const sealer = createEnvelopeSealer([current]);
    const envelope = sealer.seal("secret", about);
    for (let at = 0; at < envelope.sealed.length; at++)
      expect(sealer.open({ ...envelope, sealed: flipped(envelope.sealed, at) }, about)).toBeNull();
    for (let at = 0; at < envelope.wrappedKey.length; at++)
      expect(sealer.open({ ...envelope, wrappedKey: flipped(envelope.wrappedKey, at) }, about)).toBeNull();
  });
});
