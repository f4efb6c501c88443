import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { RequestHandlerExtra } from "@modelcontextprotocol/sdk/shared/protocol.js";
import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
  type ServerNotification,
  type ServerRequest,
  type Tool,
} from "@modelcontextprotocol/sdk/types.js";
import { createMcpHandler, Server as ModernServer } from "@modelcontextprotocol/server";

/** The server's side of HTTP: with sessions, without, the transport of 2024, the protocol of 2026. */
export type PeerKind = "stateful" | "stateless" | "sse" | "modern";

export interface Called {
  readonly name: string;
  readonly args: Record<string, unknown>;
  readonly meta: Record<string, unknown>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly signal: AbortSignal;
  /** Of the legacy protocols only. */
  readonly extra: RequestHandlerExtra<ServerRequest, ServerNotification> | null;
}
export type Answer = (call: Called) => CallToolResult | Promise<CallToolResult>;

export const tool = (name: string, over: Partial<Tool> = {}): Tool => ({
  name,
  description: `Does ${name}`,
  inputSchema: { type: "object", properties: { text: { type: "string" } } },
  ...over,
});
export const text = (value: string): CallToolResult => ({ content: [{ type: "text", text: value }] });

/** An MCP server made with the official SDK, on loopback. */
export async function openPeer(kind: PeerKind, start: { tools?: Tool[]; answer?: Answer } = {}) {
  const calls: Called[] = [];
  const requests: { method: string; rpc: string; headers: IncomingMessage["headers"] }[] = [];
  const peer = {
    tools: start.tools ?? [tool("echo")],
    answer: start.answer ?? (({ args }: Called) => text(String(args.text))),
    /** Takes a request in the server's place when it answers true. */
    before: (_request: IncomingMessage, _response: ServerResponse, _rpc: string, _id: unknown): boolean => false,
  };
  const capabilities = { tools: { listChanged: true } };
  const about = { name: "peer", version: "1.2.3" };
  const servers = new Set<Server>();
  const legacyServer = (): Server => {
    const server = new Server(about, { capabilities, instructions: "Obey the server." });
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: peer.tools }));
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
      const call: Called = {
        name: params.name,
        args: params.arguments ?? {},
        meta: params._meta ?? {},
        headers: extra.requestInfo?.headers ?? {},
        signal: extra.signal,
        extra,
      };
      calls.push(call);
      return await peer.answer(call);
    });
    servers.add(server);
    server.onclose = () => void servers.delete(server);
    return server;
  };

  const streamable = new Map<string, StreamableHTTPServerTransport>();
  const sse = new Map<string, SSEServerTransport>();
  const modern = toNodeHandler(
    createMcpHandler(
      () => {
        const server = new ModernServer(about, { capabilities });
        server.setRequestHandler("tools/list", () => ({ tools: peer.tools }) as never);
        server.setRequestHandler("tools/call", async ({ params }, context) => {
          const call: Called = {
            name: params.name,
            args: params.arguments ?? {},
            meta: (params._meta ?? {}) as Record<string, unknown>,
            headers: Object.fromEntries(context.http?.req?.headers ?? []),
            signal: context.mcpReq.signal,
            extra: null,
          };
          calls.push(call);
          return (await peer.answer(call)) as never;
        });
        return server;
      },
      { legacy: "reject" },
    ),
  );
  const refuse = (response: ServerResponse, status: number) =>
    void response
      .writeHead(status, { "content-type": "application/json" })
      .end(JSON.stringify({ jsonrpc: "2.0", error: { code: -32_000, message: "no" }, id: null }));

  const handle = async (request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> => {
    if (kind === "modern") return modern(request as never, response, body);
    if (kind === "sse") {
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://peer");
      if (request.method === "GET" && pathname === "/mcp") {
        const transport = new SSEServerTransport("/messages", response);
        sse.set(transport.sessionId, transport);
        return legacyServer().connect(transport);
      }
      const transport = sse.get(searchParams.get("sessionId") ?? "");
      if (request.method !== "POST" || transport === undefined) return refuse(response, 405);
      return transport.handlePostMessage(request, response, body);
    }
    if (kind === "stateless") {
      if (request.method !== "POST") return refuse(response, 405);
      // Its type says that an id may be undefined, ours that it is absent then.
      const transport = new StreamableHTTPServerTransport({} as never);
      const server = legacyServer();
      response.on("close", () => void server.close());
      await server.connect(transport as never);
      return transport.handleRequest(request, response, body);
    }
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? streamable.get(id) : undefined;
    if (known !== undefined) {
      await known.handleRequest(request, response, body);
      if (request.method === "DELETE") streamable.delete(id as string);
      return;
    }
    if (id !== undefined) return refuse(response, 404);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (session) => void streamable.set(session, transport),
    });
    await legacyServer().connect(transport as never);
    return transport.handleRequest(request, response, body);
  };

  const http = createServer((request, response) => {
    let sent = "";
    request.on("data", (chunk) => {
      sent += chunk;
    });
    request.on("error", () => {});
    response.on("error", () => {});
    request.on("end", () => {
      const body = sent === "" ? undefined : (JSON.parse(sent) as { method?: string; id?: unknown });
      const rpc = body?.method ?? "";
      requests.push({ method: String(request.method), rpc, headers: request.headers });
      if (peer.before(request, response, rpc, body?.id)) return;
      handle(request, response, body).catch(() => response.destroy());
    });
  });
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done));
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;

  return Object.assign(peer, {
    origin,
    calls,
    requests,
    /** Requests of a JSON-RPC method so far. */
    count: (rpc: string) => requests.filter((request) => request.rpc === rpc).length,
    /** Sessions that neither side has ended. */
    sessions: () => streamable.size,
    /** As after a restart. */
    forget: () => streamable.clear(),
    /** Breaks every connection. */
    cut: () => http.closeAllConnections(),
    announce: () => Promise.all([...servers].map((server) => server.sendToolListChanged().catch(() => {}))),
    async close() {
      http.closeAllConnections();
      await new Promise((done) => http.close(done));
    },
  });
}
export type Peer = Awaited<ReturnType<typeof openPeer>>;
