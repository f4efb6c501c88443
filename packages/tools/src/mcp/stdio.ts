import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { type JSONRPCMessage, ReadBuffer, serializeMessage, type Transport } from "@modelcontextprotocol/client";

/** Between a polite end and none. */
const GRACE_MS = 1_000;
const MAX_MESSAGE_BYTES = 8 * 1_048_576;

/**
 * A server started as a command, spoken to on its standard input and output. Not the SDK's own: that one adds variables of this
 * process to the environment and ends the command alone, where this ends all that the command started.
 */
export function stdioTransport(server: {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}): Transport & { readonly pid: number | null; readonly stderr: null } {
  let child: ChildProcessByStdio<Writable, Readable, null> | null = null;
  let ended: Promise<void> = Promise.resolve();
  const buffer = new ReadBuffer({ maxBufferSize: MAX_MESSAGE_BYTES });
  const signal = (name: NodeJS.Signals) => {
    try {
      if (child?.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // The group is gone.
    }
  };

  const transport: ReturnType<typeof stdioTransport> = {
    // By these two the SDK tells that silence on it is a server of before, not a failure.
    get pid() {
      return child?.pid ?? null;
    },
    stderr: null,
    async start() {
      const started = spawn(server.command, server.args, {
        env: { ...server.env },
        stdio: ["pipe", "pipe", "ignore"],
        // A group of its own.
        detached: true,
      });
      child = started;
      ended = new Promise((done) => {
        started.once("close", () => {
          done();
          transport.onclose?.();
        });
      });
      started.stdin.on("error", (error) => transport.onerror?.(error));
      started.stdout.on("data", (chunk: Buffer) => {
        try {
          buffer.append(chunk);
        } catch (error) {
          transport.onerror?.(error as Error);
          return signal("SIGKILL");
        }
        for (let more = true; more; )
          try {
            const message = buffer.readMessage();
            more = message !== null;
            if (message !== null) transport.onmessage?.(message);
          } catch (error) {
            // A line that is no message: some servers print there what was meant for people.
            transport.onerror?.(error as Error);
          }
      });
      await new Promise<void>((done, failed) => {
        started.once("spawn", done);
        started.once("error", failed);
      });
    },
    send(message: JSONRPCMessage) {
      return new Promise((done, failed) => {
        if (child === null || child.exitCode !== null || child.signalCode !== null)
          return failed(new Error("The server has ended."));
        child.stdin.write(serializeMessage(message), (error) => (error ? failed(error) : done()));
      });
    },
    async close() {
      if (child?.pid === undefined) return;
      child.stdin.end();
      const timer = setTimeout(() => signal("SIGTERM"), GRACE_MS);
      const last = setTimeout(() => signal("SIGKILL"), 2 * GRACE_MS);
      await ended;
      clearTimeout(timer);
      clearTimeout(last);
      // What the command started may outlive it.
      signal("SIGKILL");
    },
  };
  return transport;
}
