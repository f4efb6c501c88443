import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPeer, type Peer, text, tool } from "../../packages/tools/test/mcp-peers.ts";
import { type House, manifest, openHouse, type Person, readEvents, until } from "../setup/house.ts";

const SECRET = "key-of-the-docs-server-0042";
let peer: Peer;
let house: House;
let person: Person;
beforeAll(async () => {
  peer = await openPeer("stateful", {
    tools: [tool("echo"), tool("remove", { annotations: { destructiveHint: true, title: "Remove" } })],
  });
  house = await openHouse("postgres", { egressAllow: { "docs.maru.internal": peer.origin } });
  person = await house.register();
  await house.api("PUT", "/v1/secrets/DOCS_KEY", { key: person.key, body: { value: SECRET } });
});
afterAll(async () => {
  await house?.close();
  // The worker has told the server that its sessions are over, and so has the gateway.
  expect(peer?.sessions()).toBe(0);
  await peer?.close();
});

const entry = (more = "") =>
  `    - { type: mcp, name: docs, url: "http://docs.maru.internal/mcp", headers: { Authorization: "Bearer \${secrets.DOCS_KEY}" }${more} }\n`;
const api = async (path: string) => (await house.api("GET", path, { key: person.key })).body;
const toolStep = async (id: string) =>
  (await api(`/v1/runs/${id}/steps`)).data.find(({ kind }: { kind: string }) => kind === "tool");

