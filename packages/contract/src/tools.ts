import Type, { type Static } from "typebox";
import { durationText, sizeText } from "./units.ts";

// What a manifest says of its tools.
const closed = { additionalProperties: false } as const;

/** Agents, deployments: DNS-label style, so a name can be a path segment, a file name and a host label. */
export const NAME_PATTERN = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$";
/** K-EXAONE's hosts accept function names of this form only (Friendli's OpenAPI document). */
export const TOOL_NAME_PATTERN = "^[A-Za-z0-9_-]{1,64}$";

export const DURATION_PATTERN = "^[0-9]+(?:\\.[0-9]+)?(?:ms|s|m|h|d)$";
export const SIZE_PATTERN = "^[0-9]+(?:\\.[0-9]+)?(?:B|KB|KiB|MB|MiB)$";
/** Leaves room for the name of a server's tool. */
export const MCP_NAME_PATTERN = "^[A-Za-z0-9_-]{1,32}$";

export const LIMITS = {
  steps: { default: 20, min: 1, max: 200 },
  tokens: { default: 200_000, min: 1_000, max: 2_000_000 },
  durationMs: { default: 600_000, min: 1_000, max: 86_400_000 },
  parallelTools: { default: 4, min: 1, max: 16 },
  toolOutputBytes: { default: 65_536, min: 256, max: 1_048_576 },
  identicalCalls: { default: 3, min: 1, max: 20 },
  /** Of what a canary is judged by. */
  canaryMs: { min: 1, max: 2_592_000_000 },
  waitMs: { default: 86_400_000, min: 1_000, max: 2_592_000_000 },
  codeTimeoutMs: { default: 5_000, min: 100, max: 30_000 },
  codeMemoryBytes: { default: 33_554_432, min: 16_777_216, max: 134_217_728 },
  /** Of a tool function's source. */
  sourceBytes: 32_768,
  memoryResults: { default: 5, min: 1, max: 20 },
  memoryTtlMs: { min: 60_000, max: 31_536_000_000 },
  toolTimeoutMs: { default: 30_000, min: 100, max: 300_000 },
  /** Of an HTTP tool's reply, all pages and tries together. */
  responseBytes: { default: 8_388_608, min: 1, max: 8_388_608 },
  retries: { default: 2, min: 0, max: 5 },
  redirects: { min: 0, max: 3 },
  pages: { default: 5, min: 2, max: 20 },
  /** Places a reply's parts are picked from. */
  selections: 32,
  /** Of `http_fetch`. */
  fetchHosts: 64,
  threadTokens: { default: 120_000, min: 1_000, max: 1_000_000 },
  toolsPerAgent: 128,
  /** Of a document that is fetched at deploy. */
  documentBytes: 4_194_304,
  /** Of all that a revision keeps of one OpenAPI document. */
  pinnedBytes: 262_144,
  selectors: 256,
  /** Of all that a revision keeps of one MCP server's tools. */
  mcpPinnedBytes: 524_288,
  /** Of an agent's revisions: older ones that never ran, were never released and have no label are removed. */
  revisionsKept: 100,
  /** Runs below one another: a run that nobody's agent started has none above it. */
  agentDepth: 5,
  fallbacks: 5,
  /** Of a run's input, in characters. */
  inputLength: 262_144,
  manifestBytes: 65_536,
  /** Of manifests that are deployed together: how many, and how large they are in all. */
  manifestsAtOnce: 20,
  manifestsBytes: 262_144,
  manifestDepth: 32,
} as const;

/** The tool by which a structured answer is handed in; no tool of a manifest with `spec.output` may have its name. */
export const SUBMIT_TOOL = "submit_result";

interface Bounds {
  readonly default?: number;
  readonly min: number;
  readonly max: number;
}
/** `Default: 20; 1 to 200` */
export const bounds = ({ min, max, ...limit }: Bounds, show: (value: number) => string = String): string =>
  `${limit.default === undefined ? "" : `Default: ${show(limit.default)}; `}${show(min)} to ${show(max)}`;

/** A length of time as a person writes it. */
export const durationOf = (meaning: string, limit?: Bounds) =>
  Type.String({
    pattern: DURATION_PATTERN,
    description: `${meaning}: 500ms, 10s, 10m, 1h or 7d${limit === undefined ? "" : `. ${bounds(limit, durationText)}`}`,
  });
export const Duration = durationOf("A length of time");

