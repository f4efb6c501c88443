import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { RouteContract } from "@maru/contract";
import type { Store } from "@maru/store";
import { type Answer, STREAMED } from "./bind.ts";

/** A call that takes longer than this has lost its process: its key is free again. */
const LOCK_SECONDS = 60;

/**
 * Calls an operation once for each key and answers the stored reply ever after. Replies are stored encrypted
 * (AES-256-GCM), since one may hold a key that is shown only once.
 */
export function createIdempotentReplies(deps: { store: Store; key: Buffer }) {
  const { store, key } = deps;

  const seal = (text: string): Buffer => {
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  };
  const open = (sealed: Buffer): string => {
    const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
    decipher.setAuthTag(sealed.subarray(12, 28));
    return Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString("utf8");
  };

  return {
    /** @throws Problem idempotency_mismatch, idempotency_in_progress, and whatever the call throws (which frees the key) */
    async once(
      about: { workspaceId: string; operation: string; key: string; requestHash: Buffer },
      call: () => Promise<Answer<RouteContract> | typeof STREAMED>,
    ): Promise<Answer<RouteContract> | typeof STREAMED> {
      const { workspaceId, operation } = about;
      const stored = await store.idempotency.begin(workspaceId, operation, about.key, about.requestHash, LOCK_SECONDS);
      if (stored !== null) {
        const answer = JSON.parse(open(stored.reply)) as Answer<RouteContract>;
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
          reply: seal(JSON.stringify(answer)),
        });
      }
      return answer;
    },
  };
}
export type IdempotentReplies = ReturnType<typeof createIdempotentReplies>;
