import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CallOptions, type House, manifest, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres", { worker: false });
  person = await house.register();
  await house.deploy(person, manifest("weather"));
});
afterAll(() => house?.close());

/** Rows of everything a caller can write: bad input must leave it as it was. */
async function rows(): Promise<string> {
  const [row] = await house.database.query<{ all: string }>(
    "SELECT concat_ws(' ', (SELECT count(*) FROM agents), (SELECT count(*) FROM revisions), (SELECT count(*) FROM deployments), (SELECT count(*) FROM runs), (SELECT count(*) FROM threads), (SELECT count(*) FROM api_keys), (SELECT count(*) FROM quota_entries), (SELECT count(*) FROM idempotency_records), (SELECT count(*) FROM schedules), (SELECT count(*) FROM triggers)) AS all",
  );
  return row?.all ?? "";
}

async function refused(
  method: string,
  path: string,
  options: CallOptions,
): Promise<{ status: number; code: string; pointers: string[]; first: Record<string, unknown> }> {
  const before = await rows();
  const { status, body } = await house.api(method, path, { key: person.key, ...options });
  expect(await rows()).toBe(before);
  expect(JSON.stringify(body)).not.toMatch(/node_modules|\.ts:| {4}at /);
  const errors = (body.errors ?? []) as Record<string, unknown>[];
  return { status, code: body.code, pointers: errors.map(({ pointer }) => String(pointer)), first: errors[0] ?? {} };
}
const json = (text: string) => ({ raw: { type: "application/json", text } });

describe("bodies", () => {
  const run = (options: CallOptions) => refused("POST", "/v1/runs", options);

  test.each<[string, CallOptions, number, string, string?]>([
    ["an unknown field", { body: { deployment: "weather", input: "hi", evil: 2 } }, 400, "unknown_field", "/evil"],
    ["a wrong type is not coerced", { body: { deployment: "weather", input: 12 } }, 400, "validation_failed", "/input"],
    ["true for a string", { body: { deployment: true, input: "hi" } }, 400, "validation_failed", "/deployment"],
    ["null for a string", { body: { deployment: "weather", input: null } }, 400, "validation_failed", "/input"],
    ["a missing field", { body: { deployment: "weather" } }, 400, "validation_failed", "/input"],
    ["an empty input", { body: { deployment: "weather", input: "" } }, 400, "validation_failed", "/input"],
    [
      "metadata that is not strings",
      { body: { deployment: "weather", input: "hi", metadata: { a: 1 } } },
      400,
      "validation_failed",
      "/metadata/a",
    ],
    [
      "too much metadata",
      {
        body: {
          deployment: "weather",
          input: "hi",
          metadata: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, "v"])),
        },
      },
      400,
      "validation_failed",
      "/metadata",
    ],
    ["a deployment that is not there", { body: { deployment: "nothing", input: "hi" } }, 404, "not_found"],
    [
      "a thread that is not there",
      { body: { deployment: "weather", input: "hi", thread_id: "thr_00000000000000000000000000" } },
      404,
      "not_found",
    ],
    ["JSON that is cut off", json('{"deployment": "weather", '), 400, "invalid_json"],
    ["JSON with something after it", json('{"deployment":"weather","input":"hi"}trailing'), 400, "invalid_json"],
    ["an empty body", json(""), 400, "empty_body"],
    ["an array", json("[]"), 400, "validation_failed", ""],
    ["__proto__", json('{"deployment":"weather","input":"hi","__proto__":{"a":1}}'), 400, "forbidden_key"],
    [
      "constructor.prototype",
      json('{"deployment":"weather","input":"hi","constructor":{"prototype":{"a":1}}}'),
      400,
      "forbidden_key",
    ],
    ["a NUL character", json('{"deployment":"weather","input":"a\\u0000b"}'), 400, "invalid_string", "/input"],
    ["half a surrogate pair", json('{"deployment":"weather","input":"a\\ud800b"}'), 400, "invalid_string", "/input"],
    ["deep nesting", json("[".repeat(200_000)), 400, "invalid_json"],
    ["no content type", { raw: { type: "", text: "{}" } }, 415, "unsupported_media_type"],
    ["plain text", { raw: { type: "text/plain", text: "{}" } }, 415, "unsupported_media_type"],
    ["a broken content type", { raw: { type: "application/json garbage", text: "{}" } }, 415, "unsupported_media_type"],
    [
      "another charset",
      { raw: { type: "application/json; charset=utf-16", text: "{}" } },
      415,
      "unsupported_media_type",
    ],
    ["YAML where there is none", { raw: { type: "application/yaml", text: "a: 1" } }, 415, "unsupported_media_type"],
    ["a compressed body", { ...json("{}"), headers: { "content-encoding": "gzip" } }, 415, "unsupported_media_type"],
    ["ten megabytes", json(`"${"x".repeat(10_000_000)}"`), 413, "body_too_large"],
    [
      "an empty Idempotency-Key",
      { body: { deployment: "weather", input: "hi" }, headers: { "idempotency-key": "a b" } },
      400,
      "invalid_header",
      "header:Idempotency-Key",
    ],
    [
      "a long Idempotency-Key",
      { body: { deployment: "weather", input: "hi" }, headers: { "idempotency-key": "k".repeat(256) } },
      400,
      "invalid_header",
      "header:Idempotency-Key",
    ],
    [
      "XML wanted",
      { body: { deployment: "weather", input: "hi" }, headers: { accept: "application/xml" } },
      406,
      "not_acceptable",
    ],
  ])("%s", async (_name, options, status, code, pointer) => {
    const found = await run(options);
    expect([found.status, found.code]).toEqual([status, code]);
    if (pointer !== undefined) expect(found.pointers).toContain(pointer);
  });
});