/** A number of bytes as a person writes it. */
export const sizeOf = (meaning: string, limit?: Bounds) =>
  Type.Union([Type.Integer({ minimum: 1 }), Type.String({ pattern: SIZE_PATTERN })], {
    description: `${meaning}: a number of bytes, or with a unit, 64KiB or 1MiB${limit === undefined ? "" : `. ${bounds(limit, sizeText)}`}`,
  });
export const ByteSize = sizeOf("A size");

export const EffectClass = Type.Enum(["safe", "idempotent", "at_most_once"], {
  description:
    "What a repeat of the call may do. safe: nothing; idempotent: nothing new with the same Idempotency-Key; " +
    "at_most_once: never sent twice. Default: safe for GET and HEAD, at_most_once for every other method.",
});
export type EffectClass = Static<typeof EffectClass>;

export const Approval = Type.Union(
  [
    Type.Enum(["always", "never"]),
    Type.Object(
      {
        when: Type.Object(
          {},
          { additionalProperties: true, description: "JSON Schema: calls whose arguments fit it wait for a person" },
        ),
      },
      closed,
    ),
  ],
  {
    description:
      "Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never",
  },
);
export const OnUnknown = Type.Enum(["tell_model", "fail", "ask"], {
  description:
    "When it can't be known whether a call that must not be repeated took effect: tell the model, fail the run, or ask a " +
    "person whether to make it again. Default: tell_model",
});
export type OnUnknown = Static<typeof OnUnknown>;
export const Annotations = Type.Object(
  {
    title: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 128,
        pattern: "^[^\\u0000-\\u001f]*$",
        description: "What people call it. Default: its name",
      }),
    ),
    readOnly: Type.Optional(Type.Boolean({ description: "It changes nothing. Default: true for GET and HEAD" })),
    destructive: Type.Optional(
      Type.Boolean({ description: "What it changes may not be undone. Default: true for DELETE" }),
    ),
  },
  { ...closed, description: "What a person who approves a call is told of its effects" },
);
export type Annotations = Static<typeof Annotations>;

/** RFC 6901, empty for the whole document. */
const POINTER = "^(?:/(?:[^~/]|~[01])*)*$";
const JsonPointer = (description: string) => Type.String({ pattern: POINTER, maxLength: 512, description });

const Response = Type.Object(
  {
    // One schema by hand: of a union every branch would complain about the same mistake.
    select: Type.Optional(
      Type.Unsafe<string | Record<string, string>>({
        type: ["string", "object"],
        pattern: POINTER,
        maxLength: 512,
        minProperties: 1,
        maxProperties: LIMITS.selections,
        additionalProperties: JsonPointer("A JSON pointer: /items/0/id"),
        description:
          "A JSON pointer (RFC 6901): only what it leads to goes to the model; or several by name, which make an object. " +
          "With pagination they begin at each item",
      }),
    ),
    type: Type.Optional(
      Type.Enum(["json", "text", "any"], {
        description:
          "What the reply must be: JSON, text, or anything (what is not text is kept beside the prompt). Default: any, with select json",
      }),
    ),
    maxBytes: Type.Optional(sizeOf("Of the reply, all pages together; more is an error", LIMITS.responseBytes)),
  },
  { ...closed, description: "What of a reply the model reads. Errors (HTTP 400 and above) are read whole" },
);

const Pagination = Type.Object(
  {
    next: Type.String({
      pattern: "^(?:link|(?:/(?:[^~/]|~[01])*)+)$",
      maxLength: 512,
      description: "Where a page names the next: a JSON pointer, or link for the header Link with rel=next (RFC 8288)",
    }),
    as: Type.Optional(
      Type.String({
        pattern: "^(?:url|query:[^\\s\\p{Cc}]{1,128})$",
        description:
          "What stands there: url, the next page's URL, of the same origin; or query:NAME, a value for that query parameter of the " +
          "first URL. Default: url",
      }),
    ),
    items: Type.Optional(
      JsonPointer("JSON pointer to a page's list; the lists of all pages are one. Default: the page is a list itself"),
    ),
    maxPages: Type.Optional(
      Type.Integer({
        minimum: LIMITS.pages.min,
        maximum: LIMITS.pages.max,
        description: `Pages read at most, ${LIMITS.pages.min} to ${LIMITS.pages.max}. Default: ${LIMITS.pages.default}`,
      }),
    ),
  },
  { ...closed, description: "Reads further pages of a list; only for tools that are safe. Default: only the first" },
);

