import type { Database } from "./database.ts";
import { only } from "./database.ts";

/** Slots of upstream keys, shared by every process on this database (the functions are in the migrations). */
export function createUpstreamSlots(db: Database) {
  return {
    async take(
      key: string,
      terms: { readonly everyMs: number | null; readonly toleranceMs: number; readonly inFlight: number | null },
      lease: { readonly id: string; readonly ms: number },
    ): Promise<{ waitMs: number }> {
      const rows = await db.call<{ wait: number }>("SELECT take_upstream_slot($1, $2, $3, $4, $5, $6) AS wait", [
        key,
        terms.everyMs,
        terms.toleranceMs,
        terms.inFlight,
        lease.id,
        lease.ms,
      ]);
      return { waitMs: only(rows).wait };
    },
    async give(key: string, leaseId: string): Promise<void> {
      await db.call("SELECT give_upstream_slot($1, $2)", [key, leaseId]);
    },
    async pause(key: string, ms: number): Promise<void> {
      await db.call("SELECT pause_upstream($1, $2)", [key, Math.ceil(ms)]);
    },
  };
}
