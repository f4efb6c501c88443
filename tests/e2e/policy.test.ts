import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person, readEvents, until } from "../setup/house.ts";
import { openToolServer, type ToolServer } from "../setup/tool-server.ts";
import { openWebhookReceiver, type WebhookReceiver } from "../setup/webhook-receiver.ts";

let house: House;
let tools: ToolServer;
let receiver: WebhookReceiver;
/** A workspace of each test's own: nobody has read its policy before. */
let person: Person;
beforeAll(async () => {
  [tools, receiver] = [await openToolServer(), await openWebhookReceiver()];
  house = await openHouse("postgres", {
    egressAllow: { "tools.maru.internal": tools.origin, "hooks.maru.internal": receiver.origin },
  });
});
beforeEach(async () => {
  person = await house.register();
  tools.arrivals.length = 0;
});
afterAll(async () => {
  await house?.close();
  await tools?.close();
  await receiver?.close();
});

interface Rules {
  egress?: { allow?: string[] | null; deny?: string[] };
  tools?: { deny: string[] };
}
const rules = ({ egress = {}, tools: denied = { deny: [] } }: Rules = {}) => ({
  egress: { allow: null, deny: [], ...egress },
  tools: denied,
});
const put = (body: object, headers: Record<string, string> = {}, key = person.key) =>
  house.api("PUT", "/v1/policy", { key, body, headers });
const get = (path: string, key = person.key) => house.api("GET", path, { key });
const probe = (extra = "") =>
  `    - { name: probe, type: http, description: Probes, request: { url: "http://tools.maru.internal/" }${extra} }\n`;
const toolStep = async (run: { id: string }) =>
  (await get(`/v1/runs/${run.id}/steps`)).body.data.find(({ kind }: { kind: string }) => kind === "tool");

describe("a policy over REST", () => {
  test("allows everything until one is set, and is set as a whole", async () => {
    const before = await get("/v1/policy");
    expect([before.headers.get("etag"), before.body]).toEqual(['"0"', { ...rules(), updated_at: null }]);
    const given = rules({
      egress: { allow: ["API.Example.com", "*.Bücher.example", "api.example.com"], deny: ["[::FFFF:1.2.3.4]"] },
      tools: { deny: ["kind:code", "delete_*", "kind:code"] },
    });
    const set = await put(given, { "if-match": '"0"' });
    expect([set.status, set.headers.get("etag")]).toEqual([200, '"1"']);
    expect(set.body).toMatchObject({
      egress: { allow: ["api.example.com", "*.xn--bcher-kva.example"], deny: ["[::ffff:102:304]"] },
      tools: { deny: ["kind:code", "delete_*"] },
      updated_at: expect.any(String),
    });
    expect((await get("/v1/policy")).body).toEqual(set.body);
    for (const tag of ['"0"', '"2"', '"x"']) expect((await put(rules(), { "if-match": tag })).status).toBe(412);
    expect((await put(rules(), { "if-match": '"1"' })).headers.get("etag")).toBe('"2"');
    expect((await put(rules())).headers.get("etag")).toBe('"3"');
  });

  test("of several callers who saw the same one, one changes it", async () => {
    for (const tag of ['"0"', '"1"']) {
      const all = await Promise.all(Array.from({ length: 8 }, () => put(rules(), { "if-match": tag })));
      expect(all.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(412)]);
    }
  });

  test("belongs to its workspace alone", async () => {
    await put(rules({ tools: { deny: ["*"] } }));
    const other = await house.register();
    expect((await get("/v1/policy", other.key)).body).toMatchObject(rules());
  });

  test.each<[string, object, string[]]>([
    ["no part of it", {}, ["/egress"]],
    ["only a part of it", { tools: { deny: [] } }, ["/egress"]],
    ["something else", { ...rules(), limits: {} }, ["/limits"]],
    [
      "hosts that are none",
      rules({ egress: { allow: ["https://a.example", "a.example"], deny: ["a.example:443", "*"] } }),
      ["/egress/allow/0", "/egress/deny/0", "/egress/deny/1"],
    ],
    ["a kind that is none", rules({ tools: { deny: ["kind:cod"] } }), ["/tools/deny/0"]],
    ["a pattern that is none", rules({ tools: { deny: ["a*b"] } }), ["/tools/deny/0"]],
    ["too many hosts", rules({ egress: { deny: Array(257).fill("a.example") } }), ["/egress/deny"]],
  ])("with %s is refused with its places", async (_name, body, places) => {
    const reply = await put(body);
    expect(reply.status).toBe(400);
    expect(reply.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual(places);
  });

  test("is seen by who may see agents, and set by who may set policies", async () => {
    const scopes = ["agents:read", "agents:write", "runs:write"];
    const made = await house.api("POST", "/v1/api-keys", { key: person.key, body: { name: "builder", scopes } });
    expect((await get("/v1/policy", made.body.key)).status).toBe(200);
    const refused = await put(rules(), {}, made.body.key);
    expect([refused.status, refused.body.code]).toEqual([403, "insufficient_scope"]);
  });
});