const ToolName = Type.String({
  pattern: TOOL_NAME_PATTERN,
  description: "What the model calls it: 1 to 64 letters, digits, underscores and hyphens",
});
const kind = <Name extends string>(name: Name) => Type.Literal(name, { description: "The kind of tool" });
const ToolDescription = Type.String({
  minLength: 1,
  maxLength: 4_096,
  description: "What it does, what for and when: all the model knows of it beside its parameters",
});
const Parameters = Type.Object(
  {},
  {
    additionalProperties: true,
    description: "JSON Schema of the arguments, `type: object`. Default: no arguments",
    examples: [{ type: "object", properties: { city: { type: "string" } }, required: ["city"] }],
  },
);

export const HttpToolManifest = Type.Object(
  {
    name: ToolName,
    type: kind("http"),
    description: ToolDescription,
    parameters: Type.Optional(Parameters),
    request: Type.Object(
      {
        method: Type.Optional(
          Type.Enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], { description: "Default: GET" }),
        ),
        url: Type.String({
          minLength: 1,
          maxLength: 2_048,
          description: "Where it goes; `{name}` in its path and query is replaced by the argument",
          examples: ["https://api.example.com/weather?city={city}"],
        }),
        headers: Type.Optional(
          Type.Record(Type.String(), Type.String({ maxLength: 4_096, description: "A template" }), {
            description: "By name; values are templates and may have secrets",
            examples: [{ Authorization: "Bearer ${secrets.WEATHER_KEY}" }],
          }),
        ),
        query: Type.Optional(
          Type.Record(Type.String(), Type.String({ maxLength: 2_048, description: "A template" }), {
            description: "Parameters beside the URL's own, by name; values are templates and may have secrets",
          }),
        ),
        body: Type.Optional(
          Type.Unknown({
            description: "JSON sent as the body; a string that is just `{name}` becomes the argument itself",
          }),
        ),
        form: Type.Optional(
          Type.Record(
            Type.String(),
            Type.Unsafe<string | string[]>({
              type: ["string", "array"],
              maxLength: 4_096,
              items: { type: "string", maxLength: 4_096 },
              maxItems: 32,
              description: "A template, or several: the key is repeated",
            }),
            {
              maxProperties: 128,
              description:
                "Sent as the body in application/x-www-form-urlencoded, instead of `body`; an argument that is a list repeats its key",
            },
          ),
        ),
      },
      { ...closed, description: "What is sent" },
    ),
    response: Type.Optional(Response),
    pagination: Type.Optional(Pagination),
    retries: Type.Optional(
      Type.Integer({
        minimum: LIMITS.retries.min,
        maximum: LIMITS.retries.max,
        description:
          "Times a call that failed in passing (no connection, 408, 429, 500, 502, 503, 504) is sent again within its timeout, with " +
          `the same Idempotency-Key. Default: ${LIMITS.retries.default} where effect is safe or idempotent; at_most_once is never sent again`,
      }),
    ),
    redirects: Type.Optional(
      Type.Integer({
        minimum: LIMITS.redirects.min,
        maximum: LIMITS.redirects.max,
        description:
          "Redirects followed, each through the guard; another server gets no header that has a secret. Default: 0, a redirect is an error",
      }),
    ),
    timeout: Type.Optional(durationOf("Of the whole call", LIMITS.toolTimeoutMs)),
    effect: Type.Optional(EffectClass),
    approval: Type.Optional(Approval),
    on_unknown: Type.Optional(OnUnknown),
    annotations: Type.Optional(Annotations),
  },
  { ...closed, description: "A templated HTTP request" },
);

export const BuiltinName = Type.Enum(
  ["calculator", "current_time", "date_math", "http_fetch", "json_query", "regex", "text_diff"],
  { description: "Which one; also what the model calls it" },
);
export type BuiltinName = Static<typeof BuiltinName>;

export const BuiltinToolManifest = Type.Object(
  {
    name: BuiltinName,
    type: kind("builtin"),
    hosts: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 260 }), {
        minItems: 1,
        maxItems: LIMITS.fetchHosts,
        description:
          "Of http_fetch: the only hosts it may read from, example.com, example.com:8443 or *.example.com (its subdomains). Without it " +
          "the model may ask any public server for any URL, and so tell that server what it knows",
      }),
    ),
    approval: Type.Optional(Approval),
  },
  { ...closed, description: "A tool of the platform's own" },
);

export const ClientToolManifest = Type.Object(
  {
    name: ToolName,
    type: kind("client"),
    description: ToolDescription,
    parameters: Type.Optional(Parameters),
  },
  { ...closed, description: "A tool the caller runs: the run waits for its result" },
);

