import { type AgentManifest, type CatalogueModel, durationMs, LIMITS } from "@maru/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { denormaliseManifest } from "./denormalise.ts";
import { type NormalManifest, normaliseManifest } from "./normalise.ts";
import { parseManifests } from "./parse.ts";
import { manifestYaml } from "./yaml.ts";

const models = new Map(
  [
    { id: "k-exaone", thinking: true, temperature: 1, output: 16_384 },
    { id: "exaone-small", thinking: false, temperature: 0.6, output: 4_096 },
  ].map(({ id, thinking, temperature, output }) => [
    id,
    {
      id,
      thinking: { control: "enable_thinking", default: thinking },
      sampling: { temperature, topP: 0.95, presencePenalty: 0 },
      maxOutputTokens: { default: output, nonThinking: 2_048, max: 65_536 },
    } as CatalogueModel,
  ]),
);
const deps = {
  findModel: (id: string) => models.get(id),
  modelIds: [...models.keys()],
  isServed: () => true,
  checkSchema: () => [],
  defaultModelId: "k-exaone",
  checkTool: () => [],
};
const normalise = (value: unknown) => normaliseManifest(value, deps);
const written = ({ spec, deployment, settings, rollout }: NormalManifest) =>
  denormaliseManifest(spec, { deployment, settings, rollout }, deps);
const read = (text: string, type: "yaml" | "json") => {
  const [manifest] = parseManifests(text, type);
  return manifest?.value;
};

/** Texts that look like something else, or that a block could not hold. */
const ODD = [
  "no",
  "1.0",
  "0x1f",
  "~",
  "null",
  "- a",
  "a: b",
  "# x",
  " a",
  "a ",
  "\ta",
  "a\n",
  "\n",
  "a\n\n",
  "a\r\nb",
  "a\n  b\n c",
  "a \nb",
  "'",
  '"',
  "${env.X}",
  "$${env.X}",
  "$$$${env.X}",
  "$$${secrets.A} {a}",
  "---",
  "...",
  "%a",
  "@b",
  "!c",
  "\u0085",
  "\u2028",
  "\ufeff",
  "서울 🌧",
  "\u007f\u0001",
  "|",
  ">-",
  "? a",
  "&a",
  "*a",
  "<<",
];
const text = (maxLength = 60) =>
  fc
    .oneof(
      fc.constantFrom(...ODD),
      fc.string({ maxLength, unit: "binary" }),
      fc.array(fc.constantFrom(...ODD, "a", "\n"), { maxLength: 6 }).map((parts) => parts.join("")),
    )
    .map((value) => value.replaceAll("\0", "").slice(0, maxLength).toWellFormed());
const some = (maxLength?: number) => text(maxLength).filter((value) => value !== "");
const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const words = (maxLength?: number) =>
  fc.dictionary(fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}$/), text(maxLength).filter(noReference), { maxKeys: 3 });
const noReference = (value: string) => !/(?<!\$)\$\{(?:env|secrets)\./.test(value);
const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,10}[a-z0-9]$/);
const span = (min: number, max: number) =>
  fc.oneof(
    fc.integer({ min, max }).map((ms) => `${ms}ms`),
    fc
      .constantFrom("1.5s", "2m", "0.05h", "1h")
      .filter((written) => durationMs(written) >= min && durationMs(written) <= max),
  );
/** JSON that the reader takes: no NUL, no key of JavaScript's own, no number that is not exact. */
const json = fc.jsonValue({ maxDepth: 3 }).map((value) => cleaned(JSON.parse(JSON.stringify(value))));
function cleaned(value: unknown): unknown {
  if (typeof value === "number") return Math.abs(value) > Number.MAX_SAFE_INTEGER ? 1 : value;
  if (typeof value === "string") return noReference(value) ? value.replaceAll("\0", "") : "";
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !/^(?:__proto__|constructor|prototype|<<)$|\0/.test(key))
      .map(([key, item]) => [key, cleaned(item)]),
  );
}
const schema = fc.record(
  {
    type: fc.constant("object"),
    properties: fc.dictionary(
      fc.stringMatching(/^[a-z]{1,6}$/),
      fc.record({ type: fc.constantFrom("string", "number"), description: text().filter(noReference) }),
      { maxKeys: 3 },
    ),
    required: fc.constant([]),
  },
  { requiredKeys: ["type"] },
);
const approval = fc.oneof(fc.constantFrom("always", "never"), fc.record({ when: schema }));
const described = some().filter(noReference);
const record = <Shape extends Record<string, fc.Arbitrary<unknown>>>(
  shape: Shape,
  requiredKeys: readonly (keyof Shape & string)[] = [],
) => fc.record(shape, { requiredKeys: [...requiredKeys] as never });

