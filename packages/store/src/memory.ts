import {
  type ErasedMemory,
  type FoundMemoryItem,
  idOf,
  MEMORY_LIMITS,
  type MemoryItem,
  type MemoryNamespace,
  type MemoryUsage,
  type NewMemoryItem,
  Problem,
  uuidOf,
} from "@maru/contract";
import { MEMORY_SEARCH, type MemoryPlace, memoryTerms, memoryWords } from "@maru/domain";
import { asProblem, type Database, instant, instantOrNull, only, sqlDetail } from "./database.ts";

/** The run a write is made for. It is refused with MemoryWriterLost when another worker has the run by now. */
export interface MemoryWriter {
  readonly runId: string;
  readonly epoch: number;
}
export class MemoryWriterLost extends Error {}

const WHAT_IS_FULL: Record<string, string> = {
  items: `A namespace may have ${MEMORY_LIMITS.items} items: delete some, or give items a ttl.`,
  bytes: `A namespace may have ${MEMORY_LIMITS.bytes} bytes: delete items or make them shorter.`,
  workspace_bytes: `A workspace's memory may have ${MEMORY_LIMITS.workspaceBytes} bytes: delete items, or namespaces that nobody needs.`,
};

/**
 * What agents remember, by namespace. Callers have checked places and keys. What has expired is not there; the clock is the
 * database's.
 */
export function createMemory(db: Database) {
  const at = (workspaceId: string, { scope, agent, subject }: MemoryPlace) => ({
    workspace_id: uuidOf("workspace", workspaceId),
    scope,
    agent: agent ?? "",
    subject: subject ?? "",
  });
  const by = (writer: MemoryWriter | null) =>
    writer === null ? {} : { run_id: uuidOf("run", writer.runId), epoch: writer.epoch };
  const refused = (error: unknown): never =>
    asProblem(error, {
      MM001: () => {
        const limit = String(sqlDetail(error).limit);
        return new Problem("memory_full", WHAT_IS_FULL[limit], { limit });
      },
      MM002: () => new Problem("precondition_failed", "Read the item again and repeat with its new ETag."),
      MM003: () => {
        throw new MemoryWriterLost("another worker has the run");
      },
      // The only row a namespace needs besides its workspace is its thread.
      "23503": () => new Problem("not_found", "There is no such thread."),
    });

  /** Namespaces that have items, by scope, agent and subject. */
  const namespaces = async (
    workspaceId: string,
    { scope, agent, subject }: { scope?: string; agent?: string; subject?: string },
    limit: number,
    after: readonly string[] | null,
  ): Promise<MemoryNamespace[]> => {
    const rows = await db.call<{ r: MemoryNamespace & { agent: string; subject: string } }>(
      "SELECT list_memory_namespaces($1) AS r",
      [
        {
          workspace_id: uuidOf("workspace", workspaceId),
          scope: scope ?? null,
          agent: agent ?? null,
          subject: subject ?? null,
          limit,
          after,
        },
      ],
    );
    return rows.map(({ r }) => ({
      scope: r.scope,
      agent: r.agent === "" ? null : r.agent,
      subject: r.subject === "" ? null : r.subject,
      items: r.items,
      bytes: r.bytes,
      created_at: instant(r.created_at),
      updated_at: instant(r.updated_at),
    }));
  };

  return {
    /**
     * Sets an item whole. `ifMatch` is the tag its caller last saw.
     * @throws Problem memory_full, body_too_large, precondition_failed, not_found (a thread that is not there)
     */
    async put(
      workspaceId: string,
      place: MemoryPlace,
      key: string,
      { value, ttl, embedding }: NewMemoryItem,
      { ifMatch = null, writer = null }: { ifMatch?: string | null; writer?: MemoryWriter | null } = {},
    ): Promise<{ item: MemoryItem; tag: string; created: boolean }> {
      const bytes =
        Buffer.byteLength(key) +
        Buffer.byteLength(JSON.stringify(value)) +
        4 * (embedding === undefined ? 0 : embedding.length);
      if (bytes > MEMORY_LIMITS.itemBytes)
        throw new Problem(
          "body_too_large",
          `An item may have ${MEMORY_LIMITS.itemBytes} bytes, and this one has ${bytes}: key, value as JSON, and four a number of its embedding.`,
        );
      const rows = await db
        .call<{ r: Row & { created: boolean } }>("SELECT put_memory($1) AS r", [
          {
            ...at(workspaceId, place),
            ...by(writer),
            thread_id: place.scope === "thread" ? uuidOf("thread", place.subject as string) : null,
            key,
            value,
            words: memoryWords(key, value),
            embedding: embedding === undefined ? null : unit(embedding),
            bytes,
            ttl: ttl ?? null,
            if_match: ifMatch,
            max_items: MEMORY_LIMITS.items,
            max_bytes: MEMORY_LIMITS.bytes,
            max_workspace_bytes: MEMORY_LIMITS.workspaceBytes,
          },
        ])
        .catch(refused);
      const { r } = only(rows);
      return { item: itemObject(r), tag: r.tag, created: r.created };
    },

    async find(
      workspaceId: string,
      place: MemoryPlace,
      key: string,
    ): Promise<{ item: MemoryItem; tag: string } | null> {
      const { r } = only(
        await db.call<{ r: Row | null }>("SELECT read_memory($1) AS r", [{ ...at(workspaceId, place), key }]),
      );
      return r === null ? null : { item: itemObject(r), tag: r.tag };
    },

    /** In the keys' order, which is that of their characters' numbers. */
    async list(
      workspaceId: string,
      place: MemoryPlace,
      { prefix, limit, after }: { prefix: string; limit: number; after: string | null },
    ): Promise<MemoryItem[]> {
      const rows = await db.call<{ r: Row }>("SELECT list_memory($1) AS r", [
        { ...at(workspaceId, place), prefix, limit, after: after ?? "" },
      ]);
      return rows.map(({ r }) => itemObject(r));
    },

    /** Whether there was one. @throws Problem precondition_failed */
    async remove(
      workspaceId: string,
      place: MemoryPlace,
      key: string,
      { ifMatch = null, writer = null }: { ifMatch?: string | null; writer?: MemoryWriter | null } = {},
    ): Promise<boolean> {
      const rows = await db
        .call<{ r: boolean }>("SELECT delete_memory($1) AS r", [
          { ...at(workspaceId, place), ...by(writer), key, if_match: ifMatch },
        ])
        .catch(refused);
      return only(rows).r;
    },

    /** The best first. By text, by embedding, or by both, each of which is then half of the score. */
    async search(
      workspaceId: string,
      place: MemoryPlace,
      { query, embedding, limit }: { query?: string; embedding?: readonly number[]; limit: number },
    ): Promise<FoundMemoryItem[]> {
      const rows = await db.call<{ r: Row & { score: number } }>("SELECT search_memory($1) AS r", [
        {
          ...at(workspaceId, place),
          terms: query === undefined ? [] : memoryTerms(query),
          embedding: embedding === undefined ? null : unit(embedding),
          least_parts: MEMORY_SEARCH.leastParts,
          least_score: MEMORY_SEARCH.leastScore,
          limit,
        },
      ]);
      return rows.map(({ r }) => ({ ...itemObject(r), score: Math.min(1, r.score) }));
    },

    /** Removes namespaces whole; with no agent those all agents have of the subject. */
    async erase(workspaceId: string, { scope, agent, subject }: MemoryPlace): Promise<ErasedMemory> {
      const rows = await db.call<{ r: ErasedMemory }>("SELECT erase_memory($1) AS r", [
        {
          workspace_id: uuidOf("workspace", workspaceId),
          scope,
          agent: scope === "workspace" ? "" : agent,
          subject: subject ?? "",
        },
      ]);
      return only(rows).r;
    },

    namespaces,

    async usage(workspaceId: string, { scope, agent, subject }: MemoryPlace): Promise<MemoryUsage> {
      const [found] = await namespaces(workspaceId, { scope, agent: agent ?? "", subject: subject ?? "" }, 1, null);
      const { total } = only(
        await db.call<{ total: string }>("SELECT memory_total($1) AS total", [uuidOf("workspace", workspaceId)]),
      );
      return {
        items: found?.items ?? 0,
        bytes: found?.bytes ?? 0,
        workspace_bytes: Number(total),
        limits: {
          items: MEMORY_LIMITS.items,
          bytes: MEMORY_LIMITS.bytes,
          item_bytes: MEMORY_LIMITS.itemBytes,
          workspace_bytes: MEMORY_LIMITS.workspaceBytes,
        },
      };
    },

    /** Removes what has expired, of up to so many namespaces of all workspaces; answers of how many. */
    async forgetExpired(namespaces: number): Promise<number> {
      return only(await db.aside<{ r: number }>("SELECT forget_memory($1) AS r", [namespaces])).r;
    },
  };
}
export type Memory = ReturnType<typeof createMemory>;