const codeLimits = {
  timeout: Type.Optional(durationOf("For the code; waiting for a free process does not count", LIMITS.codeTimeoutMs)),
  memory: Type.Optional(sizeOf("What the code may allocate", LIMITS.codeMemoryBytes)),
  approval: Type.Optional(Approval),
};

export const CodeToolManifest = Type.Object(
  {
    name: ToolName,
    type: kind("code"),
    description: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4_096,
        description: "What the model is told of it. Default: what it can do, and its limits",
      }),
    ),
    ...codeLimits,
  },
  { ...closed, description: "JavaScript that the model writes, run in a sandbox" },
);

export const FunctionToolManifest = Type.Object(
  {
    name: ToolName,
    type: kind("function"),
    description: ToolDescription,
    parameters: Type.Optional(Parameters),
    source: Type.String({
      minLength: 1,
      maxLength: LIMITS.sourceBytes,
      description:
        "An ES module whose default export is a function of the arguments: `export default ({ a }) => a + 1`",
    }),
    ...codeLimits,
  },
  { ...closed, description: "A JavaScript function of your own, run in a sandbox" },
);

const McpToolNames = (description: string) =>
  Type.Array(
    Type.String({ minLength: 1, maxLength: 128, description: "A name of the server's; * stands for any text" }),
    {
      maxItems: 128,
      description,
    },
  );

export const McpToolManifest = Type.Object(
  {
    name: Type.String({
      pattern: MCP_NAME_PATTERN,
      description: "The model knows the server's tools by this name, `_` and their own",
    }),
    type: kind("mcp"),
    url: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 2_048,
        description: "Of a server that is reached over HTTP",
        examples: ["https://mcp.example.com/mcp"],
      }),
    ),
    transport: Type.Optional(
      Type.Enum(["auto", "streamable-http", "sse"], {
        description:
          "auto: streamable HTTP, and HTTP with SSE (2024-11-05) where the server has no more. Default: auto",
      }),
    ),
    headers: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 4_096, description: "May have secrets" }), {
        description: "Sent with every request, by name. Default: none",
      }),
    ),
    command: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1_024, description: "A server on stdio, for local development only" }),
    ),
    args: Type.Optional(
      Type.Array(Type.String({ maxLength: 4_096 }), { maxItems: 64, description: "Of the command. Default: none" }),
    ),
    env: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 4_096, description: "May have secrets" }), {
        description: "Environment of the command. Default: none",
      }),
    ),
    allow: Type.Optional(McpToolNames("Tools the model may call. Default: all")),
    deny: Type.Optional(McpToolNames("Tools it may not call, even when allowed. Default: none")),
    timeout: Type.Optional(durationOf("Of a whole call", LIMITS.toolTimeoutMs)),
    effect: Type.Optional(EffectClass),
    effects: Type.Optional(
      Type.Record(Type.String(), EffectClass, {
        description: "By the server's name of a tool: what a repeat of it may do",
      }),
    ),
    trustAnnotations: Type.Optional(
      Type.Boolean({
        description:
          "Whether the server's hints decide what has no `effect` here: readOnlyHint is safe, idempotentHint idempotent",
      }),
    ),
    approval: Type.Optional(Approval),
    approvals: Type.Optional(
      Type.Record(Type.String(), Approval, { description: "By the server's name of a tool: who has to approve it" }),
    ),
    on_unknown: Type.Optional(OnUnknown),
  },
  { ...closed, description: "The tools of an MCP server, as they are when the agent is deployed" },
);

export const MemoryScope = Type.Enum(["workspace", "agent", "thread", "user"], {
  description:
    "Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user",
});
export type MemoryScope = Static<typeof MemoryScope>;

export const MemoryToolManifest = Type.Object(
  {
    name: Type.String({ pattern: "^[A-Za-z0-9_-]{1,57}$", description: "Its tools are NAME_get, NAME_set and so on" }),
    type: kind("memory"),
    description: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1_024, description: "What it is for; each of its tools begins with it" }),
    ),
    scope: MemoryScope,
    mode: Type.Optional(
      Type.Enum(["read", "readwrite"], { description: "read: the model can't change it. Default: readwrite" }),
    ),
    maxResults: Type.Optional(
      Type.Integer({
        minimum: LIMITS.memoryResults.min,
        maximum: LIMITS.memoryResults.max,
        description: `Items a search answers. ${bounds(LIMITS.memoryResults)}`,
      }),
    ),
    ttl: Type.Optional(durationOf("How long it remembers what is written. Without it, for good", LIMITS.memoryTtlMs)),
    approval: Type.Optional(Approval),
  },
  { ...closed, description: "What the agent remembers from run to run" },
);

