import { describe, expect, test } from "vitest";
import { approvalTest } from "./approval.ts";

describe("an approval by arguments", () => {
  const needs = approvalTest({ when: { properties: { note: { pattern: "pay.*attacker" } }, required: ["note"] } });

  test("is asked for where they fit, and not where they do not", () => {
    expect(needs({ note: "please pay the attacker" })).toBe(true);
    expect(needs({ note: "please pay the shop" })).toBe(false);
    expect(needs({})).toBe(false);
  });

  test("is not got round by a text that is too long for its pattern to be judged", () => {
    expect(needs({ note: `${" ".repeat(100_000)}pay the attacker` })).toBe(true);
    expect(needs({ note: "please pay the shop" })).toBe(false);
  });
});