/** At length one: direction is all a cosine looks at. @throws Problem validation_failed for one that has none */
function unit(embedding: readonly number[]): number[] {
  // First to a size whose squares neither overflow nor vanish.
  const largest = embedding.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
  if (largest === 0 || !Number.isFinite(largest)) {
    const detail = "An embedding must have a number that is not 0.";
    throw new Problem("validation_failed", detail, {
      errors: [{ pointer: "/embedding", code: "validation_failed", detail }],
    });
  }
  const scaled = embedding.map((number) => number / largest);
  const length = Math.sqrt(scaled.reduce((sum, number) => sum + number * number, 0));
  // Numbers a `real` can't hold are nothing beside the others.
  return scaled.map((number) => (Math.abs(number / length) < 1e-30 ? 0 : number / length));
}

interface Row {
  readonly key: string;
  readonly value: unknown;
  readonly bytes: number;
  readonly version: number;
  readonly run_id: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly expires_at: string | null;
  readonly dimensions: number | null;
  readonly tag: string;
}

const itemObject = (row: Row): MemoryItem => ({
  key: row.key,
  value: row.value,
  version: row.version,
  bytes: row.bytes,
  dimensions: row.dimensions,
  run_id: row.run_id === null ? null : idOf("run", row.run_id),
  created_at: instant(row.created_at),
  updated_at: instant(row.updated_at),
  expires_at: instantOrNull(row.expires_at),
});