const Selector = Type.String({
  minLength: 1,
  maxLength: 512,
  description: "Operations by operationId, by `GET /path`, or by `tag:NAME`; * stands for any text",
});
const Selectors = (description: string) => Type.Array(Selector, { maxItems: LIMITS.selectors, description });
const SecretText = (description: string) => Type.String({ minLength: 1, maxLength: 4_096, description });

export const OpenApiToolManifest = Type.Object(
  {
    name: Type.String({
      pattern: TOOL_NAME_PATTERN,
      maxLength: 32,
      description: "Names the entry, and begins its tools' names unless toolPrefix is given",
    }),
    type: kind("openapi"),
    document: Type.Object(
      {
        url: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 2_048,
            description: "Fetched once, at deploy; JSON or YAML, at most 4 MiB",
          }),
        ),
        inline: Type.Optional(Type.Object({}, { additionalProperties: true, description: "The document itself" })),
      },
      { ...closed, description: "An OpenAPI document of version 3.0, 3.1 or 3.2, by url or inline" },
    ),
    server: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 2_048,
        description: "Where calls go. Default: the document's first server, its variables at their defaults",
      }),
    ),
    operations: Type.Optional(
      Type.Object(
        {
          include: Type.Optional(Selectors("Default: all")),
          exclude: Type.Optional(Selectors("Left out of what include chooses. Default: none")),
        },
        { ...closed, description: "Which operations become tools" },
      ),
    ),
    headers: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 4_096, description: "May have secrets" }), {
        description: "Sent with every call, by name. Default: none",
      }),
    ),
    query: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 2_048, description: "May have secrets" }), {
        description: "Sent with every call, by name. Default: none",
      }),
    ),
    auth: Type.Optional(
      Type.Record(
        Type.String(),
        // One schema by hand: of a union every branch would complain about the same mistake.
        Type.Unsafe<string | { username: string; password: string }>({
          type: ["string", "object"],
          minLength: 1,
          maxLength: 4_096,
          properties: {
            username: SecretText("Of HTTP basic authentication"),
            password: SecretText("Of HTTP basic authentication"),
          },
          required: ["username", "password"],
          additionalProperties: false,
          description: "The key or token, `${secrets.NAME}`; for HTTP basic a username and a password",
        }),
        { maxProperties: 16, description: "Credentials by the name of the document's security scheme" },
      ),
    ),
    timeout: Type.Optional(durationOf("Of a whole call", LIMITS.toolTimeoutMs)),
    approval: Type.Optional(Approval),
    on_unknown: Type.Optional(OnUnknown),
    overrides: Type.Optional(
      Type.Array(
        Type.Object(
          {
            operations: Type.Array(Selector, { minItems: 1, maxItems: LIMITS.selectors, description: "Which" }),
            effect: Type.Optional(EffectClass),
            approval: Type.Optional(Approval),
          },
          closed,
        ),
        { maxItems: 64, description: "What some of the operations do otherwise; of several that fit the last counts" },
      ),
    ),
    toolPrefix: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9_-]{0,32}$",
        description: "Begins the names of the tools. Default: the entry's name and an underscore",
      }),
    ),
  },
  { ...closed, description: "The operations of an OpenAPI document, each a tool" },
);

export const AgentToolManifest = Type.Object(
  {
    name: ToolName,
    type: kind("agent"),
    description: Type.String({ minLength: 1, maxLength: 4_096, description: "What the agent is good for" }),
    deployment: Type.String({
      pattern: NAME_PATTERN,
      maxLength: 63,
      description: "A deployment of this workspace; a call starts a run of it and waits for its end",
    }),
    parameters: Type.Optional(Parameters),
    budget: Type.Optional(
      Type.Object(
        {
          tokens: Type.Integer({
            minimum: LIMITS.tokens.min,
            maximum: LIMITS.tokens.max,
            description:
              "Of this run's own tokens, the most that a call may use. Default: an equal share of what is left",
          }),
        },
        { ...closed, description: "How much of this run a call may take" },
      ),
    ),
    approval: Type.Optional(Approval),
  },
  { ...closed, description: "Another agent: a call is a run of its own, which this one waits for" },
);

export const ToolManifest = Type.Union([
  HttpToolManifest,
  BuiltinToolManifest,
  ClientToolManifest,
  CodeToolManifest,
  FunctionToolManifest,
  OpenApiToolManifest,
  McpToolManifest,
  AgentToolManifest,
  MemoryToolManifest,
]);
export type ToolManifest = Static<typeof ToolManifest>;
