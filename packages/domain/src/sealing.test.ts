import { expect, test } from "vitest";
import { createSealer, deriveKey } from "./index.ts";

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