describe("an agent with an MCP server", () => {
  test("gets its tools at deploy, calls them in runs, and its secret stays where it is", async () => {
    const deployed = await house.deploy(person, manifest("reader", { tools: entry(", allow: [echo]") }));
    expect([deployed.status, deployed.body.action]).toEqual([201, "create"]);
    expect(peer.requests[0]?.headers.authorization).toBe(`Bearer ${SECRET}`);
    peer.answer = ({ args, headers }) => text(`${args.text} for ${headers.authorization}`);
    const run = await house.run(person, "reader", '#sim tool docs_echo {"text":"안녕"}');
    expect(run.status).toBe("completed");
    const step = await toolStep(run.id);
    expect(step).toMatchObject({ name: "docs_echo", output: "안녕 for Bearer [secret DOCS_KEY]" });
    expect(peer.calls.at(-1)?.meta).toMatchObject({ "maru/idempotencyKey": `${run.id}-${step.seq}` });
    const revision = await api("/v1/agents/reader/revisions/1");
    expect(Object.keys(revision.spec.tools[0].pinned.tools)).toEqual(["docs_echo"]);
    expect(JSON.stringify([revision, run, step])).not.toContain(SECRET);
    const again = await house.deploy(person, manifest("reader", { tools: entry(", allow: [echo]") }));
    expect(again.body.action).toBe("unchanged");
  });

  test("keeps a picture with the run, and tells the model only that it is there", async () => {
    const bytes = Buffer.from("89504e470d0a1a0a0042", "hex");
    peer.answer = () => ({
      content: [
        { type: "text", text: "the map" },
        { type: "image", mimeType: "image/png", data: bytes.toString("base64") },
      ],
    });
    const run = await house.run(person, "reader", "#sim tool docs_echo {}");
    const step = await toolStep(run.id);
    const [artifact] = step.artifacts;
    expect(artifact).toMatchObject({ name: "image-1.png", media_type: "image/png", size: 10 });
    expect(step.output).toBe(
      `the map\n[image-1.png: image/png, 10 bytes]\n[kept: image-1.png (image/png, 10 bytes) as ${artifact.id}]`,
    );
  });

  test("shows whoever streams how far a call is, in words without secrets", async () => {
    peer.answer = async ({ extra, meta, headers }) => {
      for (let progress = 1; progress <= 3; progress++) {
        await extra?.sendNotification({
          method: "notifications/progress",
          params: {
            progressToken: meta.progressToken as number,
            progress,
            total: 3,
            message: `page ${progress} for ${headers.authorization}`,
          },
        });
        await new Promise((done) => setTimeout(done, 300));
      }
      return text("done");
    };
    const response = await fetch(`${house.url}/v1/runs`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${person.key}`,
        "content-type": "application/json",
        accept: "text/event-stream",
      },
      body: JSON.stringify({ deployment: "reader", input: "#sim tool docs_echo {}" }),
    });
    const events = await readEvents(response);
    const said = events.filter(({ event }) => event === "progress");
    expect(said[0]).toMatchObject({
      id: null,
      data: { step: 2, progress: 1, total: 3, message: "page 1 for Bearer [secret DOCS_KEY]" },
    });
    expect(JSON.stringify(events)).not.toContain(SECRET);
    expect(events.at(-1)?.event).toBe("run.completed");
  });

  test("asks a person before a tool for which the manifest says so", async () => {
    peer.answer = () => text("removed");
    await house.deploy(person, manifest("remover", { tools: entry(", approvals: { remove: always }") }));
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "remover", input: "#sim tool docs_remove {}" },
    });
    const before = peer.calls.length;
    let run = body;
    await until("it waits", async () => {
      run = await api(`/v1/runs/${body.id}`);
      return run.status === "waiting";
    });
    expect(peer.calls.length).toBe(before);
    await house.api("POST", `/v1/runs/${body.id}/approvals`, {
      key: person.key,
      body: { approvals: [{ call_id: run.required_action.approvals[0].call_id, decision: "approve" }] },
    });
    await until("it ends", async () => (await api(`/v1/runs/${body.id}`)).status === "completed");
    expect((await toolStep(body.id)).output).toBe("removed");
    expect(peer.calls.length).toBe(before + 1);
  });

  test("is degraded when the server changes a tool, until it is deployed again", async () => {
    await house.deploy(person, manifest("drifter", { tools: entry(", allow: [echo]") }));
    const before = peer.tools;
    peer.tools = [
      tool("echo", {
        inputSchema: { type: "object", properties: { text: { type: "string" }, home: { type: "string" } } },
      }),
      ...before.slice(1),
    ];
    // Another credential, so another session: the one of before was told nothing.
    await house.api("PUT", "/v1/secrets/DOCS_KEY", { key: person.key, body: { value: `${SECRET}-2` } });
    const calls = peer.calls.length;
    let run = { id: "" };
    await until("the new secret is used", async () => {
      run = await house.run(person, "drifter", '#sim tool docs_echo {"text":"a"}');
      return (await toolStep(run.id)).error_code === "tool_drift";
    });
    expect((await toolStep(run.id)).output).toContain("has to be deployed again");
    const health = async () => (await api("/v1/deployments/drifter")).health;
    await until("it is degraded", async () => (await health()).status === "degraded");
    expect((await health()).reasons).toEqual([
      expect.stringMatching(/^Since 20\S+Z docs's tool echo has other parameters: it is not called\. Deploy again/),
    ]);
    expect((await api("/v1/deployments/remover")).health.status).toBe("ready");
    const made = peer.calls.length - calls;
    const plan = await house.api("POST", "/v1/deployments?dry_run=true", {
      key: person.key,
      raw: { type: "application/yaml", text: manifest("drifter", { tools: entry(", allow: [echo]") }) },
    });
    expect(plan.body.changes.map(({ path, op }: { path: string; op: string }) => [path, op])).toEqual([
      ["/tools/docs/pinned/tools/docs_echo/digest", "change"],
      ["/tools/docs/pinned/tools/docs_echo/parameters/properties/home/type", "add"],
    ]);
    await house.deploy(person, manifest("drifter", { tools: entry(", allow: [echo]") }));
    expect((await health()).status).toBe("ready");
    peer.answer = ({ args }) => text(String(args.text));
    const after = await house.run(person, "drifter", '#sim tool docs_echo {"text":"b"}');
    expect((await toolStep(after.id)).output).toBe("b");
    expect(peer.calls.length - calls).toBe(made + 1);
    peer.tools = before;
  });

  test("is ready again when the server takes its change back", async () => {
    await house.deploy(person, manifest("healer", { tools: entry(", allow: [echo]") }));
    const before = peer.tools;
    const change = async (tools: typeof before, secret: string) => {
      peer.tools = tools;
      await house.api("PUT", "/v1/secrets/DOCS_KEY", { key: person.key, body: { value: secret } });
    };
    const is = (status: string) =>
      until(`it is ${status}`, async () => {
        await house.run(person, "healer", '#sim tool docs_echo {"text":"a"}');
        return (await api("/v1/deployments/healer")).health.status === status;
      });
    await change(before.slice(1), `${SECRET}-3`);
    await is("degraded");
    expect((await api("/v1/deployments/healer")).health.reasons[0]).toContain("echo is gone: it is not called.");
    peer.tools = before;
    await is("ready");
    await change([tool("echo", { description: "Other words" }), ...before.slice(1)], `${SECRET}-4`);
    await is("degraded");
    expect((await api("/v1/deployments/healer")).health.reasons[0]).toContain("says something else of itself");
    peer.tools = before;
  });

  test("leaves open what came of a call that got no answer, and does not send it again", async () => {
    await house.deploy(person, manifest("waiter", { tools: entry(', timeout: 500ms, allow: ["echo"]') }));
    peer.answer = () => new Promise(() => {});
    const before = peer.count("tools/call");
    const run = await house.run(person, "waiter", "#sim tool docs_echo {}");
    expect(await toolStep(run.id)).toMatchObject({ error_code: "outcome_unknown" });
    expect(peer.count("tools/call")).toBe(before + 1);
  });
});

describe("a manifest with an MCP server", () => {
  const refused = async (tools: string) => {
    const reply = await house.deploy(person, manifest("refused", { tools }));
    expect(reply.status).toBe(400);
    return reply.body.errors.map(({ pointer, code, suggestion }: Record<string, string>) =>
      [pointer, code, suggestion].filter(Boolean),
    );
  };

  test.each<[string, string, string[][]]>([
    [
      "that can't be reached",
      `{ type: mcp, name: a, url: "http://127.0.0.1:1/mcp" }`,
      [["/spec/tools/0/url", "url_not_allowed"]],
    ],
    [
      "that is nowhere",
      `{ type: mcp, name: a, url: "https://nowhere.example.invalid/mcp" }`,
      [["/spec/tools/0/url", "mcp_unreachable"]],
    ],
    [
      "with a secret nobody has",
      `{ type: mcp, name: a, url: "https://a.example.com/", headers: { X: "\${secrets.NONE}" } }`,
      [["/spec/tools/0/headers/X", "secret_not_found"]],
    ],
    [
      "with a secret in its URL",
      `{ type: mcp, name: a, url: "https://a.example.com/?k=\${secrets.DOCS_KEY}" }`,
      [
        ["/spec/tools/0/url", "secret_not_allowed_here"],
        ["/spec/tools/0/url", "secret_not_allowed_here"],
      ],
    ],
    [
      "with the protocol's own header",
      `{ type: mcp, name: a, url: "https://a.example.com/", headers: { Mcp-Session-Id: x } }`,
      [["/spec/tools/0/headers/Mcp-Session-Id", "header_not_allowed"]],
    ],
    [
      "that is a command",
      `{ type: mcp, name: a, command: npx }`,
      [["/spec/tools/0/command", "mcp_transport_forbidden"]],
    ],
    [
      "that is a command and a URL",
      `{ type: mcp, name: a, command: npx, url: "https://a.example.com/" }`,
      [
        ["/spec/tools/0/command", "validation_failed"],
        ["/spec/tools/0/command", "mcp_transport_forbidden"],
      ],
    ],
    ["that is nothing", `{ type: mcp, name: a }`, [["/spec/tools/0/url", "validation_failed"]]],
    [
      "of a URL with arguments",
      `{ type: mcp, name: a, url: "https://a.example.com/", args: [x], env: { A: b } }`,
      [
        ["/spec/tools/0/args", "validation_failed"],
        ["/spec/tools/0/env", "validation_failed"],
      ],
    ],
    [
      "with a long name",
      `{ type: mcp, name: ${"a".repeat(33)}, url: "https://a.example.com/" }`,
      [["/spec/tools/0/name", "invalid_name", "a".repeat(32)]],
    ],
    [
      "of another transport",
      `{ type: mcp, name: a, url: "ws://a.example.com/" }`,
      [["/spec/tools/0/url", "url_not_allowed"]],
    ],
    [
      "whose calls are never unknown",
      `{ type: mcp, name: a, url: "https://a.example.com/", effect: safe, on_unknown: ask }`,
      [["/spec/tools/0/on_unknown", "effect_class_invalid"]],
    ],
    [
      "with a condition that is no schema",
      `{ type: mcp, name: a, url: "https://a.example.com/", approvals: { x: { when: { patern: 1 } } } }`,
      [["/spec/tools/0/approvals/x/when/patern", "tool_schema_invalid"]],
    ],
    [
      "with a tool it does not have",
      `{ type: mcp, name: docs, url: "http://docs.maru.internal/mcp", allow: [ecko] }`,
      [["/spec/tools/0/allow/0", "mcp_tool_not_found", "echo"]],
    ],
  ])("%s is refused with the place", async (_what, tools, errors) => {
    expect(await refused(`    - ${tools}\n`)).toEqual(errors);
  });
});
