import { describe, expect, test } from "vitest";
import { failed, type PreparedTool, type ToolResult } from "../kind.ts";
import { callContext } from "../testing/context.ts";
import { createGuard } from "./guard.ts";
import { fillSecrets } from "./reference.ts";

const VALUE = "sk-live-0123456789";

/** A tool of whatever kind, and the world it is called in. */
function world(call: PreparedTool["call"], values: Record<string, string> = { KEY: VALUE }, names = ["KEY"]) {
  const reads: (readonly string[])[] = [];
  const stop = new AbortController();
  const tool = createGuard(names)({
    declaration: { name: "t", description: "d", parameters: { type: "object" } },
    effect: "safe",
    checkArguments: () => null,
    call,
  });
  const context = (maxOutputBytes = 65_536) =>
    callContext({
      signal: stop.signal,
      maxOutputBytes,
      secrets: async (wanted) => {
        reads.push(wanted);
        return new Map(Object.entries(values).filter(([name]) => wanted.includes(name)));
      },
    });
  return { values, reads, stop, run: (maxOutputBytes?: number) => tool.call({}, context(maxOutputBytes)) };
}
const says = (output: string, over: Partial<ToolResult> = {}): ToolResult => ({
  output,
  isError: false,
  code: null,
  truncated: false,
  ...over,
});

describe("what a tool returns", () => {
  test("has no secret in it, be it a result or an error, whether this tool uses the secret or another", async () => {
    expect(await world(async () => says(`got ${VALUE}`)).run()).toEqual(says("got [secret KEY]"));
    expect(await world(async () => failed("tool_failed", `no: ${VALUE}`)).run()).toMatchObject({
      output: "no: [secret KEY]",
      isError: true,
    });
  });

  test("is cut at the limit after its secrets are out: half of one does not stay at the edge", async () => {
    for (let at = 0; at <= 40; at++) {
      const { output, truncated } = await world(async () => says(`${"x".repeat(at)}${VALUE}${"y".repeat(60)}`)).run(40);
      expect(truncated).toBe(true);
      expect(output).not.toMatch(/s?k-live|0123/);
    }
  });

  test("is asked for more than the limit, so that a tool that cuts by itself does not cut there", async () => {
    const it = world(async (_args, { maxOutputBytes }) =>
      says(`${"x".repeat(35)}${VALUE}${"y".repeat(100_000)}`.slice(0, maxOutputBytes), { truncated: true }),
    );
    const { output } = await it.run(40);
    expect(output).toMatch(/^x{35}\[secr\n\[cut: \d+ more bytes\]$/);
  });

  test("where there are no secrets is cut between characters, with a note", async () => {
    const it = world(async () => says("서울부산"), {}, []);
    expect(await it.run(7)).toMatchObject(says("서울\n[cut: 6 more bytes]", { truncated: true }));
    expect(await it.run(12)).toEqual(says("서울부산"));
    expect(it.reads).toEqual([]);
  });

  test("that was cut is attached whole, without its secrets; what the tool had cut itself is not whole", async () => {
    const long = `${"x".repeat(50)}${VALUE}${"y".repeat(50)}`;
    const { attachments } = await world(async () => says(long)).run(40);
    expect(attachments?.map(({ name, mediaType, bytes }) => [name, mediaType, Buffer.from(bytes).toString()])).toEqual([
      ["output.txt", "text/plain; charset=utf-8", `${"x".repeat(50)}[secret KEY]${"y".repeat(50)}`],
    ]);
    expect((await world(async () => says(long, { truncated: true })).run(40)).attachments).toBeUndefined();
    expect((await world(async () => says("short")).run(40)).attachments).toBeUndefined();
  });

  test("beside text is kept without secrets: text loses them, other bytes that hold one are not kept", async () => {
    const attachments = [
      { name: "page.html", mediaType: "text/html", bytes: Buffer.from(`<p>${VALUE}</p>`) },
      { name: "a.png", mediaType: "image/png", bytes: Buffer.from([137, 80, 78, 71, 0, 255, 254]) },
      { name: "b.png", mediaType: "image/png", bytes: Buffer.from(`\0\x01${VALUE}\0`) },
    ];
    const result = await world(async () => says("three", { attachments })).run();
    expect(result.output).toBe("three\n[not kept: a file that may hold a secret]");
    expect(result.attachments?.map(({ name, bytes }) => [name, Buffer.from(bytes).toString("latin1")])).toEqual([
      ["page.html", "<p>[secret KEY]</p>"],
      ["a.png", "\x89PNG\0\xff\xfe"],
    ]);
  });

  test("in large results that come together does not hold the process: what else is due happens between them", async () => {
    const order: string[] = [];
    const { run } = world(async () => says(`${"x".repeat(300_000)}${VALUE}`));
    const all = ["a", "b", "c"].map(async (name) => {
      expect((await run()).output).not.toContain(VALUE);
      order.push(name);
      setImmediate(() => order.push(`after ${name}`));
    });
    await Promise.all(all);
    expect(order).toEqual(["a", "after a", "b", "after b", "c"]);
  });

  test("put together by what the database cannot store is still found", async () => {
    expect((await world(async () => says("sk-live\0-0123456\x00789")).run()).output).toBe("[secret KEY]");
  });

  test("has neither the value before a change nor the one after", async () => {
    const it = world(async () => says(`${VALUE} and changed-9876543`));
    expect((await it.run()).output).toBe("[secret KEY] and changed-9876543");
    it.values.KEY = "changed-9876543";
    expect((await it.run()).output).toBe("[secret KEY] and [secret KEY]");
    delete it.values.KEY;
    expect((await it.run()).output).toBe("[secret KEY] and [secret KEY]");
  });
});

describe("what a tool throws", () => {
  test("is rethrown without secrets, cause or properties", async () => {
    const it = world(async () => {
      throw Object.assign(new TypeError(`bad header ${VALUE}`, { cause: VALUE }), { headers: { key: VALUE } });
    });
    const error = (await it.run().catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toBe("bad header [secret KEY]");
    expect(Object.keys(error)).toEqual([]);
    expect(error.cause).toBeUndefined();
    expect(`${error.stack}`).not.toContain(VALUE);
  });

  test("when the run stops is the reason of the stop itself", async () => {
    const it = world(async (_args, { signal }) => {
      it.stop.abort(new Error("drain"));
      throw signal.reason;
    });
    const thrown = await it.run().catch((error: unknown) => error);
    expect(thrown).toBe(it.stop.signal.reason);
  });
});

describe("a secret", () => {
  const sends = () =>
    world(async (_args, { secrets }) =>
      says(JSON.stringify(await fillSecrets({ "X-Key": "Bearer ${secrets.KEY}" }, secrets))),
    );

  test("is read once a call, at the call, and filled in", async () => {
    const it = sends();
    expect((await it.run()).output).toBe('{"X-Key":"Bearer [secret KEY]"}');
    await it.run();
    expect(it.reads).toEqual([["KEY"], ["KEY"]]);
  });

  test("that is not there any more is named, and the call is not made", async () => {
    const it = sends();
    delete it.values.KEY;
    expect(await it.run()).toEqual(
      failed("secret_unavailable", "There is no secret KEY for this agent any more, and the call needs it."),
    );
  });
});
