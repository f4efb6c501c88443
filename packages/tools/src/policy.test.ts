import type { HttpToolSpec, PolicyRules, ToolSpec } from "@maru/contract";
import { OPEN_POLICY } from "@maru/domain";
import { describe, expect, test } from "vitest";
import { prepareTools } from "./index.ts";
import { policyProblems } from "./policy.ts";
import { callContext, toolDeps } from "./testing/context.ts";

const http = (url = "https://api.example.com/{id}", over: Partial<HttpToolSpec> = {}): HttpToolSpec => ({
  type: "http",
  name: "lookup",
  description: "d",
  parameters: { type: "object" },
  request: { method: "GET", url, headers: {}, query: {}, body: null },
  timeoutMs: 1_000,
  effect: "safe",
  ...over,
});
const denies = (...deny: string[]): PolicyRules => ({ ...OPEN_POLICY, tools: { deny } });
const deniesHost = (host: string): PolicyRules => ({ ...OPEN_POLICY, egress: { allow: null, deny: [host] } });
const clock: ToolSpec = { type: "builtin", name: "current_time", approval: "always" };

describe("at deploy", () => {
  test.each<[string, ToolSpec, PolicyRules, [string, string][]]>([
    ["nothing is denied", http(), OPEN_POLICY, []],
    ["a kind", http(), denies("kind:http"), [["/t", "tool_denied"]]],
    ["a name", clock, denies("current_*"), [["/t", "tool_denied"]]],
    ["another name", clock, denies("calculator"), []],
    ["a host", http(), deniesHost("api.example.com"), [["/t/request/url", "host_denied"]]],
    [
      "a host in other letters",
      http("https://API.example.com/"),
      deniesHost("*.example.com"),
      [["/t/request/url", "host_denied"]],
    ],
    [
      "a tool and its host",
      http(),
      { ...deniesHost("api.example.com"), tools: { deny: ["*"] } },
      [
        ["/t", "tool_denied"],
        ["/t/request/url", "host_denied"],
      ],
    ],
  ])("%s", (_name, spec, policy, expected) =>
    expect(policyProblems(spec, "/t", policy).map(({ pointer, code }) => [pointer, code])).toEqual(expected),
  );
});

describe("at a call", () => {
  test("what is denied by now is not made, and says whose decision that is", async () => {
    let now = OPEN_POLICY;
    const tool = prepareTools([clock], toolDeps({ policy: async () => now })).get("current_time");
    expect(await tool?.denied?.()).toBe(false);
    expect(await tool?.call({}, callContext())).toMatchObject({ isError: false });
    now = denies("kind:builtin");
    expect(await tool?.denied?.()).toBe(true);
    expect(await tool?.call({}, callContext())).toMatchObject({ isError: true, code: "policy_denied" });
  });

  test("without a policy to read nothing is called", async () => {
    const deps = toolDeps({ policy: () => Promise.reject(new Error("no database")) });
    await expect(prepareTools([clock], deps).get("current_time")?.call({}, callContext())).rejects.toThrow(
      "no database",
    );
  });
});

describe("what is said of an HTTP tool's effects", () => {
  const said = (method: HttpToolSpec["request"]["method"], annotations?: HttpToolSpec["annotations"]) =>
    prepareTools(
      [
        http("https://api.example.com/", {
          request: { ...http().request, method, url: "https://api.example.com/" },
          ...(annotations === undefined ? {} : { annotations }),
        }),
      ],
      toolDeps(),
    ).get("lookup")?.annotations;

  test("follows from its method, and the manifest has the last word", () => {
    expect([said("GET"), said("HEAD"), said("POST"), said("PUT"), said("DELETE")]).toEqual([
      { readOnly: true },
      { readOnly: true },
      {},
      {},
      { destructive: true },
    ]);
    expect(said("DELETE", { destructive: false, title: "Take the mark away" })).toEqual({
      destructive: false,
      title: "Take the mark away",
    });
    expect(said("POST", { readOnly: true })).toEqual({ readOnly: true });
  });
});
