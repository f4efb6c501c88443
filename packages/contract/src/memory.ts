import Type, { type Static } from "typebox";
import { Count, closed, Instant, Nullable, Text } from "./schema.ts";
import { MemoryScope, NAME_PATTERN } from "./tools.ts";

export const MEMORY_LIMITS = {
  /** Of a namespace. */
  items: 1_000,
  bytes: 1_048_576,
  /** Of an item: key and JSON in UTF-8, and four bytes a number of its embedding. */
  itemBytes: 16_384,
  /** Of all of a workspace's namespaces. */
  workspaceBytes: 67_108_864,
  keyLength: 128,
  subjectLength: 512,
  /** Of a search, in characters. */
  queryLength: 1_000,
  dimensions: 4_096,
  results: 50,
  ttlSeconds: 315_360_000,
} as const;

/** Letters and digits of any script, then also `. _ : @ -`: a key needs no escapes in a URL but its letters' own. */
export const MEMORY_KEY_PATTERN = `^[\\p{L}\\p{N}_][\\p{L}\\p{M}\\p{N}._:@-]{0,${MEMORY_LIMITS.keyLength - 1}}$`;

const Agent = Type.String({ pattern: NAME_PATTERN });
const Subject = Text(MEMORY_LIMITS.subjectLength, 1);

/** Which namespace a call is about. */
export const placeQuery = {
  scope: MemoryScope,
  agent: Type.Optional(
    Type.String({ pattern: NAME_PATTERN, description: "The agent, for every scope but workspace. It need not exist" }),
  ),
  subject: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: MEMORY_LIMITS.subjectLength,
      pattern: "^[^\\u0000]*$",
      description: "For thread its id, for user the end user as runs name it in metadata.user",
    }),
  ),
} as const;

const Embedding = Type.Array(Type.Number(), {
  minItems: 1,
  maxItems: MEMORY_LIMITS.dimensions,
  description: "Numbers of your own embedding model; compared by cosine with those of the same length",
});

export const NewMemoryItem = Type.Object(
  {
    value: Type.Unknown({ description: "Any JSON; its texts and the key are what a search finds" }),
    ttl: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MEMORY_LIMITS.ttlSeconds,
        description: "Seconds until it is gone. Without one it stays",
      }),
    ),
    embedding: Type.Optional(Embedding),
  },
  closed,
);
export type NewMemoryItem = Static<typeof NewMemoryItem>;

const item = {
  key: Type.String(),
  value: Type.Unknown(),
  version: Type.Integer({ minimum: 1, description: "Grows with every write" }),
  bytes: Count,
  dimensions: Nullable(Type.Integer({ minimum: 1, description: "Of its embedding, which is not shown" })),
  run_id: Nullable(Type.String({ description: "The run that wrote it; null = a caller of the API" })),
  created_at: Instant,
  updated_at: Instant,
  expires_at: Nullable(Instant),
} as const;
export const MemoryItem = Type.Object(item, closed);
export type MemoryItem = Static<typeof MemoryItem>;

export const FoundMemoryItem = Type.Object(
  { ...item, score: Type.Number({ minimum: 0, maximum: 1, description: "How well it fits: 1 is best" }) },
  closed,
);
export type FoundMemoryItem = Static<typeof FoundMemoryItem>;

export const MemoryQuery = Type.Object(
  {
    query: Type.Optional(Text(MEMORY_LIMITS.queryLength, 1)),
    embedding: Type.Optional(Embedding),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MEMORY_LIMITS.results, default: 10 })),
  },
  { ...closed, minProperties: 1 },
);
export type MemoryQuery = Static<typeof MemoryQuery>;

export const MemoryNamespace = Type.Object(
  {
    scope: MemoryScope,
    agent: Nullable(Agent),
    subject: Nullable(Subject),
    items: Count,
    bytes: Count,
    created_at: Instant,
    updated_at: Instant,
  },
  closed,
);
export type MemoryNamespace = Static<typeof MemoryNamespace>;

export const MemoryUsage = Type.Object(
  {
    items: Count,
    bytes: Count,
    workspace_bytes: Type.Integer({
      minimum: 0,
      description: "Of all namespaces, with what expired in the last minutes",
    }),
    limits: Type.Object({ items: Count, bytes: Count, item_bytes: Count, workspace_bytes: Count }, closed),
  },
  closed,
);
export type MemoryUsage = Static<typeof MemoryUsage>;

export const ErasedMemory = Type.Object(
  { namespaces: Count, items: Count, bytes: Count },
  { ...closed, description: "What was removed, expired items included" },
);
export type ErasedMemory = Static<typeof ErasedMemory>;
