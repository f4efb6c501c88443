import { readdirSync, readFileSync } from "node:fs";
import { openStore } from "@maru/store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres", { worker: false });
  person = await house.register();
});
afterAll(() => house?.close());

const SET = "application/vnd.maru.deploy-results+json";
const deploy = (text: string, query = "", headers: Record<string, string> = {}) =>
  house.api("POST", `/v1/deployments${query}`, { key: person.key, raw: { type: "application/yaml", text }, headers });
const pull = (path: string, accept?: string) =>
  house.api("GET", path, { key: person.key, ...(accept === undefined ? {} : { headers: { accept } }) });
const names = async () =>
  ((await house.api("GET", "/v1/deployments?limit=100", { key: person.key })).body.data as { name: string }[])
    .map(({ name }) => name)
    .sort();
const caller = (name: string, ...called: string[]) =>
  manifest(name, {
    tools: called
      .map((other) => `    - { name: ask_${other}, type: agent, description: Asks, deployment: ${other} }\n`)
      .join(""),
  });

describe("several manifests in one body", () => {
  test("are deployed together, whatever their order, and answered in it", async () => {
    const text = [caller("chief", "clerk", "scribe"), caller("clerk", "scribe"), manifest("scribe")].join("---\n");
    const plan = await deploy(text, "?dry_run=true");
    expect(plan.status).toBe(200);
    expect(await names()).toEqual([]);
    const { status, headers, body } = await deploy(text);
    expect([status, headers.get("content-type")]).toEqual([201, `${SET}; charset=utf-8`]);
    expect(
      body.results.map((item: { action: string; deployment: { name: string } }) => [item.deployment.name, item.action]),
    ).toEqual([
      ["chief", "create"],
      ["clerk", "create"],
      ["scribe", "create"],
    ]);
    expect(plan.body.results.map((item: { digest: string }) => item.digest)).toEqual(
      body.results.map((item: { digest: string }) => item.digest),
    );
    const again = await deploy(`# the same\n${text}---\n`);
    expect([again.status, ...again.body.results.map((item: { action: string }) => item.action)]).toEqual([
      200,
      "unchanged",
      "unchanged",
      "unchanged",
    ]);
  });

  test("one alone is answered as ever, with separators around it", async () => {
    const { status, body } = await deploy(`---\n${manifest("alone")}---\n# nothing more\n`);
    expect([status, body.action, body.deployment.name]).toEqual([201, "create", "alone"]);
  });

  test("none is deployed when one is refused, and it is said which and where", async () => {
    const before = await names();
    const broken = manifest("third").replace("instructions:", "instuctions:");
    const { status, body } = await deploy(
      [manifest("first"), manifest("second", { limits: "{ steps: 0 }" }), broken].join("---\n"),
    );
    expect(status).toBe(400);
    expect(
      body.errors.map(({ document, pointer, line }: Record<string, unknown>) => [document, pointer, line]),
    ).toEqual([
      [2, "/spec/limits/steps", 20],
      [3, "/spec/instuctions", 34],
    ]);
    expect(await names()).toEqual(before);
  });

  test("none is deployed when the last step refuses one", async () => {
    await deploy(`${manifest("owner")}deploy: { name: taken }\n`);
    const before = await names();
    const { status, body } = await deploy(
      [manifest("aaa"), `${manifest("thief")}deploy: { name: taken }\n`].join("---\n"),
    );
    expect([status, body.code]).toEqual([409, "name_taken"]);
    expect(body.errors).toMatchObject([{ document: 2, code: "name_taken" }]);
    expect(await names()).toEqual(before);
  });

  test("none is written when the database refuses one, whoever checked before", async () => {
    await deploy(`${manifest("holder")}deploy: { name: held }\n`);
    const { body } = await house.api("GET", "/v1/agents/holder/revisions/1", { key: person.key });
    const store = await openStore({ url: house.database.runtimeUrl });
    try {
      const request = (name: string, deployment: string) => ({
        spec: { ...body.spec, name },
        digest: "0".repeat(64),
        deployment,
        reserveTokens: 1_000,
        dryRun: false,
        ifMatch: null,
        settings: { onThreadBusy: "reject" as const, onLimit: "reject" as const, concurrency: null },
        rollout: null,
        by: "test",
        note: null,
      });
      const before = await names();
      await expect(
        store.deployments.deploy(person.workspaceId, [request("aaaa", "aaaa"), request("zzzz", "held")]),
      ).rejects.toMatchObject({ code: "name_taken" });
      expect(await names()).toEqual(before);
    } finally {
      await store.close();
    }
  });

  test("callers of the same new agents at once get all of one and then nothing to do", async () => {
    const sets = [
      [manifest("race-a"), manifest("race-b"), manifest("race-c")],
      [manifest("race-c"), manifest("race-a"), manifest("race-b")],
    ].map((set) => set.join("---\n"));
    const done = await Promise.all([...sets, ...sets].map((text) => deploy(text)));
    expect(done.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
  });

  test("a circle within them, and an agent that is not there, are refused", async () => {
    const circle = await deploy([caller("round-a", "round-b"), caller("round-b", "round-a")].join("---\n"));
    expect([circle.status, circle.body.code]).toEqual([400, "agent_cycle"]);
    expect(circle.body.errors.map(({ detail }: { detail: string }) => detail)).toEqual([
      "This agent would call itself: round-a → round-b → round-a.",
      "This agent would call itself: round-b → round-a → round-b.",
    ]);
    const missing = await deploy([caller("lonely", "nobody"), manifest("other")].join("---\n"));
    expect([missing.status, missing.body.code, missing.body.errors[0].document]).toEqual([400, "unknown_agent", 1]);
  });

  test("two of one deployment, too many, too much, or a version of one of them, are refused", async () => {
    const twice = await deploy([manifest("twin"), manifest("twin")].join("---\n"));
    expect([twice.body.code, twice.body.errors[0].document]).toEqual(["duplicate_deployment", 2]);
    const many = await deploy(Array.from({ length: 21 }, (_, n) => manifest(`many-${n}`)).join("---\n"));
    expect([many.status, many.body.code]).toEqual([400, "limit_out_of_range"]);
    const long = Array.from({ length: 5 }, (_, n) => manifest(`long-${n}`, { instructions: "x".repeat(60_000) }));
    expect((await deploy(long.join("---\n"))).status).toBe(413);
    const one = await deploy(
      [manifest("small"), manifest("large", { instructions: "x".repeat(70_000) })].join("---\n"),
    );
    expect([one.status, one.body.detail]).toEqual([413, expect.stringContaining("number 2 has")]);
    const version = await deploy([manifest("va"), manifest("vb")].join("---\n"), "", { "if-match": '"x:1"' });
    expect([version.status, version.body.code]).toEqual([400, "invalid_header"]);
  });

  test("an Idempotency-Key answers the same again, as the same type", async () => {
    const text = [manifest("idem-a"), manifest("idem-b")].join("---\n");
    const first = await deploy(text, "", { "idempotency-key": "together-1" });
    const second = await deploy(text, "", { "idempotency-key": "together-1" });
    expect([second.status, second.headers.get("content-type"), second.body]).toEqual([
      first.status,
      first.headers.get("content-type"),
      first.body,
    ]);
  });
});

describe("a manifest that is read back", () => {
  const full = `apiVersion: maru/v1
kind: Agent
metadata: { name: full, labels: { team: demo } }
spec:
  model: { sampling: { temperature: 0.3 } }
  instructions: |
    Look it up.
    Write $\${env.HOME} as it is.
  tools:
    - name: get_weather
      type: http
      description: Weather
      parameters: { type: object, properties: { city: { type: string } }, required: [city] }
      request: { url: "http://weather.maru.internal/demo/weather?city={city}" }
      timeout: 90s
    - { name: calculator, type: builtin, approval: always }
    - name: pets
      type: openapi
      document:
        inline:
          openapi: 3.1.0
          info: { title: Pets, version: "1" }
          servers: [{ url: "https://pets.example.com" }]
          paths: { /pets: { get: { operationId: list, responses: { "200": { description: ok } } } } }
  limits: { duration: 5m }
deploy: { name: full-prod, concurrency: 5, onThreadBusy: enqueue }
`;

  test("changes nothing when it is deployed again, as YAML and as JSON", async () => {
    expect((await deploy(full)).status).toBe(201);
    const yaml = await pull("/v1/deployments/full-prod/manifest");
    expect([yaml.status, yaml.headers.get("content-type")]).toEqual([200, "application/yaml; charset=utf-8"]);
    expect(yaml.headers.get("vary")).toContain("accept");
    const json = await pull("/v1/deployments/full-prod/manifest", "application/json");
    expect(json.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(parse(yaml.body)).toEqual(json.body);
    expect(parse(yaml.body)).toEqual(parse(full));
    expect((await deploy(yaml.body)).body.action).toBe("unchanged");
    const sent = await house.api("POST", "/v1/deployments", { key: person.key, body: json.body });
    expect(sent.body.action).toBe("unchanged");
    expect((await pull("/v1/deployments/full-prod/manifest", "application/yaml")).status).toBe(200);
    expect((await pull("/v1/deployments/full-prod/manifest", "application/xml")).status).toBe(406);
    const { headers } = yaml;
    const cached = await house.api("GET", "/v1/deployments/full-prod/manifest", {
      key: person.key,
      headers: { "if-none-match": headers.get("etag") as string },
    });
    expect(cached.status).toBe(304);
  });

  test("has the canary as it was deployed, and none after it was taken back", async () => {
    await deploy(manifest("steady", { deploy: "{ name: split }" }));
    const canary = manifest("steady", {
      instructions: "Be brief.",
      deploy:
        "{ name: split, traffic: { canary: 10 }, canary: { promote: { runs: 200, after: 30m }, rollback: { errorRate: 0.05, costUsd: 0.02 } } }",
    });
    await deploy(canary);
    const during = await pull("/v1/deployments/split/manifest", "application/json");
    expect(during.body.deploy).toEqual({
      name: "split",
      traffic: { canary: 10 },
      canary: { promote: { runs: 200, after: "30m" }, rollback: { errorRate: 0.05, costUsd: 0.02 } },
    });
    expect(during.body.spec.instructions).toBe("Be brief.");
    const again = await house.api("POST", "/v1/deployments", { key: person.key, body: during.body });
    expect(again.body.action).toBe("unchanged");
    await house.api("POST", "/v1/deployments/split/rollback", { key: person.key, body: {} });
    const after = await pull("/v1/deployments/split/manifest");
    expect(parse(after.body)).toMatchObject({
      spec: { instructions: "You are a helpful assistant." },
      deploy: { name: "split" },
    });
    expect((await deploy(after.body)).body.action).toBe("unchanged");
  });

  test("of a revision says nothing of a deployment; of what is not there is not found", async () => {
    await deploy(full);
    const { body } = await pull("/v1/agents/full/revisions/1/manifest", "application/json");
    const { deploy: _, ...rest } = parse(full);
    expect(body).toEqual(rest);
    for (const path of [
      "/v1/deployments/nothing/manifest",
      "/v1/agents/full/revisions/99/manifest",
      "/v1/agents/nobody/revisions/1/manifest",
    ])
      expect((await pull(path)).status).toBe(404);
    const stranger = await house.register();
    const other = await house.api("GET", "/v1/deployments/full-prod/manifest", { key: stranger.key });
    expect(other.status).toBe(404);
  });

  test.each(readdirSync("examples", { recursive: true, encoding: "utf8" }).filter((file) => /\.ya?ml$/.test(file)))(
    "examples/%s deploys, and comes back as it was",
    async (file) => {
      const text = readFileSync(`examples/${file}`, "utf8");
      const { status, body } = await deploy(text);
      expect([status, body.errors]).toEqual([201, undefined]);
      const { name } = body.deployment;
      const back = await pull(`/v1/deployments/${name}/manifest`);
      expect((await deploy(back.body)).body.action).toBe("unchanged");
    },
  );
});

test("the schema is served as JSON Schema", async () => {
  const { status, headers, body } = await house.api("GET", "/schemas/agent.json");
  expect([status, headers.get("content-type")]).toEqual([200, "application/schema+json; charset=utf-8"]);
  expect(body).toMatchObject({ $id: "urn:maru:schema:agent:v1", properties: { spec: {} } });
});
