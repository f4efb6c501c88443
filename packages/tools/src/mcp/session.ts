import type { McpTransport } from "@maru/contract";
import {
  type CallToolResult,
  Client,
  type JSONRPCMessage,
  SSEClientTransport,
  StreamableHTTPClientTransport,
  type Tool,
  type Transport,
} from "@modelcontextprotocol/client";
import type { Progress } from "../kind.ts";
import { aborting } from "./abort.ts";
import { boundedFetch } from "./bounds.ts";
import { plainText } from "./definition.ts";
import { ListTooLong, StreamEnded } from "./errors.ts";
import { mayBeOlder } from "./failure.ts";
import { stdioTransport } from "./stdio.ts";

/** Where to go and as whom, secrets filled in. */
export type Target =
  | {
      readonly url: string;
      readonly transport: "auto" | "streamable-http" | "sse";
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly command: string; readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> };

/** Characters of what a server says of its progress. */
const MAX_PROGRESS = 500;

export interface CallRequest {
  /** As the server lists it now. */
  readonly tool: Tool;
  readonly args: Readonly<Record<string, unknown>>;
  readonly idempotencyKey: string;
  readonly epoch: number;
  /** Without a sign of progress. */
  readonly timeoutMs: number;
  /** With signs of progress. */
  readonly longestMs: number;
  readonly signal: AbortSignal;
  onProgress(at: Progress): void;
}

/** A server that was spoken to and may be asked more. */
export interface Session {
  readonly server: { readonly name: string; readonly version: string };
  readonly protocol: string;
  readonly transport: McpTransport;
  /** False when it can't be used any more. */
  open(): boolean;
  /** Whether the server gave it an id, and may have forgotten it. */
  readonly named: boolean;
  /**
   * The tools as the server lists them, by name; asked again when it says that they changed, and now and then. `doubted`: the
   * answer of before is not what was expected.
   */
  tools(signal: AbortSignal, doubted?: "doubted"): Promise<ReadonlyMap<string, Tool>>;
  call(request: CallRequest): Promise<CallToolResult>;
  /** Tells the server and ends. */
  close(): Promise<void>;
}

/** Time for connecting, or for a list of tools, when nobody set less. */
const OPEN_MS = 20_000;
const GOODBYE_MS = 2_000;
const LIST = { pages: 32, tools: 1_000, bytes: 2 * 1_048_576 } as const;
/** Servers of the 2026-07-28 protocol, and ones that forget to, do not say that tools changed. */
const LIST_KEPT_MS = 300_000;
/** However often one says it, and however many calls find another list than they expect. */
const LIST_AGAIN_MS = 5_000;
const LIST_DOUBTED_MS = 1_000;
/** Of streams that broke or were ended by the server to be taken up again. */
const RECONNECTIONS = { least: 1_000, each: 20 } as const;
const CLIENT = { name: "maru", version: "0.1.0" };

interface Call {
  id?: unknown;
  answered: boolean;
  readonly signal: AbortSignal;
  fail(error: Error): void;
}

/**
 * Connects to a server. Nothing is offered to it: no sampling, no elicitation, no roots, so whatever it asks for is refused; what
 * it says in `instructions` is not read.
 * @throws whatever connecting fails with; failure.ts puts it into words
 */
export async function openSession(
  target: Target,
  deps: { readonly fetch: typeof globalThis.fetch; readonly signal: AbortSignal; readonly now: () => number },
): Promise<Session> {
  const ways: readonly (readonly [McpTransport, "auto" | "legacy"])[] =
    "command" in target
      ? [
          ["stdio", "auto"],
          ["stdio", "legacy"],
        ]
      : target.transport === "sse"
        ? [["sse", "legacy"]]
        : target.transport === "streamable-http"
          ? [["streamable-http", "auto"]]
          : [
              ["streamable-http", "auto"],
              ["sse", "legacy"],
            ];
  let failure: unknown;
  for (const [kind, era] of ways)
    try {
      return await connected(target, kind, era, deps);
    } catch (error) {
      // What the way before failed with says more than that the server does not know the older one either.
      failure ??= error;
      if (deps.signal.aborted || !(kind === "stdio" || mayBeOlder(error))) break;
    }
  throw failure;
}