describe("at deploy", () => {
  const found = async (text: string) => {
    const { status, body } = await house.deploy(person, text);
    return [status, body.code, body.errors?.map(({ pointer, code }: Record<string, string>) => `${pointer} ${code}`)];
  };

  test("a host that is denied, or not among those allowed, is refused with its place", async () => {
    const agent = manifest("agent", { tools: probe() });
    await put(rules({ egress: { deny: ["*.maru.internal"] } }));
    const refused = await house.deploy(person, agent);
    expect(refused.body).toMatchObject({
      status: 400,
      code: "host_denied",
      errors: [
        {
          pointer: "/spec/tools/0/request/url",
          line: expect.any(Number),
          detail: expect.stringContaining("tools.maru.internal"),
        },
      ],
    });
    await put(rules({ egress: { allow: ["api.example.com"] } }));
    expect(await found(agent)).toEqual([400, "host_denied", ["/spec/tools/0/request/url host_denied"]]);
    await put(rules({ egress: { allow: ["tools.maru.internal"] } }));
    expect((await house.deploy(person, agent)).status).toBe(201);
  });

  test("a kind or a name that is denied is refused, with all else that is wrong", async () => {
    await put(rules({ egress: { deny: ["tools.maru.internal"] }, tools: { deny: ["kind:code", "calc*"] } }));
    expect(
      await found(
        manifest("agent", {
          tools: `${probe()}    - { name: run_js, type: code }\n    - { name: calculator, type: builtin }\n    - { name: current_time, type: builtin }\n`,
        }),
      ),
    ).toEqual([
      400,
      "manifest_invalid",
      ["/spec/tools/0/request/url host_denied", "/spec/tools/1 tool_denied", "/spec/tools/2 tool_denied"],
    ]);
  });

  test("an endpoint of the workspace's own at a host that is denied by now is no model to deploy with", async () => {
    const endpoint = {
      name: "mine",
      upstream_model: "m",
      base_url: "http://weather.maru.internal/v1",
      context_tokens: 32_768,
    };
    await house.api("POST", "/v1/models", { key: person.key, body: endpoint });
    await put(rules({ egress: { deny: ["weather.maru.internal"] } }));
    for (const [model, place] of [
      ["{ name: mine }", "/spec/model/name"],
      ["{ fallbacks: [mine] }", "/spec/model/fallbacks/0"],
    ] as const)
      expect(await found(manifest("agent", { model, tools: probe() }))).toEqual([
        400,
        "host_denied",
        [`${place} host_denied`],
      ]);
    const another = await house.api("POST", "/v1/models", { key: person.key, body: { ...endpoint, name: "other" } });
    expect([another.body.code, another.body.errors[0].pointer]).toEqual(["host_denied", "/base_url"]);
    const moved = await house.api("PATCH", "/v1/models/mine", {
      key: person.key,
      body: { base_url: "http://weather.maru.internal/v2" },
    });
    expect(moved.body.code).toBe("host_denied");
    expect((await house.api("PATCH", "/v1/models/mine", { key: person.key, body: { stream: false } })).status).toBe(
      200,
    );
  });
});

