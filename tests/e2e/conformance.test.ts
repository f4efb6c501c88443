import { afterAll, beforeAll, expect, test } from "vitest";
import { type House, manifest, OPERATOR_TOKEN, openHouse, type Reply } from "../setup/house.ts";
import { allOperations, exercised } from "../setup/openapi.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse("postgres");
});
afterAll(() => house?.close());

test("every operation of the OpenAPI document answers as the document says", async () => {
  const person = await house.register();
  const { key } = person;
  const get = (path: string) => house.api("GET", path, { key });
  await house.deploy(person, manifest("weather"));
  await house.deploy(person, manifest("other"));
  const run = await house.run(person, "weather", "서울 날씨", { metadata: { order: "7" } });
  const thread = (await house.api("POST", "/v1/threads", { key, body: {} })).body;
  await house.run(person, "weather", "부산 날씨", { thread_id: thread.id });

  for (const path of [
    "/v1/deployments",
    "/v1/deployments/weather",
    "/v1/deployments/weather/manifest",
    "/v1/agents",
    "/v1/agents/weather",
    "/v1/agents/weather/revisions",
    "/v1/agents/weather/revisions/1",
    "/v1/agents/weather/revisions/1/manifest",
    "/v1/runs",
    `/v1/runs?status=completed&deployment=weather&thread_id=${thread.id}`,
    `/v1/runs/${run.id}`,
    `/v1/runs/${run.id}/events`,
    `/v1/runs/${run.id}/steps`,
    "/v1/threads",
    `/v1/threads/${thread.id}`,
    `/v1/threads/${thread.id}/messages`,
    "/v1/models",
    "/v1/models/k-exaone",
    "/v1/quota",
    "/v1/quota/audit",
    "/v1/usage",
    "/v1/usage?group_by=day,agent,deployment,model,key&time_zone=Asia/Seoul",
    "/v1/usage/records",
    `/v1/usage/records?run_id=${run.id}`,
    "/v1/api-keys",
    "/v1/auth/me",
    "/.well-known/jwks.json",
    "/healthz",
    "/readyz",
  ]) {
    expect([path, (await get(path)).status]).toEqual([path, 200]);
  }
  expect((await get(`/v1/runs/${run.id}`)).body.metadata).toEqual({ order: "7" });
  expect((await get("/v1/usage?group_by=deployment")).body.data.map((group: { key: object }) => group.key)).toEqual([
    { deployment: "weather" },
  ]);

  const endpoint = { name: "mine", upstream_model: "m", base_url: "https://models.example/v1", context_tokens: 8_192 };
  await house.api("POST", "/v1/models", { key, body: endpoint });
  await house.api("PATCH", "/v1/models/mine", { key, body: { stream: false } });
  await house.api("DELETE", "/v1/models/mine", { key });

  const hook = { url: "http://weather.maru.internal/in", events: ["quota.*"] };
  const webhook = `/v1/webhooks/${(await house.api("POST", "/v1/webhooks", { key, body: hook })).body.webhook.id}`;
  const tested = await house.api("POST", `${webhook}/test`, { key });
  await house.api("POST", `${webhook}/deliveries/${tested.body.id}/redeliver`, { key });
  await house.api("POST", `${webhook}/rotate-secret`, { key });
  await house.api("PATCH", webhook, { key, body: { enabled: false } });
  for (const path of ["/v1/webhooks", webhook, `${webhook}/deliveries`]) expect((await get(path)).status).toBe(200);
  await house.api("DELETE", webhook, { key });

  const daily = { name: "daily", deployment: "weather", cron: "@daily", input: "{{date}}" };
  const schedule = `/v1/schedules/${(await house.api("POST", "/v1/schedules", { key, body: daily })).body.id}`;
  expect((await house.api("POST", `${schedule}/run`, { key })).status).toBe(202);
  await house.api("PATCH", schedule, { key, body: { paused: true } });
  for (const path of ["/v1/schedules", schedule, `${schedule}/fires`]) expect((await get(path)).status).toBe(200);
  await house.api("DELETE", schedule, { key });

  const fields = { name: "in", deployment: "weather", input: "{{/text}}" };
  const { trigger: inbound, secret } = (await house.api("POST", "/v1/triggers", { key, body: fields })).body;
  const trigger = `/v1/triggers/${inbound.id}`;
  for (const [path, headers] of [
    [inbound.path, { "x-maru-token": secret }],
    [`${inbound.path}/${secret}`, {}],
  ])
    expect((await house.api("POST", path, { body: { text: "hello" }, headers })).status).toBe(202);
  await house.api("POST", `${trigger}/rotate-secret`, { key });
  await house.api("PATCH", trigger, { key, body: { enabled: false } });
  for (const path of ["/v1/triggers", trigger, `${trigger}/deliveries`]) expect((await get(path)).status).toBe(200);
  await house.api("DELETE", trigger, { key });

  // A text that is cut is kept whole.
  const long =
    "    - { name: long, type: function, description: d, source: \"export default () => 'x'.repeat(999)\" }\n";
  await house.deploy(person, manifest("long", { tools: long, limits: "{ toolOutputBytes: 256 }" }));
  const wordy = await house.run(person, "long", "#sim tool long {}");
  const [artifact] = (await get(`/v1/runs/${wordy.id}/artifacts`)).body.data;
  expect((await get(`/v1/artifacts/${artifact.id}`)).body).toHaveLength(1_001);

  // Deployments change hands: two revisions, a split between them, and back.
  await house.deploy(person, manifest("two"));
  await house.deploy(person, manifest("two", { instructions: "Be brief." }));
  const split = [
    { revision: 1, percent: 50 },
    { revision: 2, percent: 50 },
  ];
  expect((await house.api("PUT", "/v1/deployments/two/traffic", { key, body: { split } })).status).toBe(200);
  for (const change of ["promote", "rollback", "pause", "resume"])
    expect([change, (await house.api("POST", `/v1/deployments/two/${change}`, { key, body: {} })).status]).toEqual([
      change,
      200,
    ]);
  for (const path of ["/v1/deployments/two/releases", "/v1/agents/two/revisions/2/diff"]) await get(path);
  await house.api("PATCH", "/v1/agents/two/revisions/1", { key, body: { labels: { by: "test" } } });
  await house.api("DELETE", "/v1/deployments/two", { key });

  await house.api("PUT", "/v1/secrets/KEY", { key, body: { value: "a-secret-value" } });
  for (const path of ["/v1/secrets", "/v1/secrets/KEY"]) expect([path, (await get(path)).status]).toEqual([path, 200]);
  await house.api("DELETE", "/v1/secrets/KEY", { key });

  const policy = { egress: { allow: null, deny: ["*.evil.example"] }, tools: { deny: ["kind:code"] } };
  expect((await house.api("PUT", "/v1/policy", { key, body: policy })).status).toBe(200);
  expect((await get("/v1/policy")).body).toMatchObject(policy);
  const place = "scope=user&agent=weather&subject=kim";
  await house.api("PUT", `/v1/memory/items/city?${place}`, { key, body: { value: "서울", embedding: [1, 0] } });
  for (const path of [
    "/v1/memory",
    `/v1/memory/usage?${place}`,
    `/v1/memory/items?${place}`,
    `/v1/memory/items/city?${place}`,
  ])
    expect([path, (await get(path)).status]).toEqual([path, 200]);
  const search = await house.api("POST", `/v1/memory/search?${place}`, {
    key,
    body: { query: "서울", embedding: [1, 0] },
  });
  expect(search.body.data).toMatchObject([{ key: "city", score: 1 }]);
  await house.api("DELETE", `/v1/memory/items/city?${place}`, { key });
  await house.api("DELETE", `/v1/memory?${place}`, { key });

  const check = await house.api("POST", "/v1/quota/check", { key, body: { deployment: "weather", input: "hello" } });
  expect(check.body).toMatchObject({ admitted: true, refusal: null });

  await house.api("PUT", "/v1/quota/limits/mine", { key, body: { unit: "tokens", amount: 9_000_000 } });
  await get("/v1/quota/limits");
  await house.api("DELETE", "/v1/quota/limits/mine", { key });
  const asOperator = (method: string, path: string, body?: object) =>
    house.api(method, `/v1/admin${path}`, { key: OPERATOR_TOKEN, ...(body === undefined ? {} : { body }) });
  const workspace = `/workspaces/${person.workspaceId}`;
  const span = { starts_at: "2026-01-01T00:00:00Z", ends_at: "2098-01-01T00:00:00Z" };
  const campaign = {
    id: "fest",
    renew: "campaign",
    time_zone: "UTC",
    ...span,
    limits: [{ unit: "runs", amount: 900 }],
  };
  expect((await asOperator("POST", "/plans", campaign)).status).toBe(201);
  await asOperator("GET", "/plans");
  await asOperator("POST", "/plans/fest/extend", { ends_at: "2099-01-01T00:00:00Z" });
  await asOperator("POST", `${workspace}/grants`, { limit: "tokens", amount: 5, key: "five" });
  await asOperator("POST", `${workspace}/plan`, { plan: "fest", from: "2097-01-01T00:00:00Z" });
  await asOperator("GET", `${workspace}/plans`);
  await asOperator("GET", "/actions");

  const forked = await house.api("POST", `/v1/runs/${run.id}/fork`, { key, body: { from_step: 1 } });
  expect(forked.status).toBe(202);
  const tools = `    - { name: ask_user, type: client, description: Asks the user }
    - { name: calculator, type: builtin, approval: always }
`;
  await house.deploy(person, manifest("asks", { tools }));
  const input = '#sim parallel ask_user {} calculator {"expression":"6*7"}';
  const asking = await house.api("POST", "/v1/runs", {
    key,
    body: { deployment: "asks", input },
    headers: { prefer: "wait=20" },
  });
  const { tool_results: asked, approvals } = asking.body.required_action;
  for (const [what, body] of [
    ["tool-results", { tool_results: [{ call_id: asked[0].call_id, output: "yes" }] }],
    ["approvals", { approvals: [{ call_id: approvals[0].call_id, decision: "approve" }] }],
  ] as const)
    expect((await house.api("POST", `/v1/runs/${asking.body.id}/${what}`, { key, body })).status).toBe(200);

  const waiting = await house.api("POST", "/v1/runs", {
    key,
    body: { deployment: "weather", input: "#sim slow 5000" },
  });
  await house.api("POST", `/v1/runs/${waiting.body.id}/cancel`, { key });
  const made = await house.api("POST", "/v1/api-keys", {
    key,
    body: { name: "short", scopes: ["runs:read"], expires_at: "2099-01-01T00:00:00Z" },
  });
  await get(`/v1/api-keys/${made.body.api_key.id}`);
  await house.api("DELETE", `/v1/api-keys/${made.body.api_key.id}`, { key });
  await house.api("DELETE", `/v1/threads/${thread.id}`, { key });
  const pair = await house.api("POST", "/v1/auth/token", {
    body: { grant_type: "password", email: person.email, password: person.password },
  });
  await house.api("POST", "/v1/auth/logout", { key: pair.body.access_token });

  expect([...exercised].sort()).toEqual([...allOperations].sort());
}, 120_000);