test("a call that takes no body may be sent with a content type and none", async () => {
  const { body } = await house.api("POST", "/v1/runs", {
    key: person.key,
    body: { deployment: "weather", input: "hi" },
  });
  const cancelled = await house.api("POST", `/v1/runs/${body.id}/cancel`, { key: person.key, ...json("") });
  expect([cancelled.status, cancelled.body.status]).toEqual([200, "cancelled"]);
});

describe("schedules and triggers", () => {
  const clock = { name: "daily", deployment: "weather", cron: "@daily", input: "x" };
  const inbound = { name: "in", deployment: "weather", input: "x" };

  test.each<[string, string, object, number, string, string?]>([
    ["a cron that never fires", "/v1/schedules", { ...clock, cron: "0 0 30 2 *" }, 400, "cron_invalid", "/cron"],
    ["every second", "/v1/schedules", { ...clock, cron: "* * * * * *" }, 400, "cron_invalid", "/cron"],
    ["an unknown zone", "/v1/schedules", { ...clock, time_zone: "Seoul" }, 400, "unknown_time_zone", "/time_zone"],
    ["an unknown place", "/v1/schedules", { ...clock, input: "{{body}}" }, 400, "template_error", "/input"],
    ["an unknown deployment", "/v1/schedules", { ...clock, deployment: "nothing" }, 404, "not_found"],
    ["no name", "/v1/schedules", { ...clock, name: "" }, 400, "validation_failed", "/name"],
    ["a place that is no pointer", "/v1/triggers", { ...inbound, input: "{{date}}" }, 400, "template_error", "/input"],
    [
      "a filter that is none",
      "/v1/triggers",
      { ...inbound, filter: { type: "x" } },
      400,
      "filter_invalid",
      "/filter/type",
    ],
    ["an unknown deployment", "/v1/triggers", { ...inbound, deployment: "nothing" }, 404, "not_found"],
    ["no such trigger", "/v1/hooks/trg_01h455vb4pex5vsknk084sn02q", {}, 401, "invalid_credentials"],
    ["no trigger's id", "/v1/hooks/trg_nope", {}, 404, "not_found"],
  ])("%s at %s", async (_name, path, body, status, code, pointer) => {
    const found = await refused("POST", path, { body });
    expect([found.status, found.code]).toEqual([status, code]);
    if (pointer !== undefined) expect(found.pointers).toContain(pointer);
  });
});

