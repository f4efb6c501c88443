import type { Annotations, BuiltinName, EffectClass, MemoryScope, OnUnknown } from "./tools.ts";

// What a revision keeps of its tools: manifests with every default filled in and every unit converted.

export type HttpMethod = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface HttpToolSpec {
  readonly type: "http";
  readonly name: string;
  readonly description: string;
  /** JSON Schema 2020-12 with `type: object`; always present (K-EXAONE's hosts require `parameters`). */
  readonly parameters: { readonly [key: string]: unknown };
  readonly request: {
    readonly method: HttpMethod;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly query: Readonly<Record<string, string>>;
    readonly body: unknown;
    /** Not there = the body is JSON. */
    readonly form?: Readonly<Record<string, string | readonly string[]>>;
  };
  /** Not there = all of it, whatever it is. */
  readonly response?: HttpResponseSpec;
  /** Not there = only the first page. */
  readonly pagination?: PaginationSpec;
  /** Not there = 2, or none where effect is at_most_once. */
  readonly retries?: number;
  /** Not there = 0. */
  readonly redirects?: number;
  readonly timeoutMs: number;
  readonly effect: EffectClass;
  /** Not there = never. */
  readonly approval?: ApprovalSpec;
  /** Not there = tell_model. */
  readonly onUnknown?: OnUnknown;
  /** Beside, or instead of, what the method says. */
  readonly annotations?: Annotations;
}

export interface HttpResponseSpec {
  /** A JSON pointer, or several by name. */
  readonly select?: string | Readonly<Record<string, string>>;
  /** Not there = any, with `select` json. */
  readonly type?: "json" | "text";
  /** Not there = 8 MiB. */
  readonly maxBytes?: number;
}

export interface PaginationSpec {
  /** A JSON pointer, or `link`. */
  readonly next: string;
  /** `url`, or `query:` and the name of a parameter. */
  readonly as: string;
  /** A JSON pointer. */
  readonly items: string;
  readonly maxPages: number;
}

export type ApprovalSpec = "always" | { readonly when: { readonly [key: string]: unknown } };

export interface BuiltinToolSpec {
  readonly type: "builtin";
  readonly name: BuiltinName;
  /** Of `http_fetch`, in lower case. Not there = every public host. */
  readonly hosts?: readonly string[];
  readonly approval?: ApprovalSpec;
}

export interface ClientToolSpec {
  readonly type: "client";
  readonly name: string;
  readonly description: string;
  readonly parameters: { readonly [key: string]: unknown };
}

export interface CodeToolSpec {
  readonly type: "code";
  readonly name: string;
  /** Not there = the platform's own. */
  readonly description?: string;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly approval?: ApprovalSpec;
}

export interface FunctionToolSpec {
  readonly type: "function";
  readonly name: string;
  readonly description: string;
  readonly parameters: { readonly [key: string]: unknown };
  /** An ES module; its default export is called with the arguments. */
  readonly source: string;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly approval?: ApprovalSpec;
}

export interface OpenApiToolSpec {
  readonly type: "openapi";
  readonly name: string;
  /** As the manifest has it; calls go by what is pinned. */
  readonly document: { readonly url?: string; readonly inline?: { readonly [key: string]: unknown } };
  /** Not there = the document's. */
  readonly server?: string;
  readonly operations: { readonly include: readonly string[]; readonly exclude: readonly string[] };
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly auth: Readonly<Record<string, string | { readonly username: string; readonly password: string }>>;
  readonly timeoutMs: number;
  /** Not there = never. */
  readonly approval?: ApprovalSpec;
  /** Not there = tell_model. */
  readonly onUnknown?: OnUnknown;
  readonly overrides: readonly {
    readonly operations: readonly string[];
    readonly effect?: EffectClass;
    readonly approval?: ApprovalSpec | "never";
  }[];
  readonly toolPrefix: string;
  /** What the document said when the revision was made; nothing else of it is ever used. In every revision, not before. */
  readonly pinned?: PinnedDocument;
}

export interface PinnedDocument {
  /** Of the bytes that were fetched; of an inline document, of its canonical JSON. Hex. */
  readonly sha256: string;
  readonly openapi: string;
  readonly title: string;
  readonly version: string;
  /** Ways to say who calls, by the names the document gives them; only those that operations use. */
  readonly schemes: Readonly<Record<string, PinnedScheme>>;
  /** By the name of the tool. */
  readonly operations: Readonly<Record<string, PinnedOperation>>;
}

export interface PinnedScheme {
  readonly in: "header" | "query" | "cookie";
  /** Of the header (in lower case), query parameter or cookie. */
  readonly name: string;
  /** Before the credential: `Bearer `. */
  readonly prefix: string;
  /** The credential is a username and a password. */
  readonly basic?: true;
}