describe("of what is deployed already", () => {
  test("a call to a host that is denied by now is not sent, and the model is told", async () => {
    await house.deploy(person, manifest("agent", { tools: probe() }));
    await put(rules({ egress: { deny: ["tools.maru.internal"] } }));
    const run = await house.run(person, "agent", "#sim tool probe {}");
    expect(run.status).toBe("completed");
    expect(await toolStep(run)).toMatchObject({
      state: "error",
      error_code: "policy_denied",
      output: "The workspace's policy does not allow this host.",
    });
    expect(tools.arrivals).toEqual([]);
  });

  test("a tool that is denied by now is not called, and nobody is asked about it", async () => {
    await house.deploy(
      person,
      manifest("agent", {
        tools: `${probe(", approval: always")}    - { name: ask_user, type: client, description: Asks }\n`,
      }),
    );
    await put(rules({ tools: { deny: ["kind:client", "probe"] } }));
    for (const name of ["probe", "ask_user"]) {
      const run = await house.run(person, "agent", `#sim tool ${name} {}`);
      expect(run.status).toBe("completed");
      expect(await toolStep(run)).toMatchObject({ name, state: "error", error_code: "policy_denied" });
    }
    expect(tools.arrivals).toEqual([]);
  });

  test("another agent that is denied by now is not asked", async () => {
    await house.deploy(person, manifest("other", { tools: probe() }));
    await house.deploy(
      person,
      manifest("agent", { tools: "    - { name: ask_other, type: agent, description: Asks, deployment: other }\n" }),
    );
    await put(rules({ tools: { deny: ["kind:agent"] } }));
    const run = await house.run(person, "agent", '#sim tool ask_other {"input":"hello"}');
    expect(run).toMatchObject({ status: "completed", descendants: { runs: 0 } });
    expect(await toolStep(run)).toMatchObject({ state: "error", error_code: "policy_denied" });
  });

  test("a change reaches workers that know the policy already, both ways", async () => {
    await house.deploy(person, manifest("agent", { tools: probe() }));
    const code = async () => (await toolStep(await house.run(person, "agent", "#sim tool probe {}"))).error_code;
    expect(await code()).toBeUndefined();
    await put(rules({ tools: { deny: ["probe"] } }));
    await until("calls are refused", async () => (await code()) === "policy_denied");
    const sent = tools.arrivals.length;
    expect(await code()).toBe("policy_denied");
    expect(tools.arrivals).toHaveLength(sent);
    await put(rules());
    await until("calls are made again", async () => (await code()) === undefined);
  });

  test("an approval that was given does not go before the policy", async () => {
    await house.deploy(person, manifest("agent", { tools: probe(", approval: always") }));
    await house.deploy(person, manifest("seer", { tools: probe() }));
    const { body: run } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "agent", input: "#sim tool probe {}" },
      headers: { prefer: "wait=20" },
    });
    const [{ call_id }] = run.required_action.approvals;
    await put(rules({ egress: { allow: [] } }));
    const seen = async () => (await toolStep(await house.run(person, "seer", "#sim tool probe {}"))).error_code;
    await until("workers know", async () => (await seen()) === "policy_denied");
    tools.arrivals.length = 0;
    await house.api("POST", `/v1/runs/${run.id}/approvals`, {
      key: person.key,
      body: { approvals: [{ call_id, decision: "approve" }] },
    });
    await until("the run ends", async () => (await get(`/v1/runs/${run.id}`)).body.finished_at !== null);
    expect(await toolStep(run)).toMatchObject({ state: "error", error_code: "policy_denied" });
    expect(tools.arrivals).toEqual([]);
  });

  test("a webhook's host is judged when it is made, changed and sent to", async () => {
    const hook = { url: "http://hooks.maru.internal/denied", events: ["run.*"] };
    const made = await house.api("POST", "/v1/webhooks", { key: person.key, body: hook });
    const path = `/v1/webhooks/${made.body.webhook.id}`;
    await put(rules({ egress: { deny: ["hooks.maru.internal"] } }));
    const refused = await house.api("POST", "/v1/webhooks", { key: person.key, body: hook });
    expect([refused.body.code, refused.body.errors[0].pointer]).toEqual(["host_denied", "/url"]);
    const changed = await house.api("PATCH", path, { key: person.key, body: { url: `${hook.url}/2` } });
    expect(changed.body.code).toBe("host_denied");
    await house.api("POST", `${path}/test`, { key: person.key });
    const log = async () => (await get(`${path}/deliveries`)).body.data[0];
    await until("it was tried", async () => (await log()).last_error !== null);
    expect(await log()).toMatchObject({ state: "pending", last_error: "policy_denied" });
    expect(receiver.at("/denied")).toEqual([]);
  });

  test("a model at a host that is denied by now is not asked, and the run says why", async () => {
    const body = {
      name: "mine",
      upstream_model: "LGAI-EXAONE/K-EXAONE-236B-A23B",
      base_url: "http://weather.maru.internal/v1",
      context_tokens: 32_768,
      dialect: "friendli",
    };
    await house.api("POST", "/v1/models", { key: person.key, body });
    await house.deploy(person, manifest("alone", { model: "{ name: mine }", tools: probe() }));
    await house.deploy(person, manifest("backed", { model: "{ name: mine, fallbacks: [k-exaone] }", tools: probe() }));
    await put(rules({ egress: { deny: ["weather.maru.internal"] } }));
    expect(await house.run(person, "alone", "hello")).toMatchObject({
      status: "failed",
      error: { code: "policy_denied" },
    });
    const backed = await house.run(person, "backed", "hello");
    expect(backed.status).toBe("completed");
    expect((await get(`/v1/runs/${backed.id}/steps`)).body.data[0]).toMatchObject({
      model: "k-exaone",
      tried: [{ model: "mine", code: "policy_denied" }],
    });
  });
});

