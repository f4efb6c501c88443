import type { Store } from "@maru/store";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { ifMatch } from "./deployments.ts";
import { uuidPosition } from "./positions.ts";

export function threadRoutes({ store, pages }: { store: Store; pages: Pages }) {
  const { threads } = store;
  return {
    createThread: async ({ caller, body }) => ({
      status: 201,
      body: await threads.create(caller.workspaceId, body.metadata ?? {}),
    }),

    listThreads: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        "threads",
        caller.workspaceId,
        query,
        (limit, before) => threads.list(caller.workspaceId, limit, before),
        uuidPosition("thread"),
      ),
    }),

    getThread: async ({ caller, params }) => {
      const { thread, version } = await threads.get(caller.workspaceId, params.thread);
      return { status: 200, headers: { etag: `"${version}"` }, body: thread };
    },

    listThreadMessages: async ({ caller, params, query }) => ({
      status: 200,
      body: await pages.read(
        `messages ${params.thread}`,
        caller.workspaceId,
        query,
        (limit, after) =>
          threads.messages(caller.workspaceId, params.thread, limit, after === null ? 0 : Number(after)),
        ({ seq }) => String(seq),
      ),
    }),

    deleteThread: async ({ caller, params, request }) => {
      await threads.delete(caller.workspaceId, params.thread, ifMatch(request.headers["if-match"]));
      return { status: 204 };
    },
  } satisfies Partial<Handlers>;
}
