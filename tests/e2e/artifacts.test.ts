import { createHash } from "node:crypto";
import { ARTIFACT_LIMITS } from "@maru/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";

const TOOLS = `    - name: long
      type: function
      description: A long text
      parameters: { type: object, properties: { n: { type: integer } }, required: [n] }
      source: "export default ({ n }) => '가나다라'.repeat(n)"
`;

describe("what a call gives beside the text the model reads", () => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse("postgres");
    person = await house.register();
    const text = manifest("writer", { tools: TOOLS, limits: "{ toolOutputBytes: 256 }" });
    expect((await house.deploy(person, text)).status).toBe(201);
  });
  afterAll(() => house?.close());
  const call = (n: number) => `#sim tool long {"n": ${n}}`;
  const get = (path: string, key = person.key) => house.api("GET", path, { key });
  const toolStep = async (id: string) => (await get(`/v1/runs/${id}/steps`)).body.data[1];

  test("is kept with the run: the whole of a text that was cut can be fetched, and the model is told its name", async () => {
    const run = await house.run(person, "writer", call(1_000));
    const step = await toolStep(run.id);
    const whole = "가나다라".repeat(1_000);
    const [artifact] = step.artifacts;
    expect(artifact).toMatchObject({ name: "output.txt", media_type: "text/plain; charset=utf-8" });
    expect(step.output).toContain(
      `[kept: output.txt (text/plain; charset=utf-8, ${artifact.size} bytes) as ${artifact.id}]`,
    );

    const { data } = (await get(`/v1/runs/${run.id}/artifacts`)).body;
    expect(data).toMatchObject([{ ...artifact, run_id: run.id, step: 2 }]);
    const fetched = await get(`/v1/artifacts/${artifact.id}`);
    expect(fetched.status).toBe(200);
    expect(fetched.body).toContain(whole);
    expect(createHash("sha256").update(fetched.body).digest("hex")).toBe(data[0].sha256);
    // Nothing a tool made runs as a page of the API's origin.
    expect(fetched.headers.get("content-disposition")).toMatch(/^attachment/);
    expect(fetched.headers.get("content-security-policy")).toContain("sandbox");
    expect(fetched.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test("is nobody else's, and nothing for what is not there", async () => {
    const run = await house.run(person, "writer", call(500));
    const [artifact] = (await toolStep(run.id)).artifacts;
    const stranger = await house.register();
    for (const path of [`/v1/artifacts/${artifact.id}`, `/v1/runs/${run.id}/artifacts`])
      expect((await get(path, stranger.key)).status).toBe(404);
    expect((await get("/v1/artifacts/art_01k00000000000000000000000")).status).toBe(404);
    expect((await get("/v1/artifacts/nonsense")).status).toBe(404);
  });

  test("is named by the steps a fork takes over, and is the other run's", async () => {
    const run = await house.run(person, "writer", call(1_000));
    const [artifact] = (await toolStep(run.id)).artifacts;
    const { body: fork } = await house.api("POST", `/v1/runs/${run.id}/fork`, {
      key: person.key,
      body: { from_step: 3 },
    });
    await until("the fork ends", async () => (await get(`/v1/runs/${fork.id}`)).body.finished_at !== null);
    expect((await toolStep(fork.id)).artifacts).toEqual([artifact]);
    expect((await get(`/v1/runs/${fork.id}/artifacts`)).body.data).toEqual([]);
  });

  test("is not there for a short one", async () => {
    const run = await house.run(person, "writer", call(3));
    expect((await toolStep(run.id)).artifacts).toBeUndefined();
    expect((await get(`/v1/runs/${run.id}/artifacts`)).body.data).toEqual([]);
  });

  test("beyond what a workspace may keep is said not to be kept, and the run goes on", async () => {
    const run = await house.run(person, "writer", call(1_000));
    const [{ id }] = (await get(`/v1/runs/${run.id}/artifacts`)).body.data;
    // As if this workspace had all it may have.
    await house.database.query(
      `INSERT INTO artifacts (workspace_id, id, run_id, step, name, media_type, size, sha256, bytes, created_at)
       SELECT workspace_id, gen_random_uuid(), run_id, step, 'filler ' || n, media_type, 0, sha256, '', created_at
         FROM artifacts, generate_series(1, $1) n WHERE name = 'output.txt' AND run_id = (SELECT id FROM runs ORDER BY id DESC LIMIT 1)`,
      [ARTIFACT_LIMITS.perWorkspace],
    );
    const full = await house.run(person, "writer", call(1_000));
    expect(full.status).toBe("completed");
    const step = await toolStep(full.id);
    expect(step.artifacts).toBeUndefined();
    expect(step.output).toContain("[not kept: output.txt");
    expect((await get(`/v1/artifacts/${id}`)).status).toBe(200);
  });

  test("goes with the payload of its run", async () => {
    const other = await house.register();
    await house.deploy(other, manifest("writer", { tools: TOOLS, limits: "{ toolOutputBytes: 256 }" }));
    const run = await house.run(other, "writer", call(1_000));
    const [{ id }] = (await get(`/v1/runs/${run.id}/artifacts`, other.key)).body.data;
    await house.database.query("SELECT expire_payloads(now() + interval '1 hour', 1000)");
    expect((await get(`/v1/artifacts/${id}`, other.key)).status).toBe(404);
    expect((await get(`/v1/runs/${run.id}/artifacts`, other.key)).body).toMatchObject({ code: "payload_expired" });
    expect(await house.database.query("SELECT count(*)::int AS n FROM artifacts")).toEqual([{ n: 0 }]);
  });
});
