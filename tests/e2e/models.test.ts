import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

/** The simulator, under the name that the house's operator allows. */
const SIMULATOR = "http://weather.maru.internal/v1";
const UPSTREAM = "LGAI-EXAONE/K-EXAONE-236B-A23B";
const endpoint = (changes: object = {}) => ({
  name: "mine",
  upstream_model: UPSTREAM,
  base_url: SIMULATOR,
  context_tokens: 32_768,
  api_key: "sk-own-secret-key-1234",
  dialect: "friendli",
  ...changes,
});

describe("the catalogue", () => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse("postgres", { worker: false });
    person = await house.register();
  });
  afterAll(() => house?.close());
  const models = async () => (await house.api("GET", "/v1/models", { key: person.key })).body.data;

  test("lists what a chooser needs, with a source for every score", async () => {
    const data = await models();
    const ids = data.map(({ id }: { id: string }) => id);
    expect(ids[0]).toBe("k-exaone");
    expect(ids.length).toBeGreaterThanOrEqual(12);
    const scores = data.flatMap((model: { benchmarks: { score: number; source: string }[] }) => model.benchmarks);
    expect(scores.length).toBeGreaterThan(20);
    for (const { source, score } of scores) expect([source.length > 5, Number.isFinite(score)]).toEqual([true, true]);
  });

  test("an operator's override lies over what this version knows, and breaks nothing", async () => {
    await house.database.query("UPDATE models SET override = $1 WHERE id = 'k-exaone'", [
      JSON.stringify({
        contextTokens: 65_536,
        sampling: { temperature: 0.5, nonsense: 1 },
        prices: "free",
        unknown: 1,
      }),
    ]);
    const model = (await house.api("GET", "/v1/models/k-exaone", { key: person.key })).body;
    expect(model).toMatchObject({ context_tokens: 65_536, sampling: { temperature: 0.5, top_p: 0.95 } });
    expect(model.price).not.toBeUndefined();
    await house.database.query("UPDATE models SET override = '{}'");
  });
});