async function connected(
  target: Target,
  kind: McpTransport,
  era: "auto" | "legacy",
  { fetch, signal, now }: Parameters<typeof openSession>[1],
): Promise<Session> {
  const calls = new Map<unknown, Call>();
  let usable = true;
  let listing: { readonly tools: Promise<ReadonlyMap<string, Tool>>; readonly at: number } | null = null;
  let changed = false;

  const client = new Client(CLIENT, {
    capabilities: {},
    versionNegotiation: { mode: era },
    inputRequired: { autoFulfill: false },
    listChanged: {
      tools: {
        autoRefresh: false,
        onChanged: () => {
          changed = true;
        },
      },
    },
    // Never used: `call` says which definition holds, and judges results itself (result.ts).
    jsonSchemaValidator: {
      getValidator: () => (data) => ({ valid: true, data: data as never, errorMessage: undefined }),
    },
  });
  const callOf = (id: unknown) => [...calls.values()].find((call) => call.id === id);
  const broken = (error: Error) => {
    usable = false;
    for (const call of calls.values()) if (!call.answered) call.fail(error);
  };
  const bounded = boundedFetch(fetch, {
    getCarries: kind === "sse" ? "results" : "notifications",
    now,
    onEnd({ method, body }, cut) {
      if (method === "GET" && kind === "sse") broken(cut ?? new StreamEnded());
      else if (cut !== null && method === "POST") callOf(rpcId(body))?.fail(cut);
    },
  });
  const transport = transportOf(target, kind, bounded);
  transport.onmessage = (message: JSONRPCMessage) => {
    if (!("id" in message) || "method" in message) return;
    const call = callOf(message.id);
    if (call !== undefined) call.answered = true;
  };
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    const call = "id" in message && "method" in message ? calls.get(message.params?.arguments) : undefined;
    if (call === undefined) return send(message, options);
    call.id = (message as { id: unknown }).id;
    const signals = [call.signal, ...(options?.requestSignal === undefined ? [] : [options.requestSignal])];
    return send(message, {
      ...options,
      requestSignal: AbortSignal.any(signals),
      // The SDK would wait for the time-out.
      onRequestStreamEnd: () => call.answered || call.fail(new StreamEnded()),
    });
  };
  client.onclose = () => {
    usable = false;
  };

  const opening = AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS)]);
  try {
    await aborting(opening, client.connect(transport, { signal: opening, timeout: OPEN_MS }));
  } catch (error) {
    await client.close().catch(() => {});
    await transport.close().catch(() => {});
    throw error;
  }

  const list = async (): Promise<ReadonlyMap<string, Tool>> => {
    const tools = new Map<string, Tool>();
    if (client.getServerCapabilities()?.tools === undefined) return tools;
    const within = AbortSignal.timeout(OPEN_MS);
    let bytes = 0;
    let cursor: string | undefined;
    for (let page = 0; page < LIST.pages; page++) {
      const answer = await client.request(
        { method: "tools/list", params: cursor === undefined ? {} : { cursor } },
        { signal: within, timeout: OPEN_MS },
      );
      bytes += Buffer.byteLength(JSON.stringify(answer.tools));
      for (const tool of answer.tools) if (!tools.has(tool.name)) tools.set(tool.name, tool);
      if (bytes > LIST.bytes || tools.size > LIST.tools) break;
      cursor = answer.nextCursor;
      if (cursor === undefined) return tools;
    }
    throw new ListTooLong();
  };

  const server = client.getServerVersion();
  return {
    server: { name: server?.name ?? "", version: server?.version ?? "" },
    protocol: client.getNegotiatedProtocolVersion() ?? "",
    transport: kind,
    open: () => usable,
    named: "sessionId" in transport && transport.sessionId !== undefined,
    tools(waiting, doubted) {
      const age = listing === null ? Number.POSITIVE_INFINITY : now() - listing.at;
      if (age > LIST_KEPT_MS || (changed && age > LIST_AGAIN_MS) || (doubted && age > LIST_DOUBTED_MS)) {
        changed = false;
        const tools = list();
        const asked = { tools, at: now() };
        listing = asked;
        tools.catch(() => {
          if (listing === asked) listing = null;
        });
      }
      return aborting(waiting, (listing as NonNullable<typeof listing>).tools);
    },
    async call({ tool, args, idempotencyKey, epoch, timeoutMs, longestMs, signal: stopped, onProgress }) {
      const sent = { ...args };
      const settled = new AbortController();
      const given = new AbortController();
      const failure = new Promise<never>((_done, failed) => {
        const fail = (error: Error) => {
          failed(error);
          given.abort(error);
        };
        calls.set(sent, { answered: false, signal: settled.signal, fail });
      });
      const { outputSchema: _, ...definition } = tool;
      const answer = client.callTool(
        { name: tool.name, arguments: sent, _meta: { "maru/idempotencyKey": idempotencyKey, "maru/runEpoch": epoch } },
        {
          signal: AbortSignal.any([stopped, given.signal]),
          timeout: timeoutMs,
          maxTotalTimeout: longestMs,
          resetTimeoutOnProgress: true,
          onprogress: ({ progress, total, message }) =>
            onProgress({
              progress,
              ...(total === undefined ? {} : { total }),
              ...(message === undefined ? {} : { message: plainText(message, MAX_PROGRESS) }),
            }),
          headers: { "idempotency-key": idempotencyKey, "x-run-epoch": String(epoch) },
          toolDefinition: definition,
        },
      );
      try {
        return await Promise.race([answer, failure]);
      } finally {
        calls.delete(sent);
        // The server may leave the stream of an answer open.
        settled.abort();
      }
    },
    async close() {
      usable = false;
      const goodbye =
        transport instanceof StreamableHTTPClientTransport && transport.sessionId !== undefined
          ? transport.terminateSession().catch(() => {})
          : Promise.resolve();
      await Promise.race([goodbye, new Promise((done) => setTimeout(done, GOODBYE_MS).unref())]);
      await client.close().catch(() => {});
    },
  };
}

function transportOf(target: Target, kind: McpTransport, fetch: typeof globalThis.fetch): Transport {
  if ("command" in target) return stdioTransport(target);
  const requestInit: RequestInit = { headers: { "user-agent": CLIENT.name, ...target.headers }, redirect: "manual" };
  const url = new URL(target.url);
  if (kind === "sse") {
    // The event source connects anew by itself, to a server that then knows no session: one stream is all there is.
    let streams = 0;
    return new SSEClientTransport(url, {
      requestInit,
      fetch: async (input, init) =>
        (init?.method ?? "GET") === "GET" && streams++ > 0 ? new Response(null, { status: 204 }) : fetch(input, init),
    });
  }
  let reconnections = 0;
  return new StreamableHTTPClientTransport(url, {
    requestInit,
    fetch,
    onInsufficientScope: "throw",
    reconnectionScheduler(reconnect, delay) {
      if (++reconnections > RECONNECTIONS.each) return;
      const timer = setTimeout(reconnect, Math.max(delay, RECONNECTIONS.least)).unref();
      return () => clearTimeout(timer);
    },
  });
}

/** The id of a JSON-RPC message as it was sent. */
function rpcId(body: unknown): unknown {
  return typeof body === "string" ? (JSON.parse(body) as { id?: unknown }).id : undefined;
}
