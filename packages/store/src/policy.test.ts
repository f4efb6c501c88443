import type { WorkspacePolicy } from "@maru/contract";
import { OPEN_POLICY } from "@maru/domain";
import { expect, test } from "vitest";
import { createPolicyReader } from "./policy.ts";

/** A reader over policies that are counted, by a clock of the test's own. */
function world() {
  let at = 0;
  let fails = false;
  const reads: string[] = [];
  const reader = createPolicyReader({
    now: () => at,
    policies: {
      read: async (workspaceId) => {
        reads.push(workspaceId);
        if (fails) throw new Error("no database");
        const policy: WorkspacePolicy = { ...OPEN_POLICY, tools: { deny: [`v${reads.length}`] }, updated_at: null };
        return { policy, version: reads.length };
      },
    },
  });
  return {
    reads,
    of: async (workspaceId: string) => (await reader.of(workspaceId)).tools.deny[0],
    pass: (ms: number) => {
      at += ms;
    },
    break: (broken: boolean) => {
      fails = broken;
    },
  };
}

test("all who ask within two seconds share one reading, each workspace its own", async () => {
  const it = world();
  expect(await Promise.all([it.of("a"), it.of("a"), it.of("b")])).toEqual(["v1", "v1", "v2"]);
  it.pass(1_999);
  expect(await it.of("a")).toBe("v1");
  it.pass(1);
  expect(await it.of("a")).toBe("v3");
  expect(it.reads).toEqual(["a", "b", "a"]);
});

test("a reading that failed is nobody's policy, and the next one asks again", async () => {
  const it = world();
  it.break(true);
  await expect(it.of("a")).rejects.toThrow("no database");
  it.break(false);
  expect(await it.of("a")).toBe("v2");
  it.pass(2_000);
  it.break(true);
  await expect(it.of("a")).rejects.toThrow("no database");
});