describe("a workspace's own endpoint", () => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse("postgres", { worker: false });
    person = await house.register();
  });
  afterAll(() => house?.close());
  const post = (body: object) => house.api("POST", "/v1/models", { key: person.key, body });
  const patch = (body: object, headers = {}) =>
    house.api("PATCH", "/v1/models/mine", { key: person.key, body, headers });

  test("is a model like others; its key is sealed, and only its end is shown", async () => {
    const created = await post(endpoint());
    expect([created.status, created.headers.get("location")]).toEqual([201, "/v1/models/mine"]);
    expect(created.body).toMatchObject({
      owner: "workspace",
      simulated: false,
      availability: { status: "available" },
      endpoint: { base_url: SIMULATOR, key_hint: "…1234" },
    });
    expect(JSON.stringify(created.body)).not.toContain("sk-own");
    const [row] = await house.database.query<{ sealed_key: Buffer }>("SELECT sealed_key FROM model_endpoints");
    expect(row?.sealed_key.includes("sk-own")).toBe(false);
  });

  test("belongs to its workspace alone", async () => {
    const other = await house.register();
    expect((await house.api("GET", "/v1/models/mine", { key: other.key })).status).toBe(404);
    expect((await house.api("DELETE", "/v1/models/mine", { key: other.key })).status).toBe(404);
    expect((await house.deploy(other, manifest("agent", { model: "{ name: mine }" }))).body.errors[0].code).toBe(
      "unknown_model",
    );
  });

  test("changes only as its caller last saw it", async () => {
    const { headers } = await house.api("GET", "/v1/models/mine", { key: person.key });
    const etag = headers.get("etag") as string;
    expect((await patch({ in_flight: 4 }, { "if-match": etag })).body.endpoint.in_flight).toBe(4);
    expect((await patch({ in_flight: 5 }, { "if-match": etag })).status).toBe(412);
    expect((await patch({ in_flight: null })).body.endpoint.in_flight).toBeNull();
  });

  test("its key does not go to another host than it was given for", async () => {
    const moved = await patch({ base_url: "https://elsewhere.example/v1" });
    expect([moved.status, moved.body.errors[0].pointer]).toEqual([400, "/base_url"]);
    const withKey = await patch({ base_url: "https://elsewhere.example/v1", api_key: "another-key-5678" });
    expect(withKey.body.endpoint).toMatchObject({ base_url: "https://elsewhere.example/v1", key_hint: "…5678" });
    expect((await patch({ base_url: SIMULATOR, api_key: null })).body.endpoint.key_hint).toBeNull();
  });

  test.each([
    ["https://127.0.0.1/v1", "url_not_allowed"],
    ["https://169.254.169.254/v1", "url_not_allowed"],
    ["https://localhost/v1", "url_not_allowed"],
    ["http://models.example/v1", "url_not_allowed"],
    ["https://user:pass@models.example/v1", "url_not_allowed"],
    ["https://models.example/v1?key=1", "url_not_allowed"],
    ["https://models.example/v1/chat/completions", "url_not_allowed"],
    ["ftp://models.example/v1", "url_not_allowed"],
    ["nowhere", "url_not_allowed"],
  ])("%s is no place for it", async (base_url, code) => {
    const reply = await post(endpoint({ name: "bad", base_url }));
    expect([reply.status, reply.body.errors[0].code]).toEqual([400, code]);
  });

  test("names are taken once, and the catalogue's are taken for good", async () => {
    expect((await post(endpoint())).status).toBe(409);
    expect((await post(endpoint({ name: "k-exaone" }))).status).toBe(409);
    expect((await post(endpoint({ name: "No Spaces" }))).status).toBe(400);
    expect((await post(endpoint({ name: "big", max_output_tokens: 40_000 }))).body.errors[0].code).toBe(
      "limit_out_of_range",
    );
    for (const method of ["PATCH", "DELETE"]) {
      const body = method === "PATCH" ? { stream: false } : undefined;
      expect((await house.api(method, "/v1/models/k-exaone", { key: person.key, body })).body.code).toBe("read_only");
    }
  });

  test("a deployment whose model is gone is degraded, and says what that means", async () => {
    await house.deploy(person, manifest("agent", { model: "{ name: mine, fallbacks: [k-exaone] }" }));
    const get = async () => (await house.api("GET", "/v1/deployments/agent", { key: person.key })).body;
    expect(await get()).toMatchObject({
      model: "mine",
      fallbacks: ["k-exaone"],
      health: { status: "ready" },
      simulated: false,
    });
    await house.api("DELETE", "/v1/models/mine", { key: person.key });
    expect((await get()).health).toEqual({
      status: "degraded",
      reasons: ["There is no model mine any more. Runs are answered by k-exaone."],
    });
  });
});

describe("what this installation's hosts do not serve", () => {
  test("is listed as such, and refused at deploy by name", async () => {
    const house = await openHouse("postgres", { worker: false, serving: { served: ["k-exaone"], simulated: false } });
    try {
      const person = await house.register();
      const model = (await house.api("GET", "/v1/models/glm-4.7", { key: person.key })).body;
      expect(model.availability).toMatchObject({ status: "unserved" });
      const refused = await house.deploy(person, manifest("agent", { model: "{ fallbacks: [glm-4.7] }" }));
      expect(refused.body.errors).toMatchObject([{ pointer: "/spec/model/fallbacks/0", code: "model_unserved" }]);
    } finally {
      await house.close();
    }
  });
});