describe("paths and queries", () => {
  test.each<[string, string, number, string]>([
    ["GET", "/v1/runs?limit=0", 400, "validation_failed"],
    ["GET", "/v1/runs?limit=-1", 400, "validation_failed"],
    ["GET", "/v1/runs?limit=1e9", 400, "validation_failed"],
    ["GET", "/v1/runs?limit=abc", 400, "validation_failed"],
    ["GET", "/v1/runs?limit=1&limit=2", 400, "validation_failed"],
    ["GET", "/v1/runs?limit[$gt]=1", 400, "unknown_field"],
    ["GET", "/v1/runs?what=1", 400, "unknown_field"],
    ["GET", "/v1/runs?after=abc", 400, "invalid_cursor"],
    ["GET", "/v1/runs?after=MDE4.AAAAAAAAAAAAAAAAAAAAAA", 400, "invalid_cursor"],
    ["GET", "/v1/runs/run_nope", 404, "not_found"],
    // Of the right form, but no UUID of any version.
    ["GET", "/v1/runs/run_01k00000000000000000000000", 404, "not_found"],
    ["GET", "/v1/runs/run_7zzzzzzzzzzzzzzzzzzzzzzzzz/steps", 404, "not_found"],
    ["POST", "/v1/runs/run_00000000000000000000000000/cancel", 404, "not_found"],
    ["GET", "/v1/runs/..%2f..%2fadmin", 404, "not_found"],
    ["GET", "/v1/runs/%00", 404, "not_found"],
    ["GET", `/v1/runs/${"a".repeat(5_000)}`, 404, "not_found"],
    ["GET", "/v1/agents/weather/revisions/0", 404, "not_found"],
    ["GET", "/v1/agents/weather/revisions/99", 404, "not_found"],
    ["GET", "/v1/agents/weather/revisions/abc", 404, "not_found"],
    ["GET", "/v1/models/gpt-9", 404, "not_found"],
    ["GET", "/v1/nothing", 404, "not_found"],
    ["PUT", "/v1/runs", 405, "method_not_allowed"],
    ["GET", "/v1/usage?from=2026-02-30T00:00:00Z", 400, "validation_failed"],
    ["GET", "/v1/usage?from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z", 400, "validation_failed"],
    ["GET", "/v1/usage?from=2001-01-01T00:00:00Z", 400, "validation_failed"],
    ["GET", "/v1/usage?time_zone=Mars/X", 400, "validation_failed"],
    ["GET", "/v1/usage?group_by=colour", 400, "validation_failed"],
  ])("%s %s", async (method, path, status, code) => {
    const found = await refused(method, path, {});
    expect([found.status, found.code]).toEqual([status, code]);
  });

  test("a cursor of another list or workspace is none here", async () => {
    const other = await house.register();
    for (const who of [person, other])
      for (let index = 0; index < 3; index++) await house.api("POST", "/v1/threads", { key: who.key, body: {} });
    const { next } = (await house.api("GET", "/v1/threads?limit=1", { key: other.key })).body;
    expect((await house.api("GET", `/v1/threads?limit=1&after=${next}`, { key: other.key })).status).toBe(200);
    expect((await house.api("GET", `/v1/threads?limit=1&after=${next}`, { key: person.key })).body.code).toBe(
      "invalid_cursor",
    );
    expect((await house.api("GET", `/v1/runs?after=${next}`, { key: other.key })).body.code).toBe("invalid_cursor");
  });

  test("an event id that is none is refused", async () => {
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "weather", input: "hi" },
    });
    for (const id of ["-1", "abc", "9e99"]) {
      const found = await house.api("GET", `/v1/runs/${body.id}/events`, {
        key: person.key,
        headers: { "last-event-id": id },
      });
      expect([id, found.status, found.body.code]).toEqual([id, 400, "invalid_header"]);
    }
    await house.api("POST", `/v1/runs/${body.id}/cancel`, { key: person.key });
  });
});

