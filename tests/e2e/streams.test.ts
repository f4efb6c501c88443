import { connect, type Socket } from "node:net";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { seeded } from "../chaos/random.ts";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { readStream, type SseEvent } from "../setup/sse-client.ts";

/** Readers of the test with many; `STREAM_CLIENTS=1000` is its full form. */
const CLIENTS = Number(process.env.STREAM_CLIENTS ?? 100);
const SEED = Number(process.env.STREAM_SEED ?? Date.now() % 1_000_000);
const TERMINAL = /^run\.(?:completed|incomplete|failed|cancelled|expired)$/;

describeEachBackend("a run's events", (backend) => {
  let house: House;
  let person: Person;
  let urls: string[];
  beforeAll(async () => {
    house = await openHouse(backend, { streams: { heartbeatMs: 50, stallMs: 700 } });
    urls = [house.url, await house.anotherGateway()];
    person = await house.register();
    expect((await house.deploy(person, manifest("weather"))).status).toBe(201);
    expect(
      (
        await house.deploy(
          person,
          manifest("asks", { tools: "    - { name: ask_user, type: client, description: Asks }\n" }),
        )
      ).status,
    ).toBe(201);
  });
  afterAll(() => house?.close());

  const start = async (input: string, deployment = "weather"): Promise<string> =>
    (await house.api("POST", "/v1/runs", { key: person.key, body: { deployment, input } })).body.id;
  const eventsUrl = (base: string, id: string) => new URL(`/v1/runs/${id}/events`, base).href;
  const rows = async (id: string) =>
    (await house.api("GET", `/v1/runs/${id}/events?limit=1000`, { key: person.key })).body.data;
  const ended = (id: string) =>
    until(
      "the run ends",
      async () => (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body.finished_at !== null,
    );

  /** What a reader puts together of the text between durable events, and whether it fits. */
  function reader() {
    const shown = new Map<string, string>();
    const wrong: string[] = [];
    let whole = 0;
    return {
      wrong,
      /** Steps of which all the text was seen. */
      whole: () => whole,
      /** Whoever joins anew knows nothing of before. */
      forget: () => shown.clear(),
      see({ event, data }: SseEvent): void {
        if (event === "snapshot") {
          shown.set(`${data.step} reasoning`, data.reasoning);
          shown.set(`${data.step} text`, data.text);
        }
        if (event === "delta") {
          const key = `${data.step} ${data.kind}`;
          const known = shown.get(key) ?? "";
          if (data.offset !== known.length) wrong.push(`${key}: offset ${data.offset} after ${known.length}`);
          shown.set(key, known + data.text);
        }
        if (event === "step.finished" && data.step.kind === "model") {
          const text = shown.get(`${data.step.seq} text`);
          if (text === undefined || text === "") return;
          if (text.trim() === data.step.text) whole++;
          else wrong.push(`step ${data.step.seq}: ${JSON.stringify(text)} for ${JSON.stringify(data.step.text)}`);
        }
      },
    };
  }

  test(`however often a reader drops and whichever gateway it comes back to, it sees each once and in order (${CLIENTS} readers, seed ${SEED})`, async () => {
    const random = seeded(SEED);
    house.simulator.settings.tokensPerSecond = 400;
    const ids = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        start(`#sim steps ${1 + (index % 3)}\n#sim long ${50 + index * 10}\n서울 날씨`),
      ),
    );
    let drops = 0;
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, async (_, index) => {
        const id = ids[index % ids.length] as string;
        const seen: number[] = [];
        const text = reader();
        let last: number | null = null;
        for (let ended = false; !ended; ) {
          let left = 1 + Math.floor(random.next() * 12);
          text.forget();
          await readStream(eventsUrl(urls[Math.floor(random.next() * 2)] as string, id), person.key, last, (event) => {
            text.see(event);
            if (event.id !== null) {
              seen.push(event.id);
              last = event.id;
            }
            ended = TERMINAL.test(event.event);
            return --left > 0;
          });
          drops++;
        }
        return { id, seen, wrong: text.wrong };
      }),
    );
    house.simulator.settings.tokensPerSecond = 0;
    for (const id of ids) await ended(id);
    const lengths = new Map(await Promise.all(ids.map(async (id) => [id, (await rows(id)).length] as const)));
    for (const { id, seen, wrong } of clients) {
      expect(seen).toEqual(Array.from({ length: lengths.get(id) as number }, (_, index) => index + 1));
      expect(wrong).toEqual([]);
    }
    expect(drops).toBeGreaterThan(CLIENTS);
  }, 120_000);

  test("who reads on another gateway than the run began on gets all of its text", async () => {
    house.simulator.settings.tokensPerSecond = 200;
    const id = await start("#sim long 80");
    const text = reader();
    const seen: SseEvent[] = [];
    await readStream(eventsUrl(urls[1] as string, id), person.key, null, (event) => {
      text.see(event);
      seen.push(event);
      return true;
    });
    house.simulator.settings.tokensPerSecond = 0;
    expect(text.wrong).toEqual([]);
    expect(text.whole()).toBe(1);
    expect(seen.filter(({ id: number }) => number !== null).map(({ event }) => event)).toEqual(
      (await rows(id)).map(({ type }: { type: string }) => type),
    );
  });

  test("a stream and the listing tell the same", async () => {
    const id = await start("서울 날씨");
    await ended(id);
    const streamed: unknown[] = [];
    await readStream(eventsUrl(house.url, id), person.key, null, (event) => {
      if (event.id !== null) streamed.push(event.data);
      return true;
    });
    const listed = [];
    for (let after = 0; ; ) {
      const { body } = await house.api("GET", `/v1/runs/${id}/events?after_seq=${after}&limit=2`, { key: person.key });
      listed.push(...body.data);
      after = body.data.at(-1)?.seq ?? after;
      if (after >= body.last_seq) break;
    }
    expect(streamed).toEqual(listed);
  });

  test("ids that are none are refused in words; with nothing left to say the answer is 204", async () => {
    const id = await start("hello");
    await ended(id);
    const last = (await rows(id)).length;
    const ask = async (value: string) => {
      const response = await fetch(eventsUrl(house.url, id), {
        headers: { authorization: `Bearer ${person.key}`, accept: "text/event-stream", "last-event-id": value },
      });
      const text = await response.text();
      return [response.status, response.status === 400 ? JSON.parse(text).code : ""];
    };
    for (const value of ["-1", "abc", "1e3", "0x1", "9".repeat(99), "1.5", String(last + 1), "999999999"])
      expect([value, ...(await ask(value))]).toEqual([
        value,
        400,
        value.length > 32 ? "validation_failed" : "invalid_header",
      ]);
    expect(await ask(String(last))).toEqual([204, ""]);
    expect((await ask("0"))[0]).toBe(200);
    expect((await ask(""))[0]).toBe(200);
    const stranger = await house.register();
    const other = await house.api("GET", `/v1/runs/${id}/events`, {
      key: stranger.key,
      headers: { accept: "text/event-stream" },
    });
    expect(other.status).toBe(404);
    const future = await house.api("GET", `/v1/runs/${id}/events?after_seq=500`, {
      key: person.key,
      headers: { accept: "text/event-stream" },
    });
    expect([future.status, future.body.code]).toEqual([400, "validation_failed"]);
    expect(
      (await fetch(eventsUrl(house.url, id), { method: "HEAD", headers: { authorization: `Bearer ${person.key}` } }))
        .status,
    ).toBeLessThan(500);
  });

  test("a quiet stream says that it is still there", async () => {
    const id = await start("#sim tool ask_user {}", "asks");
    const response = await fetch(eventsUrl(house.url, id), {
      headers: { authorization: `Bearer ${person.key}`, accept: "text/event-stream" },
    });
    const chunks = response.body?.pipeThrough(new TextDecoderStream() as never) as unknown as AsyncIterable<string>;
    let text = "";
    for await (const chunk of chunks) {
      text += chunk;
      if ((text.match(/^: /gm) ?? []).length >= 3) break;
    }
    expect(text).toContain("event: run.waiting");
    await house.api("POST", `/v1/runs/${id}/cancel`, { key: person.key });
  });

  test("a reader that takes nothing is cut, and misses nothing when it comes back", async () => {
    const id = await start("hello");
    await ended(id);
    // Far more than sockets hold: 40 MB of events.
    await house.database.query(
      `WITH r AS (SELECT workspace_id, id, next_event FROM runs ORDER BY id DESC LIMIT 1), e AS (
         INSERT INTO run_events (workspace_id, run_id, seq, type, data, at)
         SELECT workspace_id, id, next_event - 1 + n, 'step.started',
                jsonb_build_object('step', n, 'kind', 'tool', 'name', repeat('x', 400000)), now() FROM r, generate_series(1, 100) n
         RETURNING 1)
       UPDATE runs SET next_event = next_event + (SELECT count(*) FROM e) WHERE id = (SELECT id FROM r)`,
    );
    // The end that would stop the stream is moved behind them.
    await house.database.query(
      `UPDATE run_events e SET type = 'run.queued' FROM (SELECT id FROM runs ORDER BY id DESC LIMIT 1) r WHERE e.run_id = r.id AND e.type = 'run.completed'`,
    );
    const total = (
      await house.database.query<{ n: number }>("SELECT next_event - 1 AS n FROM runs ORDER BY id DESC LIMIT 1")
    )[0]?.n as number;
    const { hostname, port } = new URL(house.url);
    const theirs = new Map<number | undefined, Socket>();
    house.gateway.app.server.on("connection", (end: Socket) => theirs.set(end.remotePort, end));
    const socket = connect(Number(port), hostname);
    let received = "";
    let closed = false;
    socket.on("close", () => {
      closed = true;
    });
    socket.on("error", () => {});
    socket.write(
      `GET /v1/runs/${id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${person.key}\r\nAccept: text/event-stream\r\n\r\n`,
    );
    // Nobody takes anything out of the socket until the gateway has given up.
    const { localPort } = await new Promise<Socket>((done) => socket.once("connect", () => done(socket)));
    await until("the gateway cuts the connection", () => theirs.get(localPort)?.destroyed === true);
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      received += chunk;
    });
    await until("the connection is over", () => closed);
    const ids = [...received.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.length).toBeLessThan(total);
    // The last one may have come only in part.
    const whole = (ids.at(-1) as number) - 1;
    const seen = Array.from({ length: whole }, (_, index) => index + 1);
    await readStream(eventsUrl(urls[1] as string, id), person.key, whole, (event) => {
      if (event.id !== null) seen.push(event.id);
      return true;
    });
    expect(seen).toEqual(Array.from({ length: total }, (_, index) => index + 1));
  });

  test("with every live message lost, durable events come all the same", async () => {
    const cut = async () => {
      if (backend === "postgres")
        await house.database.server(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${house.database.name}' AND application_name = 'maru-live-listen'`,
        );
      else {
        const redis = new Redis(inject("redisUrl") as string);
        await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
        redis.disconnect();
      }
    };
    const id = await start("#sim slow 300\n#sim steps 3\n서울 날씨");
    const cutting = setInterval(() => void cut().catch(() => {}), 100);
    const seen: number[] = [];
    try {
      await readStream(eventsUrl(urls[1] as string, id), person.key, null, (event) => {
        if (event.id !== null) seen.push(event.id);
        return true;
      });
    } finally {
      clearInterval(cutting);
    }
    expect(seen).toEqual((await rows(id)).map(({ seq }: { seq: number }) => seq));
  });
});