const tools = [
  record(
    {
      type: fc.constant("http"),
      description: described,
      parameters: schema,
      request: record(
        {
          method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
          url: described,
          headers: words(),
          query: words(),
          body: json,
          form: fc.dictionary(
            fc.stringMatching(/^[a-z]{1,5}$/),
            fc.oneof(described, fc.array(described, { maxLength: 2 })),
            { maxKeys: 2 },
          ),
        },
        ["url"],
      ),
      response: record({
        select: fc.oneof(fc.constant("/a"), fc.constant({ a: "/a", b: "" })),
        type: fc.constantFrom("json", "text", "any"),
        maxBytes: fc.constantFrom("8MiB", "1KB", 1),
      }),
      pagination: record(
        {
          next: fc.constantFrom("/next", "link"),
          as: fc.constantFrom("url", "query:c"),
          items: fc.constantFrom("", "/items"),
          maxPages: fc.constantFrom(2, 5, 20),
        },
        ["next"],
      ),
      retries: fc.constantFrom(0, 2, 5),
      redirects: fc.constantFrom(0, 3),
      annotations: record({ title: fc.constant("T"), readOnly: fc.boolean() }),
      timeout: span(100, 300_000),
      effect: fc.constantFrom("safe", "idempotent", "at_most_once"),
      on_unknown: fc.constantFrom("tell_model", "fail", "ask"),
      approval,
    },
    ["type", "description", "request"],
  ).map(({ on_unknown, ...tool }) => ({ ...tool, ...(tool.effect === "at_most_once" ? { on_unknown } : {}) })),
  record({ type: fc.constant("client"), description: described, parameters: schema }, ["type", "description"]),
  record(
    {
      type: fc.constant("code"),
      description: described,
      timeout: span(100, 30_000),
      memory: fc.constantFrom("16MiB", "17000000B", 20_000_000, "20MB"),
      approval,
    },
    ["type"],
  ),
  record(
    {
      type: fc.constant("function"),
      description: described,
      parameters: schema,
      source: some(),
      timeout: span(100, 30_000),
      memory: fc.constantFrom("16MiB", "128MiB"),
      approval,
    },
    ["type", "description", "source"],
  ),
  record(
    {
      type: fc.constant("agent"),
      description: described,
      deployment: name,
      parameters: schema,
      budget: record({ tokens: fc.integer({ min: 1_000, max: 2_000_000 }) }, ["tokens"]),
      approval,
    },
    ["type", "description", "deployment"],
  ),
  record(
    {
      type: fc.constant("memory"),
      description: described,
      scope: fc.constantFrom("workspace", "agent", "thread", "user"),
      mode: fc.constantFrom("read", "readwrite"),
      maxResults: fc.integer({ min: 1, max: 20 }),
      ttl: fc.constantFrom("1m", "90s", "365d"),
      approval,
    },
    ["type", "scope"],
  ),
  record(
    {
      type: fc.constant("openapi"),
      document: fc.oneof(
        fc.constant({ url: "https://example.com/o.json" }),
        fc.record({ inline: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), json, { maxKeys: 3 }) }),
      ),
      server: fc.constant("https://example.com"),
      operations: record({ include: fc.constantFrom(["*"], ["a", "GET /b"], []), exclude: fc.constantFrom([], ["c"]) }),
      headers: words(),
      query: words(),
      auth: fc.constantFrom({}, { key: "k" }, { basic: { username: "u", password: "p" } }),
      timeout: span(100, 300_000),
      approval,
      on_unknown: fc.constantFrom("tell_model", "fail", "ask"),
      overrides: fc.array(
        record({ operations: fc.constant(["a"]), effect: fc.constantFrom("safe", "at_most_once"), approval }, [
          "operations",
        ]),
        { maxLength: 2 },
      ),
      toolPrefix: fc.constantFrom("", "tool_0_", "x-"),
    },
    ["type", "document"],
  ),
  fc
    .tuple(
      fc.oneof(
        record(
          {
            url: fc.constant("https://example.com/mcp"),
            transport: fc.constantFrom("auto", "streamable-http", "sse"),
            headers: words(),
          },
          ["url"],
        ),
        record({ command: fc.constant("npx"), args: fc.array(described, { maxLength: 2 }), env: words() }, ["command"]),
      ),
      record({
        allow: fc.constantFrom([], ["a*"]),
        deny: fc.constantFrom([], ["b"]),
        timeout: span(100, 300_000),
        effect: fc.constantFrom("safe", "idempotent", "at_most_once"),
        effects: fc.constantFrom({}, { a: "at_most_once" as const }),
        trustAnnotations: fc.boolean(),
        approval,
        approvals: fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), approval, { maxKeys: 2 }),
      }),
    )
    .map(([server, rest]) => ({ type: "mcp", ...server, ...rest })),
];
const manifests = fc
  .record({
    name,
    labels: optional(words(200)),
    spec: record(
      {
        description: text().filter(noReference),
        model: record({
          name: fc.constantFrom("k-exaone", "exaone-small"),
          thinking: fc.boolean(),
          sampling: record({
            temperature: fc.constantFrom(0, 0.6, 1, 1.25),
            top_p: fc.constantFrom(0.1, 0.95, 1),
            presence_penalty: fc.constantFrom(-0.5, 0, 2),
            seed: fc.integer({ min: 0, max: 2_147_483_647 }),
          }),
          maxOutputTokens: fc.constantFrom(1, 2_048, 4_096, 16_384, 65_536),
        }),
        instructions: described,
        tools: fc
          .array(fc.oneof(...tools), { maxLength: 4 })
          .map((list) => list.map((tool, index) => ({ name: `tool_${index}`, ...tool }))),
        output: record({ schema }, ["schema"]),
        limits: record({
          steps: fc.constantFrom(1, 20, 200),
          tokens: fc.constantFrom(1_000, 200_000, 200_001),
          duration: span(1_000, 86_400_000),
          wait: fc.constantFrom("24h", "1d", "30m"),
          parallelTools: fc.constantFrom(1, 4, 16),
          toolOutputBytes: fc.constantFrom(256, "64KiB", "1MiB", "1000B", "65KB"),
          identicalCalls: fc.constantFrom(1, 3),
        }),
        memory: record({
          thread: record({
            strategy: fc.constantFrom("trim", "summarise"),
            maxTokens: fc.constantFrom(1_000, 120_000),
          }),
        }),
      },
      ["instructions"],
    ),
    deploy: optional(
      record({
        name,
        onThreadBusy: fc.constantFrom("reject", "enqueue", "interrupt"),
        concurrency: fc.integer({ min: 1, max: 100_000 }),
        onLimit: fc.constantFrom("reject", "queue"),
        traffic: fc.record({ canary: fc.integer({ min: 1, max: 99 }) }),
        canary: record({
          promote: record({ runs: fc.integer({ min: 1, max: 1_000_000 }), after: span(1, 3_600_000) }, ["runs"]),
          rollback: record({
            errorRate: fc.constantFrom(0, 0.05, 1),
            latency: span(1, 60_000),
            costUsd: fc.constantFrom(0.000_001, 0.02, 12.345_678),
            minRuns: fc.constantFrom(1, 10, 100_000),
          }),
        }),
      }).map(({ traffic, canary, ...rest }) => ({
        ...rest,
        ...(traffic === undefined ? {} : { traffic, ...(canary === undefined ? {} : { canary }) }),
      })),
    ),
  })
  .map(({ name, labels, spec, deploy }) => ({
    apiVersion: "maru/v1",
    kind: "Agent",
    metadata: { name, ...(labels === undefined ? {} : { labels }) },
    spec,
    ...(deploy === undefined ? {} : { deploy }),
  }));

