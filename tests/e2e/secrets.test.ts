import { createEnvelopeSealer, deriveKey, SECRETS } from "@maru/domain";
import { openAdmin } from "@maru/store/admin";
import { createWorker } from "@maru/worker";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runAdmin } from "../../services/standalone/src/admin.ts";
import { type CallOptions, type House, manifest, openHouse, type Person } from "../setup/house.ts";
import { openToolServer, type ToolServer } from "../setup/tool-server.ts";

let house: House;
let person: Person;
let tools: ToolServer;
/** The header the last call came with. */
let header = "";
beforeAll(async () => {
  tools = await openToolServer((request, response) => {
    header = String(request.headers["x-key"] ?? "");
    response.setHeader("content-type", "text/plain").end("done");
  });
  house = await openHouse("postgres", { egressAllow: { "tools.maru.internal": tools.origin } });
  person = await house.register();
});
afterAll(async () => {
  await house?.close();
  await tools?.close();
});

const put = (name: string, body: object, options: CallOptions = {}) =>
  house.api("PUT", `/v1/secrets/${name}`, { key: person.key, body, ...options });
const get = (path: string, key = person.key) => house.api("GET", path, { key });
const using = (name: string, secret: string) =>
  manifest(name, {
    tools: `    - { name: probe, type: http, description: Probes, request: { url: "http://tools.maru.internal/", headers: { X-Key: "\${secrets.${secret}}" } } }
`,
  });
const call = async (who: Person, deployment: string) => {
  header = "";
  const run = await house.run(who, deployment, "#sim tool probe {}");
  const steps = (await get(`/v1/runs/${run.id}/steps`, who.key)).body.data;
  return { status: run.status, ...steps.find(({ kind }: { kind: string }) => kind === "tool") };
};

