import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import pg from "pg";
import { median } from "./load.ts";
import type { Bench } from "./setup.ts";

const CLIENTS = 50;
const EVENTS = 2_000;
const ROUNDS = 3;

/**
 * Events a second that one gateway delivers: many readers, each resuming a long run from its beginning. Beside it a bare
 * server that writes the same bytes, one write an event. The readers are a process of their own.
 */
export async function streamsBench(bench: Bench): Promise<void> {
  const response = await fetch(`${bench.url}/v1/runs`, {
    method: "POST",
    headers: { authorization: `Bearer ${bench.key}`, "content-type": "application/json", prefer: "wait=30" },
    body: JSON.stringify({ deployment: "bench", input: "hello" }),
  });
  const { id } = (await response.json()) as { id: string };
  const client = new pg.Client({ connectionString: bench.ownerUrl });
  await client.connect();
  // The run's end is moved behind a long middle of step events, as a run of many steps has them.
  await client.query(`
    WITH r AS (SELECT workspace_id, id, next_event FROM runs), e AS (
      INSERT INTO run_events (workspace_id, run_id, seq, type, data, at)
      SELECT workspace_id, id, next_event - 1 + n, 'step.started', jsonb_build_object('step', n, 'kind', 'tool', 'name', 'calculator',
             'call', jsonb_build_object('id', 'call_' || n, 'name', 'calculator', 'arguments', '{"expression":"6 * 7"}')), now()
        FROM r, generate_series(0, ${EVENTS}) n WHERE n > 0
      RETURNING 1)
    UPDATE runs SET next_event = next_event + (SELECT count(*) FROM e)`);
  await client.query("UPDATE run_events SET type = 'run.queued' WHERE type = 'run.completed'");
  await client.end();

  const path = `/v1/runs/${id}/events`;
  const one = await fetch(new URL(path, bench.url), {
    headers: { authorization: `Bearer ${bench.key}`, accept: "text/event-stream" },
  });
  const blocks = (await one.text()).split(/(?<=\n\n)/);
  const bare = createServer((_request, reply) => {
    reply.writeHead(200, { "content-type": "text/event-stream" });
    void (async () => {
      for (const block of blocks) if (!reply.write(block)) await once(reply, "drain");
      reply.end();
    })();
  });
  await new Promise<void>((done) => bare.listen(0, "127.0.0.1", done));
  const bareUrl = `http://127.0.0.1:${(bare.address() as AddressInfo).port}`;

  const readers = fork(resolve("bench/reader-process.ts"), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const read = async (base: string) => {
    readers.send({ url: new URL(path, base).href, key: bench.key, clients: CLIENTS });
    const [ms] = (await once(readers, "message")) as [number];
    return (blocks.length * CLIENTS * 1_000) / ms;
  };
  const [bares, marus]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    bares.push(await read(bareUrl));
    marus.push(await read(bench.url));
  }
  readers.kill();
  bare.closeAllConnections();
  bare.close();
  const whole = (value: number) => Math.round(value).toLocaleString("en-US");
  console.log(
    `\nEvents a second through one gateway: ${CLIENTS} readers of ${blocks.length} events each (median of ${ROUNDS} rounds)`,
  );
  console.log(
    `  bare server ${whole(median(bares))}/s, Maru ${whole(median(marus))}/s, ratio ${(median(marus) / median(bares)).toFixed(2)}`,
  );
}