test("a manifest that is written from its revision is the same revision, as YAML and as JSON", () => {
  fc.assert(
    fc.property(manifests, (manifest) => {
      const normal = normalise(manifest);
      const again = written(normal);
      expect(normalise(read(manifestYaml(again), "yaml"))).toEqual(normal);
      expect(normalise(read(JSON.stringify(again), "json"))).toEqual(normal);
      // Written once more it does not change: it is the canonical form.
      expect(written(normalise(again))).toEqual(again);
    }),
    { numRuns: 200 },
  );
});

const FULL: AgentManifest = {
  apiVersion: "maru/v1",
  kind: "Agent",
  metadata: { name: "weather", labels: { team: "demo" } },
  spec: {
    description: "Weather of Korean cities",
    model: { name: "exaone-small", sampling: { temperature: 0.2 } },
    instructions: "Look the weather up.\nThen answer.\n",
    tools: [
      {
        name: "get_weather",
        type: "http",
        description: "Weather",
        request: { url: "https://example.com/?c={c}" },
        timeout: "90s",
      },
      { name: "calculator", type: "builtin" },
    ],
    limits: { duration: "5m", toolOutputBytes: "128KiB" },
  },
  deploy: { name: "production", traffic: { canary: 10 }, canary: { promote: { runs: 200, after: "30m" } } },
};

test("it has the order of the docs, no defaults, units of people, and long texts as blocks", () => {
  expect(
    manifestYaml(
      written(
        normalise({
          ...FULL,
          spec: { ...FULL.spec, limits: { ...FULL.spec.limits, steps: LIMITS.steps.default, wait: "24h" } },
        }),
      ),
    ),
  ).toBe(`apiVersion: maru/v1
kind: Agent
metadata:
  name: weather
  labels:
    team: demo
spec:
  description: Weather of Korean cities
  model:
    name: exaone-small
    sampling:
      temperature: 0.2
  instructions: |
    Look the weather up.
    Then answer.
  tools:
    - name: get_weather
      type: http
      description: Weather
      request:
        url: https://example.com/?c={c}
      timeout: 90s
    - name: calculator
      type: builtin
  limits:
    duration: 5m
    wait: 1d
    toolOutputBytes: 128KiB
deploy:
  name: production
  traffic:
    canary: 10
  canary:
    promote:
      runs: 200
      after: 30m
`);
});

test("the smallest manifest is its own canonical form", () => {
  const smallest = { apiVersion: "maru/v1", kind: "Agent", metadata: { name: "a" }, spec: { instructions: "Hi." } };
  expect(written(normalise(smallest))).toEqual(smallest);
});