describe("manifests", () => {
  const deploy = (text: string, type = "application/yaml") =>
    refused("POST", "/v1/deployments", { raw: { type, text } });
  const tool = (fields: string) => manifest("bad", { tools: `    - ${fields}\n` });

  test.each<[string, string, string, { pointer?: string; line?: number; suggestion?: string }]>([
    ["nothing", "", "empty_body", {}],
    ["only a comment", "# hello\n", "manifest_syntax", { line: 1 }],
    ["two documents", "a: 1\n---\nb: 2\n", "manifest_invalid", { pointer: "/b", line: 1 }],
    ["a tab for indentation", "a:\n\tb: 1\n", "manifest_syntax", { line: 2 }],
    ["an unclosed bracket", "a: [1, 2\n", "manifest_syntax", {}],
    ["an alias", "a: &x 1\nb: *x\n", "yaml_alias_forbidden", { line: 1 }],
    ["a merge key", "a: { <<: { b: 1 } }\n", "yaml_alias_forbidden", { line: 1 }],
    [
      "billion laughs",
      `a: &a [x]\n${Array.from({ length: 9 }, (_, n) => `${"bcdefghij"[n]}: &${"bcdefghij"[n]} [*${"abcdefghi"[n]},*${"abcdefghi"[n]},*${"abcdefghi"[n]}]`).join("\n")}\n`,
      "yaml_alias_forbidden",
      { line: 1 },
    ],
    ["a tag of another language", "a: !!js/function 'x'\n", "yaml_tag_forbidden", {}],
    ["a binary tag", "a: !!binary aGk=\n", "yaml_tag_forbidden", {}],
    ["the same key twice", "apiVersion: maru/v1\napiVersion: maru/v1\n", "duplicate_key", { line: 2 }],
    ["a __proto__ key", "__proto__: { a: 1 }\n", "forbidden_key", { line: 1 }],
    ["infinity", manifest("bad").replace("instructions:", "instructions: .inf #"), "manifest_syntax", { line: 5 }],
    ["twenty thousand brackets", "[".repeat(20_000), "manifest_too_deep", {}],
    [
      "nesting in blocks",
      Array.from({ length: 40 }, (_, n) => `${"  ".repeat(n)}a:`).join("\n"),
      "manifest_too_deep",
      {},
    ],
    [
      "an unknown field",
      manifest("bad").replace("instructions:", "instuctions:"),
      "unknown_field",
      { pointer: "/spec/instuctions", line: 5, suggestion: "instructions" },
    ],
    [
      "a misspelt limit",
      manifest("bad", { limits: "{ max_steps: 3 }" }),
      "unknown_field",
      { pointer: "/spec/limits/max_steps", suggestion: "steps" },
    ],
    [
      "another version",
      manifest("bad").replace("maru/v1", "maru/v9"),
      "unsupported_version",
      { pointer: "/apiVersion", line: 1 },
    ],
    [
      "no version",
      manifest("bad").replace("apiVersion: maru/v1\n", ""),
      "unsupported_version",
      { pointer: "/apiVersion" },
    ],
    ["a name in capitals", manifest("Bad"), "invalid_name", { pointer: "/metadata/name", line: 3 }],
    ["a name with two dots", manifest("a..b"), "invalid_name", { pointer: "/metadata/name" }],
    ["a long name", manifest("a".repeat(64)), "invalid_name", { pointer: "/metadata/name" }],
    [
      "an unknown model",
      manifest("bad", { model: "{ name: k-exaon }" }),
      "unknown_model",
      { pointer: "/spec/model/name", suggestion: "k-exaone" },
    ],
    [
      "more output than the model has",
      manifest("bad", { model: "{ maxOutputTokens: 1000000 }" }),
      "limit_out_of_range",
      { pointer: "/spec/model/maxOutputTokens" },
    ],
    [
      "a temperature of three",
      manifest("bad", { model: "{ sampling: { temperature: 3 } }" }),
      "validation_failed",
      { pointer: "/spec/model/sampling/temperature" },
    ],
    ["no steps", manifest("bad", { limits: "{ steps: 0 }" }), "limit_out_of_range", { pointer: "/spec/limits/steps" }],
    [
      "half a step",
      manifest("bad", { limits: "{ steps: 1.5 }" }),
      "limit_out_of_range",
      { pointer: "/spec/limits/steps" },
    ],
    [
      "a number in quotes",
      manifest("bad", { limits: '{ steps: "25" }' }),
      "limit_out_of_range",
      { pointer: "/spec/limits/steps" },
    ],
    [
      "forty days",
      manifest("bad", { limits: "{ duration: 999h }" }),
      "limit_out_of_range",
      { pointer: "/spec/limits/duration" },
    ],
    [
      "an ISO duration",
      manifest("bad", { limits: "{ duration: PT1H }" }),
      "limit_out_of_range",
      { pointer: "/spec/limits/duration" },
    ],
    [
      "two tools of one name",
      manifest("bad", {
        tools: "    - { name: calculator, type: builtin }\n    - { name: calculator, type: builtin }\n",
      }),
      "duplicate_tool",
      { pointer: "/spec/tools/1/name" },
    ],
    [
      "an unknown kind of tool",
      tool("{ name: a, type: htp }"),
      "validation_failed",
      { pointer: "/spec/tools/0/type", suggestion: "http" },
    ],
    [
      "an unknown builtin",
      tool("{ name: shell, type: builtin }"),
      "validation_failed",
      { pointer: "/spec/tools/0/name" },
    ],
    [
      "a place without a parameter",
      tool('{ name: a, type: http, description: d, request: { url: "https://example.com/{city}" } }'),
      "template_error",
      { pointer: "/spec/tools/0/request/url" },
    ],
    [
      "an open brace",
      tool('{ name: a, type: http, description: d, request: { url: "https://example.com/{city" } }'),
      "template_error",
      { pointer: "/spec/tools/0/request/url" },
    ],
    [
      "a place in the host",
      tool(
        '{ name: a, type: http, description: d, parameters: { type: object, properties: { h: { type: string } } }, request: { url: "https://{h}.example.com/" } }',
      ),
      "template_error",
      { pointer: "/spec/tools/0/request/url" },
    ],
    [
      "a loopback URL",
      tool('{ name: a, type: http, description: d, request: { url: "http://127.0.0.1/" } }'),
      "url_not_allowed",
      { pointer: "/spec/tools/0/request/url" },
    ],
    [
      "the metadata address in octal",
      tool('{ name: a, type: http, description: d, request: { url: "http://0251.0376.0251.0376/" } }'),
      "url_not_allowed",
      { pointer: "/spec/tools/0/request/url" },
    ],
    [
      "a file URL",
      tool('{ name: a, type: http, description: d, request: { url: "file:///etc/passwd" } }'),
      "url_not_allowed",
      { pointer: "/spec/tools/0/request/url" },
    ],
    [
      "a header of ours",
      tool(
        '{ name: a, type: http, description: d, request: { url: "https://example.com/", headers: { Host: evil } } }',
      ),
      "header_not_allowed",
      { pointer: "/spec/tools/0/request/headers/Host" },
    ],
    [
      "a safe POST",
      tool(
        '{ name: a, type: http, description: d, effect: safe, request: { method: POST, url: "https://example.com/" } }',
      ),
      "effect_class_invalid",
      { pointer: "/spec/tools/0/effect" },
    ],
    [
      "a schema that is none",
      tool(
        '{ name: a, type: http, description: d, parameters: { type: objekt }, request: { url: "https://example.com/" } }',
      ),
      "tool_schema_invalid",
      { pointer: "/spec/tools/0/parameters/type" },
    ],
    [
      "a schema with a bomb",
      tool(
        '{ name: a, type: http, description: d, parameters: { type: object, properties: { a: { type: string, pattern: "^(a+)+$" } } }, request: { url: "https://example.com/" } }',
      ),
      "tool_schema_invalid",
      { pointer: "/spec/tools/0/parameters/properties/a/pattern" },
    ],
    [
      "a schema from elsewhere",
      tool(
        '{ name: a, type: http, description: d, parameters: { type: object, properties: { a: { $ref: "https://example.com/s" } } }, request: { url: "https://example.com/" } }',
      ),
      "tool_schema_invalid",
      { pointer: "/spec/tools/0/parameters/properties/a/$ref" },
    ],
  ])("%s", async (_name, text, code, expected) => {
    const found = await deploy(text);
    expect([found.status, found.code]).toEqual([400, code]);
    if (expected.pointer !== undefined) expect(found.pointers).toContain(expected.pointer);
    if (expected.line !== undefined) expect(found.first.line).toBe(expected.line);
    if (expected.suggestion !== undefined) expect(found.first.suggestion ?? "").toBe(expected.suggestion);
  });

  test("a manifest that is too large", async () => {
    const found = await deploy(manifest("bad", { instructions: "x".repeat(70_000) }));
    expect([found.status, found.code]).toEqual([413, "body_too_large"]);
  });

  test("YAML is not taken for JSON", async () => {
    const found = await deploy("apiVersion: maru/v1", "application/json");
    expect([found.status, found.code, found.first.line]).toEqual([400, "manifest_syntax", 1]);
  });

  test("a deployment name of another agent is taken", async () => {
    const found = await deploy(`${manifest("another")}deploy: { name: weather }\n`);
    expect([found.status, found.code]).toEqual([409, "name_taken"]);
  });

  test("what looks like other types stays text", async () => {
    const text = `apiVersion: maru/v1\nkind: Agent\nmetadata: { name: plain, labels: { a: "no", b: "010", c: "1:30", d: "2026-01-28" } }\nspec: { instructions: on }\n`;
    const { body } = await house.api("POST", "/v1/deployments", {
      key: person.key,
      raw: { type: "application/yaml", text },
    });
    expect(body.action).toBe("create");
    const { body: revision } = await house.api("GET", "/v1/agents/plain/revisions/1", { key: person.key });
    expect(revision.spec).toMatchObject({
      instructions: "on",
      labels: { a: "no", b: "010", c: "1:30", d: "2026-01-28" },
    });
  });
});

describe("the connection", () => {
  const raw = (text: string, wait = 0) =>
    new Promise<string>((resolve) => {
      const { port } = new URL(house.url);
      const socket = connect(Number(port), "127.0.0.1", () => socket.write(text));
      let answer = "";
      socket.on("data", (data) => {
        answer += data;
        if (wait === 0) socket.end();
      });
      socket.on("close", () => resolve(answer));
      socket.on("error", () => resolve(answer));
    });

  test("what is not HTTP, lies about its length or has endless headers gets an answer and is cut", async () => {
    expect(await raw("hello\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(
      await raw(
        "POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      ),
    ).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
  });

  test("two Authorization headers are refused", async () => {
    const answer = await raw(
      `GET /v1/auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${person.key}\r\nAuthorization: Bearer ${person.key}\r\nConnection: close\r\n\r\n`,
      1,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 401 [\s\S]*invalid_credentials/);
  });

  test("no other origin is let in", async () => {
    const { headers } = await house.api("GET", "/v1/auth/me", {
      key: person.key,
      headers: { origin: "https://evil.example" },
    });
    expect(headers.get("access-control-allow-origin")).toBeNull();
  });
});
