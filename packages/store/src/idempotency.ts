import { Problem, uuidOf } from "@maru/contract";
import { type Database, only } from "./database.ts";

export interface StoredReply {
  readonly status: number;
  /** As the caller gave it; the gateway encrypts it, since a reply may hold a secret that is shown once. */
  readonly reply: Buffer;
}

/** Replies kept for a day by Idempotency-Key, for calls that don't carry the key in a row of their own (runs do). */
export function createIdempotency(db: Database) {
  return {
    /**
     * Takes the key for this request (null: go on and call `finish`), or answers the reply of the first call.
     * A first call that never finished frees the key after `lockSeconds`.
     * @throws Problem idempotency_mismatch, idempotency_in_progress
     */
    async begin(
      workspaceId: string,
      operation: string,
      key: string,
      requestHash: Buffer,
      lockSeconds: number,
    ): Promise<StoredReply | null> {
      const rows = await db.call<{
        outcome: "taken" | "mismatch" | "in_progress" | "replay";
        status: number | null;
        reply: Buffer | null;
      }>("SELECT * FROM begin_idempotent($1, $2, $3, $4, $5)", [
        uuidOf("workspace", workspaceId),
        operation,
        key,
        requestHash,
        lockSeconds,
      ]);
      const row = only(rows);
      if (row.outcome === "mismatch") throw new Problem("idempotency_mismatch", "Use a new key for a new request.");
      if (row.outcome === "in_progress")
        throw new Problem("idempotency_in_progress", "Repeat the call in a moment.", { retryAfterMs: 1_000 });
      return row.outcome === "taken" ? null : { status: row.status as number, reply: row.reply as Buffer };
    },

    async finish(workspaceId: string, operation: string, key: string, { status, reply }: StoredReply): Promise<void> {
      await db.call("SELECT finish_idempotent($1, $2, $3, $4, $5)", [
        uuidOf("workspace", workspaceId),
        operation,
        key,
        status,
        reply,
      ]);
    },

    /** Frees a key whose call failed, so that it can be repeated. */
    async abandon(workspaceId: string, operation: string, key: string): Promise<void> {
      await db.call("SELECT abandon_idempotent($1, $2, $3)", [uuidOf("workspace", workspaceId), operation, key]);
    },

    async forgetOld(): Promise<void> {
      await db.call("SELECT forget_idempotency_records()", []);
    },
  };
}
export type Idempotency = ReturnType<typeof createIdempotency>;
