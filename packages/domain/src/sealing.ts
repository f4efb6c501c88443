import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";

/** 32 bytes for one purpose from the service's secret (HKDF, RFC 5869); the same in every process that has the secret. */
export function deriveKey(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "maru", purpose, 32));
}

/** The purpose under which keys of workspaces' endpoints are sealed: by gateways, for workers. */
export const ENDPOINT_KEYS = "endpoint keys";

/** Seals texts for storage. `about` is bound to the sealed text: copied to another place, it no longer opens. */
export interface Sealer {
  seal(text: string, about: string): Buffer;
  /** Null when it was sealed with a key that is gone, for another place, or was tampered with. */
  open(sealed: Uint8Array, about: string): string | null;
}

const NAME_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * AES-256-GCM with the first key; the others are those before it, which still open what they sealed. A sealed text is the
 * key's name (so that a rotation needs no trial), nonce, tag and ciphertext. Random nonces are safe for 2³² texts a key
 * (NIST SP 800-38D §8.3).
 */
export function createSealer(keys: readonly [Buffer, ...Buffer[]]): Sealer {
  const named = keys.map((key) => ({ key, name: createHash("sha256").update(key).digest().subarray(0, NAME_BYTES) }));
  const [current] = named as [(typeof named)[number], ...typeof named];
  return {
    seal(text, about) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", current.key, nonce).setAAD(Buffer.from(about));
      const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      return Buffer.concat([current.name, nonce, cipher.getAuthTag(), sealed]);
    },
    open(sealed, about) {
      const bytes = Buffer.from(sealed);
      const nonceAt = NAME_BYTES;
      const tagAt = nonceAt + NONCE_BYTES;
      const textAt = tagAt + TAG_BYTES;
      const found = named.find(({ name }) => name.equals(bytes.subarray(0, NAME_BYTES)));
      if (found === undefined || bytes.length < textAt) return null;
      try {
        const decipher = createDecipheriv("aes-256-gcm", found.key, bytes.subarray(nonceAt, tagAt), {
          authTagLength: TAG_BYTES,
        });
        decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(tagAt, textAt));
        return Buffer.concat([decipher.update(bytes.subarray(textAt)), decipher.final()]).toString("utf8");
      } catch {
        return null;
      }
    },
  };
}
