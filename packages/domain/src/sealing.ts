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

/** The purpose under which the data keys of secrets are wrapped: by gateways, for workers. */
export const SECRETS = "secrets";

const NAME_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

/**
 * AES-256-GCM with the first key; the others are those before it, which still open what they sealed. A sealed text is the
 * key's name (so that a rotation needs no trial), nonce, tag and ciphertext. Random nonces are safe for 2³² texts a key
 * (NIST SP 800-38D §8.3).
 */
export function createSealer(keys: readonly [Buffer, ...Buffer[]]): Sealer {
  const ring = keyRing(keys);
  return {
    seal: (text, about) => Buffer.concat([ring.current.name, encrypt(ring.current.key, Buffer.from(text), about)]),
    open(sealed, about) {
      const bytes = Buffer.from(sealed);
      const key = ring.find(bytes.subarray(0, NAME_BYTES));
      return key === undefined ? null : (decrypt(key, bytes.subarray(NAME_BYTES), about)?.toString("utf8") ?? null);
    },
  };
}

/** A text under a key of its own, and that key under one of the installation's. */
export interface Envelope {
  /** Names the key that wraps: hex, the beginning of its hash. */
  readonly keyId: string;
  readonly wrappedKey: Buffer;
  readonly sealed: Buffer;
}

export interface EnvelopeSealer {
  /** The key that wraps from now on. */
  readonly keyId: string;
  seal(text: string, about: string): Envelope;
  /** Null as a sealer's. */
  open(envelope: { readonly wrappedKey: Uint8Array; readonly sealed: Uint8Array }, about: string): string | null;
  /** The same data key under the current key; the text itself is neither needed nor seen. Null as a sealer's. */
  rewrap(wrappedKey: Uint8Array, about: string): Omit<Envelope, "sealed"> | null;
}

/**
 * Envelope encryption: each text has a random data key, which alone is encrypted anew when the installation's key changes.
 * Text and data key are both bound to `about`.
 */
export function createEnvelopeSealer(keys: readonly [Buffer, ...Buffer[]]): EnvelopeSealer {
  const ring = keyRing(keys);
  const { current } = ring;
  const keyId = current.name.toString("hex");
  const wrap = (key: Buffer, about: string) => Buffer.concat([current.name, encrypt(current.key, key, `key ${about}`)]);
  const unwrap = (wrappedKey: Uint8Array, about: string): Buffer | null => {
    const bytes = Buffer.from(wrappedKey);
    const key = ring.find(bytes.subarray(0, NAME_BYTES));
    return key === undefined ? null : decrypt(key, bytes.subarray(NAME_BYTES), `key ${about}`);
  };
  return {
    keyId,
    seal(text, about) {
      const key = randomBytes(KEY_BYTES);
      return { keyId, wrappedKey: wrap(key, about), sealed: encrypt(key, Buffer.from(text), about) };
    },
    open({ wrappedKey, sealed }, about) {
      const key = unwrap(wrappedKey, about);
      return key === null ? null : (decrypt(key, Buffer.from(sealed), about)?.toString("utf8") ?? null);
    },
    rewrap(wrappedKey, about) {
      const key = unwrap(wrappedKey, about);
      return key === null ? null : { keyId, wrappedKey: wrap(key, about) };
    },
  };
}

/** What a secret is bound to: moved to another workspace, agent, name or version, it does not open. */
export const aboutSecret = (workspaceId: string, agent: string | null, name: string, version: number): string =>
  JSON.stringify(["secret", workspaceId, agent, name, version]);

/** Keys by their names, the current one first. */
function keyRing(keys: readonly [Buffer, ...Buffer[]]) {
  const named = keys.map((key) => ({ key, name: createHash("sha256").update(key).digest().subarray(0, NAME_BYTES) }));
  const [current] = named as [(typeof named)[number], ...typeof named];
  return { current, find: (name: Buffer) => named.find((item) => item.name.equals(name))?.key };
}

/** Nonce, tag, ciphertext. */
function encrypt(key: Buffer, bytes: Buffer, about: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(about));
  const sealed = Buffer.concat([cipher.update(bytes), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
}

function decrypt(key: Buffer, bytes: Buffer, about: string): Buffer | null {
  const textAt = NONCE_BYTES + TAG_BYTES;
  if (bytes.length < textAt) return null;
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(NONCE_BYTES, textAt));
    return Buffer.concat([decipher.update(bytes.subarray(textAt)), decipher.final()]);
  } catch {
    return null;
  }
}
