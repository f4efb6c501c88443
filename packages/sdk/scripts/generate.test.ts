import { expect, test } from "vitest";
import { generate, placeOf } from "./generate.ts";

test("what is generated is what the contract says", async () => {
  await expect(await generate()).toMatchFileSnapshot("../src/generated.ts");
});

test("operations are named by what they are about", () => {
  const place = (path: string, operationId: string, tag = "") => placeOf(path, { operationId, tags: [tag] });
  expect(place("/v1/runs/{run}/events", "listRunEvents")).toEqual({ group: "runs", name: "events" });
  expect(place("/v1/api-keys/{key}", "revokeApiKey")).toEqual({ group: "keys", name: "revoke" });
  expect(place("/v1/agents/{agent}/policies", "setAgentPolicy")).toEqual({ group: "agents", name: "setPolicy" });
  expect(place("/v1/policies", "listPolicies")).toEqual({ group: "policies", name: "list" });
  expect(place("/v1/memory", "listMemories")).toEqual({ group: "memory", name: "list" });
  expect(place("/healthz", "health", "operations")).toEqual({ group: "operations", name: "health" });
});
