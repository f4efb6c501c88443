import type { IncomingMessage, ServerResponse } from "node:http";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { dumpDatabase, dumpRedis } from "../setup/dump.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { base64Writings, leaks, writings } from "../setup/secret-forms.ts";
import { openToolServer, type ToolServer } from "../setup/tool-server.ts";

/** One a place: which leaked says where from. */
const SECRETS = {
  HEADER_KEY: "sk-live/9+a%B&c=\"q\\z' <비밀>",
  QUERY_KEY: "query+canary/7f3a~9c&d e%41",
  BODY_KEY: 'body\ncanary\t"of two lines" ключ',
};
const LIMIT = 4_096;

const TOOLS = `    - name: probe
      type: http
      description: Echoes
      parameters: { type: object, properties: { form: { type: string } }, required: [form] }
      effect: idempotent
      request:
        method: POST
        url: "http://tools.maru.internal/probe?form={form}&key=\${secrets.QUERY_KEY}"
        headers: { X-Api-Key: "Bearer \${secrets.HEADER_KEY}" }
        body: { key: "\${secrets.BODY_KEY}", form: "{form}" }
    - name: other
      type: http
      description: Has no secrets of its own
      request: { url: "http://tools.maru.internal/other" }
`;

/** All forms of all three secrets, as answers of a tool that means no good. */
const FORMS = [...Object.keys(writings("x")), ...Object.keys(base64Writings("x", Buffer.alloc(1), Buffer.alloc(1)))];