describeEachBackend("routing", (backend) => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse(backend);
    person = await house.register();
  });
  afterAll(() => house?.close());
  const add = (changes: object) => house.api("POST", "/v1/models", { key: person.key, body: endpoint(changes) });
  const stepsOf = async (run: string) =>
    (await house.api("GET", `/v1/runs/${run}/steps`, { key: person.key })).body.data;

  test("a run on an endpoint of one's own, over the egress guard, with tools and its key", async () => {
    await add({});
    await house.deploy(person, manifest("own", { model: "{ name: mine }" }));
    const run = await house.run(person, "own", "서울 날씨 알려줘");
    expect(run).toMatchObject({ status: "completed", model: "mine", simulated: false });
    expect((await stepsOf(run.id))[0]).toMatchObject({ model: "mine", upstream_model: UPSTREAM });
  });

  test("E5: a model its host no longer has is withdrawn: the fallback answers, the step says why, the deployment is degraded", async () => {
    await add({ name: "gone", upstream_model: "no/such-model" });
    await house.deploy(person, manifest("falls", { model: "{ name: gone, fallbacks: [k-exaone] }" }));
    const run = await house.run(person, "falls", "서울 날씨 알려줘");
    // The catalogue's model is the simulator here, and no answer of it may pass for another's.
    expect(run).toMatchObject({ status: "completed", model: "gone", simulated: true });
    const [first] = await stepsOf(run.id);
    expect(first).toMatchObject({
      model: "k-exaone",
      simulated: true,
      tried: [{ model: "gone", code: "model_not_found" }],
    });
    const get = async (path: string) => (await house.api("GET", path, { key: person.key })).body;
    expect((await get("/v1/models/gone")).availability).toMatchObject({ status: "withdrawn" });
    expect((await get("/v1/deployments/falls")).health).toMatchObject({
      status: "degraded",
      reasons: [expect.stringContaining("Runs are answered by k-exaone")],
    });
    // Put right, it is asked again.
    await house.api("PATCH", "/v1/models/gone", { key: person.key, body: { upstream_model: UPSTREAM } });
    expect((await get("/v1/deployments/falls")).health).toMatchObject({ status: "ready" });
  });

  test("a model of the catalogue that its host drops is withdrawn for all, until a call succeeds again", async () => {
    await house.deploy(person, manifest("drops"));
    const get = async (path: string) => (await house.api("GET", path, { key: person.key })).body;
    house.simulator.setFault("model-withdrawn");
    try {
      expect((await house.run(person, "drops", "hello")).error.code).toBe("model_not_found");
    } finally {
      house.simulator.setFault(null);
    }
    expect((await get("/v1/models/k-exaone")).availability).toMatchObject({
      status: "withdrawn",
      reason: "The model's host does not have this model.",
    });
    expect((await get("/v1/deployments/drops")).health.status).toBe("failed");
    expect((await get("/v1/deployments")).data[0].health.status).toBe("failed");
    expect((await house.run(person, "drops", "hello")).status).toBe("completed");
    expect((await get("/v1/deployments/drops")).health).toEqual({ status: "ready", reasons: [] });
  });

  test("without a fallback the run fails by name", async () => {
    await add({ name: "lost", upstream_model: "no/such-model" });
    await house.deploy(person, manifest("fails", { model: "{ name: lost }" }));
    const run = await house.run(person, "fails", "hello");
    expect(run).toMatchObject({ status: "failed", error: { code: "model_not_found" } });
    const { health } = (await house.api("GET", "/v1/deployments/fails", { key: person.key })).body;
    expect(health.reasons).toEqual([expect.stringContaining("Runs fail.")]);
  });

  test("a structured answer fits its schema, or the run fails by name", async () => {
    const schema =
      "{ type: object, required: [city], additionalProperties: false, properties: { city: { type: string } } }";
    await house.deploy(person, manifest("shaped", { output: `{ schema: ${schema} }` }));
    const run = await house.run(person, "shaped", "서울 날씨 알려줘");
    expect(run.status).toBe("completed");
    expect(JSON.parse(run.output)).toEqual({ city: expect.any(String) });
    const steps = await stepsOf(run.id);
    expect(steps.at(-1).tool_calls[0].name).toBe("submit_result");
  });

  test("thinking that a model can't switch is refused at deploy, and a strategy's typo names the choices", async () => {
    const refused = await house.deploy(person, manifest("bad", { model: "{ name: vaetki, thinking: false }" }));
    expect(refused.body.errors).toMatchObject([
      { pointer: "/spec/model/thinking", detail: expect.stringContaining("always thinks") },
    ]);
    const typo = await house.deploy(person, manifest("bad", { memory: "{ thread: { strategy: summarize } }" }));
    expect(typo.body.errors).toMatchObject([{ detail: "Must be one of trim, summarise." }]);
  });

  test("a schema that could hold up a process is refused at deploy", async () => {
    const reply = await house.deploy(person, manifest("bad", { output: '{ schema: { type: object, $ref: "#" } }' }));
    expect([reply.status, reply.body.errors[0].pointer.startsWith("/spec/output/schema")]).toEqual([400, true]);
  });
});