test("lists page by cursor without gap or repetition", async () => {
  const person = await house.register();
  for (let index = 0; index < 7; index++) await house.api("POST", "/v1/threads", { key: person.key, body: {} });
  const all = (await house.api("GET", "/v1/threads?limit=100", { key: person.key })).body.data.map(
    (thread: { id: string }) => thread.id,
  );
  expect(all).toHaveLength(7);
  const paged: string[] = [];
  let next: string | null = null;
  do {
    const after: string = next === null ? "" : `&after=${next}`;
    const { body: page }: Reply = await house.api("GET", `/v1/threads?limit=3${after}`, { key: person.key });
    paged.push(...page.data.map(({ id }: { id: string }) => id));
    next = page.next;
  } while (next !== null);
  expect(paged).toEqual(all);
});

test("what can be read again has an entity tag that answers 304", async () => {
  const person = await house.register();
  const first = await house.api("GET", "/v1/models", { key: person.key });
  const again = await house.api("GET", "/v1/models", {
    key: person.key,
    headers: { "if-none-match": first.headers.get("etag") as string },
  });
  expect([again.status, again.body]).toEqual([304, ""]);
});

test("the documents are there: OpenAPI 3.1, a readable guide, the manifest's schema, the problems, metrics", async () => {
  expect((await house.api("GET", "/openapi.json")).body).toMatchObject({ openapi: "3.1.0" });
  expect((await house.api("GET", "/schemas/agent.json")).body).toMatchObject({ title: "Maru agent manifest" });
  const docs = await fetch(`${house.url}/docs/`);
  expect([docs.status, (await docs.text()).includes("swagger")]).toEqual([200, true]);
  expect((await house.api("GET", "/docs/problems")).body).toContain('id="quota_exhausted"');
  expect((await house.api("GET", "/metrics")).body).toContain("maru_http_request_duration_seconds");
});