describeEachBackend("a secret that a tool sends back", (backend) => {
  let house: House;
  let person: Person;
  let tools: ToolServer;
  const logged: string[] = [];
  const answered: string[] = [];

  /** What the server saw of the secrets, and how it tells. */
  const answer = (request: IncomingMessage, response: ServerResponse, body: string) => {
    const url = new URL(String(request.url), "http://tools");
    const header = Buffer.from(String(request.headers["x-api-key"] ?? ""), "latin1").toString("utf8");
    const seen = request.headers["x-api-key"]
      ? [header.slice("Bearer ".length), String(url.searchParams.get("key")), String(JSON.parse(body).key)]
      : Object.values(SECRETS);
    const form = url.searchParams.get("form") ?? "exact";
    const send = (text: string, status = 200) => {
      answered.push(text);
      response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "x-echo": "no" }).end(text);
    };
    if (form === "error body") return send(`no such key: ${seen.join(", ")}`, 500);
    if (form === "headers")
      return send(
        Object.entries(request.headers)
          .map(([k, v]) => `${k}: ${v}`)
          .join("\r\n"),
        401,
      );
    if (form === "json") {
      response.setHeader("content-type", "application/json").end(JSON.stringify({ seen, url: request.url, body }));
      return;
    }
    if (form === "split") {
      const bytes = Buffer.from(seen.join(" "));
      response.writeHead(200, { "content-type": "text/plain" }).write(bytes.subarray(0, 9));
      setTimeout(() => response.end(bytes.subarray(9)), 20);
      return;
    }
    if (form === "broken off") {
      response.writeHead(200, { "content-type": "text/plain", "content-length": "9999" }).write(seen.join(" "));
      setTimeout(() => response.destroy(), 20);
      return;
    }
    if (form === "redirect") return void response.writeHead(302, { location: `http://x/${seen[1]}` }).end(seen.join());
    const edge = /^edge (\d+)$/.exec(form);
    if (edge !== null) return send(`${"x".repeat(LIMIT - Number(edge[1]))}${seen[0]}${"y".repeat(LIMIT)}`);
    send(
      seen
        .map((secret) => ({ ...writings(secret), ...base64Writings(secret, Buffer.from("user:"), Buffer.from("\n.")) }))
        .map((forms: Record<string, string>) => forms[form])
        .join(" and "),
    );
  };

  beforeAll(async () => {
    tools = await openToolServer(answer);
    const logger = pino({ level: "trace" }, { write: (line: string) => void logged.push(line) });
    house = await openHouse(backend, { logger, egressAllow: { "tools.maru.internal": tools.origin } });
    person = await house.register();
    for (const [name, value] of Object.entries(SECRETS))
      expect((await house.api("PUT", `/v1/secrets/${name}`, { key: person.key, body: { value } })).status).toBe(201);
    const limits = `{ steps: 200, parallelTools: 8, toolOutputBytes: ${LIMIT} }`;
    expect((await house.deploy(person, manifest("echo", { tools: TOOLS, limits }))).status).toBe(201);
  });
  afterAll(async () => {
    await house?.close();
    await tools?.close();
  });

  /** Where any form of a secret is, of everything that was written anywhere. */
  const leaking = async (more: Record<string, string> = {}): Promise<string[]> => {
    const texts = new Map([
      ...(await dumpDatabase(house.database)),
      ...Object.entries({
        redis: backend === "redis" ? await dumpRedis(house.database) : "",
        logs: logged.join("\n"),
        "requests to models": JSON.stringify(house.simulator.journal()),
        ...more,
      }),
    ]);
    return [...texts].flatMap(([place, text]) =>
      Object.entries(SECRETS).flatMap(([name, secret]) =>
        leaks(text, secret).map((form) => `${place}: ${name} ${form}`),
      ),
    );
  };
  /** A run whose model calls the probe once for each form; its events as they came over the wire. */
  const run = async (forms: readonly string[]): Promise<{ id: string; events: string }> => {
    const calls = forms.map((form) => `probe ${JSON.stringify({ form })}`).join(" ");
    const response = await fetch(`${house.url}/v1/runs`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${person.key}`,
        "content-type": "application/json",
        accept: "text/event-stream",
      },
      body: JSON.stringify({ deployment: "echo", input: `#sim parallel ${calls} other {}` }),
    });
    const events = await response.text();
    return { id: /run_[0-9a-z]{26}/.exec(events)?.[0] ?? "", events };
  };
  const steps = async (id: string): Promise<{ output?: string; error_code?: string; name: string }[]> =>
    (await house.api("GET", `/v1/runs/${id}/steps`, { key: person.key })).body.data;

  test("is nowhere afterwards, whatever it was sent back as: tables, queue, logs, events, requests to models", async () => {
    const release = tools.hold();
    const running = run([...FORMS, "error body", "headers", "json", "split", "broken off", "redirect"]);
    await until("calls are under way", () => tools.arrivals.length >= 4);
    // While the calls are made, with the jobs still in the queue.
    if (backend === "redis") expect(await dumpRedis(house.database)).toContain("run_");
    expect(await leaking()).toEqual([]);
    release();
    const { id, events } = await running;
    const reads = await Promise.all(
      ["", "/steps", "/events?limit=1000"].map((path) =>
        house.api("GET", `/v1/runs/${id}${path}`, { key: person.key }),
      ),
    );
    expect(await leaking({ stream: events, reads: JSON.stringify(reads.map(({ body }) => body)) })).toEqual([]);

    const outputs = (await steps(id)).filter(({ name }) => name === "probe" || name === "other");
    expect(outputs).toHaveLength(FORMS.length + 7);
    expect(outputs.filter(({ output }) => output?.includes("[secret HEADER_KEY]")).length).toBeGreaterThanOrEqual(
      FORMS.length + 4,
    );
    expect(events).toContain("[secret HEADER_KEY]");
    // The server got the secrets themselves, and what it answered would have been found.
    expect(tools.arrivals.find(({ body }) => body.includes('"exact"'))?.body).toBe(
      JSON.stringify({ key: SECRETS.BODY_KEY, form: "exact" }),
    );
    for (const secret of Object.values(SECRETS))
      expect(leaks(answered.join("\n"), secret).length).toBeGreaterThanOrEqual(Object.keys(writings("x")).length);
    expect(logged.length).toBeGreaterThan(0);
  });

  test("is not left in half where its result is cut at the limit", async () => {
    const { id } = await run([...SECRETS.HEADER_KEY].map((_, at) => `edge ${at}`));
    const outputs = (await steps(id)).filter(({ name }) => name === "probe").map(({ output }) => String(output));
    expect(outputs.length).toBe([...SECRETS.HEADER_KEY].length);
    for (const output of outputs) {
      const [kept = "", note] = output.split("\n");
      expect(note).toMatch(/^\[cut: \d+ more bytes\]$/);
      const before = /^x+/.exec(kept)?.[0] ?? "";
      expect(`${before}[secret HEADER_KEY]${"y".repeat(LIMIT)}`.startsWith(kept)).toBe(true);
    }
    expect(await leaking()).toEqual([]);
  });

  test("is stored as ciphertext, and read by nobody: not by its owner, not by the owner of the tables", async () => {
    const replies = await Promise.all(
      ["/v1/secrets", "/v1/secrets/HEADER_KEY", "/v1/agents/echo/revisions/1", "/v1/deployments/echo"].map((path) =>
        house.api("GET", path, { key: person.key }),
      ),
    );
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(JSON.stringify(replies[2]?.body)).toContain("${secrets.HEADER_KEY}");
    for (const secret of Object.values(SECRETS))
      expect(leaks(JSON.stringify(replies.map(({ body }) => body)), secret)).toEqual([]);
    const rows = await house.database.query<{ sealed: Buffer; wrapped_key: Buffer }>("SELECT * FROM secrets");
    expect(rows.map(({ sealed }) => sealed.length).sort((a, b) => a - b)).toEqual(
      Object.values(SECRETS)
        .map((secret) => Buffer.byteLength(secret) + 28)
        .sort((a, b) => a - b),
    );
  });

  test("is not logged when the service itself fails while it has it", async () => {
    await house.database.query("ALTER TABLE secrets RENAME COLUMN sealed TO gone");
    const body = { value: SECRETS.HEADER_KEY };
    expect((await house.api("PUT", "/v1/secrets/HEADER_KEY", { key: person.key, body })).status).toBe(500);
    const { id } = (
      await house.api("POST", "/v1/runs", {
        key: person.key,
        body: { deployment: "echo", input: '#sim tool probe {"form":"exact"}' },
      })
    ).body;
    for (const message of ["request failed", "run not carried on"])
      await until(`“${message}” is logged`, () => logged.some((line) => line.includes(message)));
    await house.database.query("ALTER TABLE secrets RENAME COLUMN gone TO sealed");
    await house.api("POST", `/v1/runs/${id}/cancel`, { key: person.key });
    expect(await leaking()).toEqual([]);
  });

  test("was noted as used, some time later", async () => {
    await until("its use is noted", async () => {
      const { body } = await house.api("GET", "/v1/secrets/HEADER_KEY", { key: person.key });
      return body.last_used_at !== null;
    });
  });
});