describe("a secret over REST", () => {
  test("is set, changed, listed and deleted, and its value never comes back", async () => {
    const created = await put("FIRST", { value: "value-one-1" });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ name: "FIRST", agent: null, version: 1, last_used_at: null });
    expect(created.body.key_id).toMatch(/^[0-9a-f]{8}$/);
    // The same value again is a new version as well: otherwise setting one would be a way to guess.
    const again = await put("FIRST", { value: "value-one-1" });
    expect([again.status, again.body.version, again.body.created_at]).toEqual([200, 2, created.body.created_at]);
    await put("FIRST", { value: "value-of-agent", agent: "helper" });
    const list = (await get("/v1/secrets")).body;
    expect(list.data.map(({ name, agent, version }: Record<string, unknown>) => [name, agent, version])).toEqual([
      ["FIRST", null, 2],
      ["FIRST", "helper", 1],
    ]);
    expect((await get("/v1/secrets/FIRST?agent=helper")).body).toMatchObject({ agent: "helper", version: 1 });
    expect(JSON.stringify([created.body, again.body, list])).not.toMatch(/value-o/);
    expect((await house.api("DELETE", "/v1/secrets/FIRST", { key: person.key })).status).toBe(204);
    expect((await get("/v1/secrets/FIRST")).status).toBe(404);
    expect((await get("/v1/secrets/FIRST?agent=helper")).status).toBe(200);
  });

  test("is paged by name, then agent", async () => {
    const other = await house.register();
    for (const name of ["C", "A", "B"])
      for (const agent of ["z", undefined, "y"])
        await put(name, { value: "some-value", ...(agent === undefined ? {} : { agent }) }, { key: other.key });
    const found: string[] = [];
    for (let next: string | null = ""; next !== null; ) {
      const { body } = await get(`/v1/secrets?limit=2${next === "" ? "" : `&after=${next}`}`, other.key);
      found.push(
        ...body.data.map(({ name, agent }: { name: string; agent: string | null }) => `${name}${agent ?? ""}`),
      );
      next = body.next;
    }
    expect(found).toEqual(["A", "Ay", "Az", "B", "By", "Bz", "C", "Cy", "Cz"]);
  });

  test("changes only as its caller last saw it, also when it was deleted and set anew", async () => {
    const etag = (await put("TAGGED", { value: "value-one-1" })).headers.get("etag") as string;
    expect((await get("/v1/secrets/TAGGED")).headers.get("etag")).toBe(etag);
    const headers = { "if-match": etag };
    const second = await put("TAGGED", { value: "value-two-2" }, { headers });
    expect(second.status).toBe(200);
    expect((await put("TAGGED", { value: "value-three" }, { headers })).body.code).toBe("precondition_failed");
    expect((await house.api("DELETE", "/v1/secrets/TAGGED", { key: person.key, headers })).status).toBe(412);
    const now = { "if-match": second.headers.get("etag") as string };
    expect((await house.api("DELETE", "/v1/secrets/TAGGED", { key: person.key, headers: now })).status).toBe(204);
    expect((await put("TAGGED", { value: "value-four-" }, { headers })).status).toBe(412);
    await put("TAGGED", { value: "value-five-" });
    expect((await put("TAGGED", { value: "value-six--" }, { headers })).status).toBe(412);
  });

  test("set by many at once is set by each in turn", async () => {
    const replies = await Promise.all([1, 2, 3, 4].map((n) => put("RACED", { value: `value-number-${n}` })));
    expect(replies.map(({ body }) => body.version).sort()).toEqual([1, 2, 3, 4]);
  });

  test.each<[string, string, object, number, string, string?]>([
    ["a small name", "key", { value: "long enough" }, 400, "validation_failed", "path:name"],
    ["a name with a hyphen", "A-B", { value: "long enough" }, 400, "validation_failed", "path:name"],
    ["a name that begins with a digit", "1A", { value: "long enough" }, 400, "validation_failed", "path:name"],
    ["a long name", "A".repeat(65), { value: "long enough" }, 400, "validation_failed", "path:name"],
    ["a name of no characters that can be", "A%00", { value: "long enough" }, 404, "not_found"],
    ["no value", "KEY", {}, 400, "validation_failed", "/value"],
    ["an empty value", "KEY", { value: "" }, 400, "validation_failed", "/value"],
    ["a short value", "KEY", { value: "1234567" }, 400, "validation_failed", "/value"],
    ["a long value", "KEY", { value: "a".repeat(8_193) }, 400, "validation_failed", "/value"],
    ["a value that is no text", "KEY", { value: 123_456_789 }, 400, "validation_failed", "/value"],
    ["a value with NUL", "KEY", { value: "long\0enough" }, 400, "invalid_string", "/value"],
    ["an agent that can't be", "KEY", { value: "long enough", agent: "No One" }, 400, "validation_failed", "/agent"],
    ["a field more", "KEY", { value: "long enough", scope: "all" }, 400, "unknown_field", "/scope"],
  ])("%s is refused, and the value is not said again", async (_what, name, body, status, code, pointer) => {
    const reply = await put(name, body);
    expect([reply.status, reply.body.code, reply.body.errors?.[0].pointer]).toEqual([status, code, pointer]);
    expect(JSON.stringify(reply.body)).not.toMatch(/long enough|1234567|aaaa/);
    expect((await get("/v1/secrets/KEY")).status).toBe(404);
  });

  test("says why it must not be short, and takes the longest", async () => {
    expect((await put("KEY", { value: "1234567" })).body.detail).toMatch(/at least 8 characters.*ordinary text/);
    expect((await put("LONGEST", { value: "é".repeat(8_192) })).status).toBe(201);
  });

  test("needs its own scope, and there are at most 200", async () => {
    const other = await house.register();
    const { body } = await house.api("POST", "/v1/api-keys", {
      key: other.key,
      body: { name: "less", scopes: ["agents:read", "agents:write", "runs:read", "runs:write", "keys:manage"] },
    });
    for (const [method, path] of [
      ["PUT", "/v1/secrets/KEY"],
      ["GET", "/v1/secrets"],
      ["GET", "/v1/secrets/KEY"],
      ["DELETE", "/v1/secrets/KEY"],
    ] as const) {
      const sent = method === "PUT" ? { body: { value: "long enough" } } : {};
      const reply = await house.api(method, path, { key: body.key, ...sent });
      expect([method, reply.status, reply.body.code]).toEqual([method, 403, "insufficient_scope"]);
    }
    await house.database.query(
      `INSERT INTO secrets (workspace_id, agent, name, version, key_id, wrapped_key, sealed, created_at, updated_at)
       SELECT w.id, '', 'S' || n, 1, 'x', '', '', now(), now()
         FROM generate_series(1, 199) n, workspaces w JOIN memberships m ON m.workspace_id = w.id JOIN users u ON u.id = m.user_id
        WHERE u.email = $1`,
      [other.email],
    );
    const replies = await Promise.all(
      ["X", "Y", "Z"].map((name) => put(name, { value: "long enough" }, { key: other.key })),
    );
    expect(replies.map(({ status, body }) => [status, body.code]).sort()).toEqual([
      [201, undefined],
      [400, "limit_out_of_range"],
      [400, "limit_out_of_range"],
    ]);
    expect((await put("S7", { value: "changed-still" }, { key: other.key })).status).toBe(200);
  });
});

