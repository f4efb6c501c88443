import { idOf, newId, Problem, type Thread, type ThreadMessage, type ToolCall, uuidOf } from "@maru/contract";
import { type Database, instant } from "./database.ts";

/** Threads: conversations that runs share. A run adds its messages when it ends. */
export function createThreads(db: Database) {
  const scope = (workspaceId: string) => {
    const workspace = uuidOf("workspace", workspaceId) as string;
    return { workspace, client: db.forWorkspace(workspace) };
  };
  const find = async (workspaceId: string, id: string) => {
    const { workspace, client } = scope(workspaceId);
    const row = await client.thread.findFirst({
      where: { workspaceId: workspace, id: uuidOf("thread", id) as string },
    });
    if (row === null) throw new Problem("not_found", `There is no thread ${id}.`);
    return row;
  };

  return {
    async create(workspaceId: string, metadata: Record<string, string>): Promise<Thread> {
      const { workspace, client } = scope(workspaceId);
      const row = await client.thread.create({
        data: { workspaceId: workspace, id: uuidOf("thread", newId("thread")) as string, metadata },
      });
      return threadObject(row);
    },

    async list(workspaceId: string, limit: number, before: string | null): Promise<Thread[]> {
      const { workspace, client } = scope(workspaceId);
      const rows = await client.thread.findMany({
        where: { workspaceId: workspace, ...(before === null ? {} : { id: { lt: before } }) },
        orderBy: { id: "desc" },
        take: limit,
      });
      return rows.map(threadObject);
    },

    /** @throws Problem not_found */
    async get(workspaceId: string, id: string): Promise<{ thread: Thread; version: string }> {
      const row = await find(workspaceId, id);
      return { thread: threadObject(row), version: `${row.id}:${row.nextSeq}` };
    },

    /** @throws Problem not_found */
    async messages(workspaceId: string, id: string, limit: number, after: number): Promise<ThreadMessage[]> {
      await find(workspaceId, id);
      const { workspace, client } = scope(workspaceId);
      const rows = await client.threadMessage.findMany({
        where: { workspaceId: workspace, threadId: uuidOf("thread", id) as string, seq: { gt: after } },
        orderBy: { seq: "asc" },
        take: limit,
      });
      return rows.map((row) => ({
        seq: row.seq,
        run_id: idOf("run", row.runId),
        role: row.role as ThreadMessage["role"],
        content: row.content,
        ...(row.toolCalls === null ? {} : { tool_calls: row.toolCalls as unknown as ToolCall[] }),
        ...(row.toolCallId === null ? {} : { tool_call_id: row.toolCallId }),
        ...(row.name === null ? {} : { name: row.name }),
        created_at: instant(row.createdAt),
      }));
    },

    /** Deletes the thread with its messages; its runs stay. @throws Problem not_found, thread_in_use, precondition_failed */
    async delete(workspaceId: string, id: string, ifMatch: string | null): Promise<void> {
      const { workspace, client } = scope(workspaceId);
      const threadId = uuidOf("thread", id) as string;
      const row = await find(workspaceId, id);
      if (ifMatch !== null && ifMatch !== `${row.id}:${row.nextSeq}`) {
        throw new Problem("precondition_failed", "Read the thread again and repeat with its new ETag.");
      }
      const busy = await client.run.count({
        where: { workspaceId: workspace, threadId, status: { in: ["queued", "running", "waiting"] } },
      });
      if (busy > 0) throw new Problem("thread_in_use", "Cancel the thread's run first, or wait for it to end.");
      await client.thread.deleteMany({ where: { workspaceId: workspace, id: threadId } });
    },
  };
}
export type Threads = ReturnType<typeof createThreads>;

function threadObject(row: { id: string; metadata: unknown; createdAt: Date; updatedAt: Date }): Thread {
  return {
    id: idOf("thread", row.id),
    metadata: row.metadata as Record<string, string>,
    created_at: instant(row.createdAt),
    updated_at: instant(row.updatedAt),
  };
}