test("every reply says how much of the rate limit is left, and carries the request id", async () => {
  const strict = await openHouse("postgres", { worker: false, rateLimit: { perMinute: 60, burst: 5 } });
  try {
    const calls = [];
    for (let index = 0; index < 8; index++)
      calls.push(await strict.api("GET", "/.well-known/jwks.json", { headers: { "x-request-id": `mine-${index}` } }));
    expect(calls.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
    expect(calls[0]?.headers.get("ratelimit-policy")).toBe('"default";q=5;w=5');
    expect(calls[0]?.headers.get("ratelimit")).toMatch(/^"default";r=4;t=\d+$/);
    expect(calls[3]?.headers.get("x-request-id")).toBe("mine-3");
    expect(calls[5]?.body).toMatchObject({ code: "rate_limited", limit: "default" });
    expect(Number(calls[5]?.headers.get("retry-after"))).toBeGreaterThan(0);
  } finally {
    await strict.close();
  }
});

test("readiness names the dependency that is down", async () => {
  const doomed = await openHouse("postgres", { worker: false });
  try {
    expect((await doomed.api("GET", "/readyz")).body.status).toBe("ready");
    const blocked = (sql: string) => doomed.database.server(sql);
    await blocked(`ALTER DATABASE ${doomed.database.name} ALLOW_CONNECTIONS false`);
    await blocked(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${doomed.database.name}' AND pid <> pg_backend_pid()`,
    );
    const down = await doomed.api("GET", "/readyz");
    expect([down.status, down.body.checks.database.ok]).toEqual([503, false]);
    const call = await doomed.api("POST", "/v1/auth/token", {
      body: { grant_type: "password", email: "a@example.com", password: "x" },
    });
    expect([call.status, call.body.code]).toEqual([503, "unavailable"]);
    await blocked(`ALTER DATABASE ${doomed.database.name} ALLOW_CONNECTIONS true`);
    expect((await doomed.api("GET", "/readyz")).status).toBe(200);
  } finally {
    await doomed.close();
  }
});