describe("a secret in a manifest", () => {
  beforeAll(async () => void (await put("DEPLOYED", { value: "value-deployed" })));
  const deploy = (text: string) => house.deploy(person, text);
  const tool = (request: string, more = "") =>
    manifest("agent", {
      tools: `    - { name: t, type: http, description: T, request: ${request}${more} }\n`,
    });

  test.each<[string, string, string, string]>([
    [
      "instructions",
      manifest("agent", { instructions: "Use ${secrets.DEPLOYED}" }),
      "secret_not_allowed_here",
      "/spec/instructions",
    ],
    [
      "a model's name",
      manifest("agent", { model: '{ name: "${secrets.DEPLOYED}" }' }),
      "secret_not_allowed_here",
      "/spec/model/name",
    ],
    [
      "a URL's host",
      tool('{ url: "http://${secrets.DEPLOYED}/" }'),
      "secret_not_allowed_here",
      "/spec/tools/0/request/url",
    ],
    [
      "a URL's path",
      tool('{ url: "https://a.example/${secrets.DEPLOYED}" }'),
      "secret_not_allowed_here",
      "/spec/tools/0/request/url",
    ],
    [
      "a header's name",
      tool('{ url: "https://a.example/", headers: { "${secrets.DEPLOYED}": a } }'),
      "secret_not_allowed_here",
      "/spec/tools/0/request/headers/${secrets.DEPLOYED}",
    ],
    [
      "parameters",
      tool('{ url: "https://a.example/" }', ', parameters: { type: object, description: "${secrets.DEPLOYED}" }'),
      "secret_not_allowed_here",
      "/spec/tools/0/parameters/description",
    ],
    [
      "a secret that is not there",
      tool('{ url: "https://a.example/", headers: { X-A: "${secrets.NOWHERE}" } }'),
      "secret_not_found",
      "/spec/tools/0/request/headers/X-A",
    ],
    [
      "a body's secret that is not there",
      tool('{ method: POST, url: "https://a.example/", body: { a: ["${secrets.NOWHERE}"] } }'),
      "secret_not_found",
      "/spec/tools/0/request/body/a/0",
    ],
    [
      "a secret in a secret",
      tool('{ url: "https://a.example/", headers: { X-A: "${secrets.${secrets.DEPLOYED}}" } }'),
      "template_error",
      "/spec/tools/0/request/headers/X-A",
    ],
    [
      "33 secrets",
      tool(
        `{ url: "https://a.example/", query: { q: "${Array.from({ length: 33 }, (_, n) => `\${secrets.S${n}}`).join("")}" } }`,
      ),
      "limit_out_of_range",
      "/spec/tools",
    ],
  ])("%s: refused with its place", async (_what, text, code, pointer) => {
    const { status, body } = await deploy(text);
    expect(status).toBe(400);
    expect(body.errors.map((error: { code: string; pointer: string }) => `${error.code} ${error.pointer}`)).toContain(
      `${code} ${pointer}`,
    );
  });

  test("that belongs to one agent is not there for another, and hides the workspace's for its own", async () => {
    await put("SHADOWED", { value: "workspace-value" });
    await put("SHADOWED", { value: "agents-own-value", agent: "mine" });
    await put("OWN", { value: "only-for-mine", agent: "mine" });
    expect((await deploy(using("theirs", "OWN"))).body.code).toBe("secret_not_found");
    for (const [agent, secret, value] of [
      ["mine", "SHADOWED", "agents-own-value"],
      ["theirs", "SHADOWED", "workspace-value"],
      ["mine", "OWN", "only-for-mine"],
    ] as const) {
      await deploy(using(agent, secret));
      expect([(await call(person, agent)).state, header]).toEqual(["done", value]);
    }
  });

  test("has at every call the value it has then; deleted, the model is told and the run goes on", async () => {
    await put("MOVING", { value: "value-one-1" });
    await deploy(using("moving", "MOVING"));
    await call(person, "moving");
    expect(header).toBe("value-one-1");
    await put("MOVING", { value: "value-two-2" });
    await call(person, "moving");
    expect(header).toBe("value-two-2");
    await house.api("DELETE", "/v1/secrets/MOVING", { key: person.key });
    expect(await call(person, "moving")).toMatchObject({
      status: "completed",
      state: "error",
      error_code: "secret_unavailable",
      output: expect.stringContaining("MOVING"),
    });
    expect(header).toBe("");
  });
});

