import { Problem, type RouteContract } from "@maru/contract";
import type { Sealer } from "@maru/domain";
import type { Store } from "@maru/store";
import { type Answer, STREAMED } from "./bind.ts";

/** A call that takes longer than this has lost its process: its key is free again. */
const LOCK_SECONDS = 60;

/**
 * Calls an operation once for each key and answers the stored reply ever after. Replies are stored sealed, since one may
 * hold a key that is shown only once.
 */
export function createIdempotentReplies({ store, sealer }: { store: Store; sealer: Sealer }) {
  return {
    /** @throws Problem idempotency_mismatch, idempotency_in_progress, and whatever the call throws (which frees the key) */
    async once(
      about: { workspaceId: string; operation: string; key: string; requestHash: Buffer },
      call: () => Promise<Answer<RouteContract> | typeof STREAMED>,
    ): Promise<Answer<RouteContract> | typeof STREAMED> {
      const { workspaceId, operation } = about;
      const stored = await store.idempotency.begin(workspaceId, operation, about.key, about.requestHash, LOCK_SECONDS);
      if (stored !== null) {
        const text = sealer.open(stored.reply, about.operation);
        if (text === null)
          throw new Problem(
            "idempotency_mismatch",
            "The reply kept under this key can't be read any more: use a new key.",
          );
        const answer = JSON.parse(text) as Answer<RouteContract>;
        return { ...answer, headers: { ...answer.headers, "idempotency-replayed": "true" } };
      }
      let answer: Answer<RouteContract> | typeof STREAMED;
      try {
        answer = await call();
      } catch (error) {
        await store.idempotency.abandon(workspaceId, operation, about.key);
        throw error;
      }
      if (answer !== STREAMED) {
        await store.idempotency.finish(workspaceId, operation, about.key, {
          status: answer.status,
          reply: sealer.seal(JSON.stringify(answer), operation),
        });
      }
      return answer;
    },
  };
}
export type IdempotentReplies = ReturnType<typeof createIdempotentReplies>;
