import { MEMORY_LIMITS, Problem } from "@maru/contract";
import { memoryKey, memoryPlace, memoryPlaces } from "@maru/domain";
import type { Memory } from "@maru/store";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { ifMatch } from "./deployments.ts";

/** In no scope, agent or subject. */
const SEPARATOR = "\0";

export function memoryRoutes({ memory, pages }: { memory: Memory; pages: Pages }) {
  const missing = () => new Problem("not_found", "There is no item with this key.");
  /** The key of an item that may be there. @throws Problem not_found */
  const keyOf = (text: string): string => {
    const key = memoryKey(text);
    if (key === null) throw missing();
    return key;
  };

  return {
    listMemories: async ({ caller, query }) => {
      const { scope, agent, subject } = query;
      return {
        status: 200,
        body: await pages.read(
          `memory ${JSON.stringify([scope, agent, subject])}`,
          caller.workspaceId,
          query,
          (limit, after) =>
            memory.namespaces(
              caller.workspaceId,
              {
                ...(scope === undefined ? {} : { scope }),
                ...(agent === undefined ? {} : { agent }),
                ...(subject === undefined ? {} : { subject }),
              },
              limit,
              after === null ? null : after.split(SEPARATOR),
            ),
          ({ scope, agent, subject }) => [scope, agent ?? "", subject ?? ""].join(SEPARATOR),
        ),
      };
    },

    eraseMemory: async ({ caller, query }) => ({
      status: 200,
      body: await memory.erase(caller.workspaceId, memoryPlaces(query)),
    }),

    getMemoryUsage: async ({ caller, query }) => ({
      status: 200,
      body: await memory.usage(caller.workspaceId, memoryPlace(query)),
    }),

    listMemoryItems: async ({ caller, query }) => {
      const place = memoryPlace(query);
      const prefix = (query.prefix ?? "").normalize("NFC");
      return {
        status: 200,
        body: await pages.read(
          `memory items ${JSON.stringify([place, prefix])}`,
          caller.workspaceId,
          query,
          (limit, after) => memory.list(caller.workspaceId, place, { prefix, limit, after }),
          ({ key }) => key,
        ),
      };
    },

    putMemoryItem: async ({ caller, params, query, body, request }) => {
      const place = memoryPlace(query);
      const key = memoryKey(params.key);
      if (key === null) {
        const detail = `A key has 1 to ${MEMORY_LIMITS.keyLength} letters and digits of any script, . _ : @ and -, and begins with a letter, a digit or _.`;
        throw new Problem("validation_failed", detail, {
          errors: [{ pointer: "path:key", code: "validation_failed", detail }],
        });
      }
      const { item, tag, created } = await memory.put(caller.workspaceId, place, key, body, {
        ifMatch: ifMatch(request.headers["if-match"]),
      });
      return { status: created ? 201 : 200, headers: { etag: `"${tag}"` }, body: item };
    },

    getMemoryItem: async ({ caller, params, query }) => {
      const found = await memory.find(caller.workspaceId, memoryPlace(query), keyOf(params.key));
      if (found === null) throw missing();
      return { status: 200, headers: { etag: `"${found.tag}"` }, body: found.item };
    },

    deleteMemoryItem: async ({ caller, params, query, request }) => {
      const removed = await memory.remove(caller.workspaceId, memoryPlace(query), keyOf(params.key), {
        ifMatch: ifMatch(request.headers["if-match"]),
      });
      if (!removed) throw missing();
      return { status: 204 };
    },

    searchMemory: async ({ caller, query, body }) => {
      const place = memoryPlace(query);
      if (body.query === undefined && body.embedding === undefined) {
        const detail = "Send a query, an embedding, or both.";
        throw new Problem("validation_failed", detail, {
          errors: [{ pointer: "/query", code: "validation_failed", detail }],
        });
      }
      const data = await memory.search(caller.workspaceId, place, {
        ...(body.query === undefined ? {} : { query: body.query }),
        ...(body.embedding === undefined ? {} : { embedding: body.embedding }),
        limit: body.limit ?? 10,
      });
      return { status: 200, body: { data } };
    },
  } satisfies Partial<Handlers>;
}