test("another workspace cannot use a secret, see it, or learn that it is there", async () => {
  const other = await house.register();
  await put("MINE_ALONE", { value: "mine-alone-1" });
  const refusals = [];
  for (const name of ["MINE_ALONE", "NOBODYS"]) {
    const { status, body } = await house.deploy(other, using("thief", name));
    refusals.push([status, JSON.stringify({ ...body, instance: "" }).replaceAll(name, "NAME")]);
    expect((await get(`/v1/secrets/${name}`, other.key)).body.code).toBe("not_found");
    expect((await house.api("DELETE", `/v1/secrets/${name}`, { key: other.key })).status).toBe(404);
  }
  expect(refusals[0]).toEqual(refusals[1]);
  expect((await get("/v1/secrets", other.key)).body.data).toEqual([]);
  // Its own of the same name is another secret.
  expect((await put("MINE_ALONE", { value: "theirs-alone" }, { key: other.key })).body.version).toBe(1);
  await house.deploy(other, using("thief", "MINE_ALONE"));
  await call(other, "thief");
  expect(header).toBe("theirs-alone");
  // Not even a row put in its place opens there.
  await house.database.query(
    `UPDATE secrets t SET (sealed, wrapped_key, key_id, version) = (SELECT s.sealed, s.wrapped_key, s.key_id, s.version
       FROM secrets s WHERE s.name = t.name AND s.workspace_id <> t.workspace_id) WHERE t.name = 'MINE_ALONE'`,
  );
  for (const who of [other, person]) {
    await house.deploy(who, using("thief", "MINE_ALONE"));
    expect([(await call(who, "thief")).error_code, header]).toEqual(["secret_unavailable", ""]);
  }
});

test("after the installation's secret changed the one before opens secrets, until they are wrapped anew", async () => {
  const rotating = await openHouse("postgres", {
    worker: false,
    egressAllow: { "tools.maru.internal": tools.origin },
  });
  const admin = openAdmin(rotating.database.ownerUrl);
  try {
    const owner = await rotating.register();
    const key = { key: owner.key };
    const secret = "n".repeat(40);
    for (const agent of [undefined, "turning"])
      await rotating.api("PUT", "/v1/secrets/TURNING", { ...key, body: { value: "turning-value", agent } });
    await rotating.deploy(owner, using("turning", "TURNING"));
    const before = (await rotating.api("GET", "/v1/secrets/TURNING", key)).body;
    const ciphertext = () => rotating.database.query("SELECT agent, sealed FROM secrets ORDER BY agent");
    const sealed = await ciphertext();
    const headerWith = async (previousSecret: string | null): Promise<string> => {
      header = "";
      const worker = await createWorker({
        config: { ...rotating.workerConfig, secret, previousSecret },
        logger: pino({ level: "silent" }),
        metrics: new Registry(),
      });
      await worker.start();
      await rotating.run(owner, "turning", "#sim tool probe {}");
      await worker.stop(2_000);
      return header;
    };
    const sealer = (...secrets: [string, ...string[]]) =>
      createEnvelopeSealer(secrets.map((item) => deriveKey(item, SECRETS)) as [Buffer, ...Buffer[]]);

    expect(await headerWith(rotating.secret)).toBe("turning-value");
    expect(await headerWith(null)).toBe("");
    await expect(runAdmin(["rewrap-secrets"], admin)).rejects.toThrow("Set MARU_SECRET");
    await expect(runAdmin(["rewrap-secrets"], admin, sealer(secret, "x".repeat(40)))).rejects.toThrow(
      /^0 secrets.* 2 do not open/,
    );
    const done = await runAdmin(["rewrap-secrets"], admin, sealer(secret, rotating.secret));
    expect(done).toBe(`2 secrets are wrapped anew by key ${sealer(secret).keyId}.`);
    expect(await runAdmin(["rewrap-secrets"], admin, sealer(secret, rotating.secret))).toMatch(/^0 secrets/);
    expect(await runAdmin(["actions"], admin)).toContain("rewrap-secrets");
    expect(await headerWith(null)).toBe("turning-value");
    const after = (await rotating.api("GET", "/v1/secrets/TURNING", key)).body;
    expect(after).toMatchObject({ key_id: sealer(secret).keyId, version: 1, updated_at: before.updated_at });
    expect(await ciphertext()).toEqual(sealed);
  } finally {
    await admin.close();
    await rotating.close();
  }
});
