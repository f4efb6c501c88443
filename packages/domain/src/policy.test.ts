import type { PolicyRules } from "@maru/contract";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allowsHost, deniesTool, hostPattern, OPEN_POLICY } from "./policy.ts";

const hosts = (allow: string[] | null, deny: string[] = []): PolicyRules => ({
  ...OPEN_POLICY,
  egress: { allow, deny },
});
const tools = (...deny: string[]): PolicyRules => ({ ...OPEN_POLICY, tools: { deny } });

describe("a host", () => {
  test.each([
    ["example.com", "example.com"],
    ["API.Example.COM", "api.example.com"],
    ["*.Example.com", "*.example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["*.서울.kr", "*.xn--2i4bq6h.kr"],
    ["127.1", "127.0.0.1"],
    ["0x7f000001", "127.0.0.1"],
    ["[::FFFF:127.0.0.1]", "[::ffff:7f00:1]"],
    ["weather", "weather"],
  ])("%s is compared as %s", (text, expected) => expect(hostPattern(text)).toBe(expected));

  test.each([
    "",
    "*",
    "*.",
    "**.example.com",
    "a.*.com",
    "http://example.com",
    "example.com:443",
    "example.com:80",
    "example.com:",
    "[::1]:80",
    "::1",
    "example.com/",
    "example.com.",
    "user@example.com",
    "exa mple.com",
    "exam\tple.com",
    "example.com\\x",
    "*.1.2.3.4",
    "*.[::1]",
    "256.1.1.1",
  ])("%j is none", (text) => expect(hostPattern(text)).toBeNull());

  test("written as a URL writes it is its own pattern", () => {
    fc.assert(
      fc.property(fc.domain(), (hostname) => {
        expect(hostPattern(hostname)).toBe(hostname);
        expect(allowsHost(hosts([hostname]), hostname)).toBe(true);
        expect(allowsHost(hosts([`*.${hostname}`]), `a.b.${hostname}`)).toBe(true);
        expect(allowsHost(hosts([`*.${hostname}`]), hostname)).toBe(false);
        expect(allowsHost(hosts(null, [hostname]), hostname)).toBe(false);
        expect(allowsHost(hosts(null, [hostname]), `x${hostname}`)).toBe(true);
      }),
    );
  });

  test.each<[string, PolicyRules, string, boolean]>([
    ["nothing said", OPEN_POLICY, "a.example", true],
    ["an empty list", hosts([]), "a.example", false],
    ["another one allowed", hosts(["b.example"]), "a.example", false],
    ["one below allowed", hosts(["*.example"]), "a.b.example", true],
    ["only an ending in common", hosts(["*.a.example"]), "xa.example", false],
    ["a dot alone before it", hosts(["*.a.example"]), ".a.example", false],
    ["allowed and denied", hosts(["*.example"], ["a.example"]), "a.example", false],
    ["allowed, another denied", hosts(["*.example"], ["a.example"]), "b.example", true],
  ])("with %s", (_name, rules, host, expected) => expect(allowsHost(rules, host)).toBe(expected));
});

describe("a tool", () => {
  test.each<[string[], string, string, boolean]>([
    [[], "http", "a", false],
    [["kind:code"], "code", "a", true],
    [["kind:code"], "http", "code", false],
    [["a"], "http", "a", true],
    [["a"], "http", "ab", false],
    [["a*"], "mcp", "ab", true],
    [["a*"], "mcp", "ba", false],
    [["*"], "client", "x", true],
  ])("%j of kind %s named %s", (deny, kind, name, expected) =>
    expect(deniesTool(tools(...deny), kind, name)).toBe(expected),
  );
});