describe("what is said of a tool's effects", () => {
  const REMOVE = `    - name: remove
      type: http
      description: Removes
      request: { method: DELETE, url: "http://tools.maru.internal/{id}" }
      parameters: { type: object, properties: { id: { type: string } }, required: [id] }
      approval: always
`;
  const ask = async (extra: string) => {
    const deployed = await house.deploy(person, manifest("agent", { tools: `${REMOVE}${extra}` }));
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "agent", input: '#sim tool remove {"id":"7"}' },
      headers: { prefer: "wait=20" },
    });
    return { deployed: deployed.body, run: body };
  };

  test("is shown to who approves a call, in the run and in its events", async () => {
    const { run } = await ask("");
    expect(run.required_action.approvals).toMatchObject([{ name: "remove", annotations: { destructive: true } }]);
    await house.api("POST", `/v1/runs/${run.id}/cancel`, { key: person.key, body: {} });
    const events = await readEvents(
      await fetch(new URL(`/v1/runs/${run.id}/events`, house.url), {
        headers: { authorization: `Bearer ${person.key}`, accept: "text/event-stream" },
      }),
    );
    const waiting = events.find(({ event }) => event === "run.waiting");
    expect(waiting?.data.required_action.approvals[0].annotations).toEqual({ destructive: true });
  });

  test("is what the manifest says, where it says something; one that says nothing is the same manifest", async () => {
    const plain = await ask("");
    const nothing = await ask("      annotations: {}\n");
    expect([nothing.deployed.action, nothing.deployed.digest]).toEqual(["unchanged", plain.deployed.digest]);
    const { run } = await ask("      annotations: { title: Unlist, destructive: false, readOnly: false }\n");
    expect(run.required_action.approvals[0].annotations).toEqual({
      title: "Unlist",
      read_only: false,
      destructive: false,
    });
  });

  test("is nothing of a tool of which nothing is said", async () => {
    await house.deploy(
      person,
      manifest("agent", {
        tools: `    - { name: probe, type: http, description: P, request: { method: POST, url: "http://tools.maru.internal/" }, approval: always }\n`,
      }),
    );
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "agent", input: "#sim tool probe {}" },
      headers: { prefer: "wait=20" },
    });
    expect(body.required_action.approvals[0]).not.toHaveProperty("annotations");
  });
});