export interface PinnedOperation {
  readonly method: HttpMethod;
  /** Without a slash at its end. */
  readonly server: string;
  /** Begins with a slash; `{name}` stands for a path parameter. */
  readonly path: string;
  readonly description: string;
  /** JSON Schema 2020-12 with `type: object`. */
  readonly parameters: { readonly [key: string]: unknown };
  readonly places: readonly PinnedParameter[];
  /** Not there = no body. Its argument is `body`. */
  readonly body?: PinnedBody;
  /** Names of `schemes` that go with a call, all of them. */
  readonly auth: readonly string[];
  readonly effect: EffectClass;
  /** Not there = never. */
  readonly approval?: ApprovalSpec;
}

export type ParameterStyle = "simple" | "label" | "matrix" | "form" | "spaceDelimited" | "pipeDelimited" | "deepObject";

/** How an argument is written into a request. */
export interface PinnedParameter {
  readonly argument: string;
  readonly in: "path" | "query" | "header" | "cookie";
  /** As the server calls it. */
  readonly name: string;
  /** `json`: as one JSON text, whatever its type. */
  readonly style: ParameterStyle | "json";
  readonly explode: boolean;
}

export interface PinnedBody {
  readonly kind: "json" | "form" | "multipart" | "text";
  /** As in Content-Type; a multipart body adds its boundary. */
  readonly mediaType: string;
  /** Of a form's fields that are not simply repeated. */
  readonly fields?: Readonly<Record<string, { readonly style: ParameterStyle | "json"; readonly explode: boolean }>>;
}

export type McpTransport = "streamable-http" | "sse" | "stdio";

/** Where an MCP server is, and as whom to come. Headers and environment may refer to secrets. */
export type McpServer =
  | {
      readonly url: string;
      readonly transport: "auto" | "streamable-http" | "sse";
      readonly headers: Readonly<Record<string, string>>;
    }
  | {
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    };

export interface McpToolSpec {
  readonly type: "mcp";
  readonly name: string;
  readonly server: McpServer;
  /** Names with `*` for any characters. Not there = all. */
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly timeoutMs: number;
  readonly effect?: EffectClass;
  readonly effects?: Readonly<Record<string, EffectClass>>;
  readonly trustAnnotations?: true;
  readonly approval?: ApprovalSpec;
  readonly approvals?: Readonly<Record<string, ApprovalSpec | "never">>;
  readonly onUnknown?: OnUnknown;
  /** What the server said at deploy; not there before it was asked. */
  readonly pinned?: McpPinned;
}

export interface McpPinned {
  /** As the server calls itself. */
  readonly server: { readonly name: string; readonly version: string };
  readonly protocol: string;
  readonly transport: McpTransport;
  /** By the model's name for it, so that a diff of revisions names what changed. */
  readonly tools: Readonly<Record<string, McpPinnedTool>>;
}

export interface McpPinnedTool {
  /** The server's name for it. */
  readonly tool: string;
  readonly description: string;
  readonly parameters: { readonly [key: string]: unknown };
  readonly effect: EffectClass;
  readonly approval?: ApprovalSpec;
  readonly annotations?: { readonly title?: string; readonly readOnly?: boolean; readonly destructive?: boolean };
  /** SHA-256 of what a call relies on: the input schema, and the hints where they are trusted. */
  readonly digest: string;
  /** SHA-256 of the rest of the definition: what it says about itself. */
  readonly aboutDigest: string;
}

export interface AgentToolSpec {
  readonly type: "agent";
  readonly name: string;
  readonly description: string;
  readonly deployment: string;
  /** Not there = one text, `input`, which is the run's input as it is. Else the run's input is JSON of the arguments. */
  readonly parameters?: { readonly [key: string]: unknown };
  /** Not there = an equal share of what the calling run has left. */
  readonly maxTokens?: number;
  readonly approval?: ApprovalSpec;
}

export interface MemoryToolSpec {
  readonly type: "memory";
  readonly name: string;
  /** Not there = none. */
  readonly description?: string;
  readonly scope: MemoryScope;
  readonly mode: "read" | "readwrite";
  readonly maxResults: number;
  /** Not there = for good. */
  readonly ttlMs?: number;
  /** Of its writes. */
  readonly approval?: ApprovalSpec;
}

export type ToolSpec =
  | HttpToolSpec
  | BuiltinToolSpec
  | ClientToolSpec
  | CodeToolSpec
  | FunctionToolSpec
  | AgentToolSpec
  | MemoryToolSpec
  | OpenApiToolSpec
  | McpToolSpec;
