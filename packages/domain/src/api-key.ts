import { createHash, randomInt, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

/**
 * API keys read `maru_<id>_<secret>_<checksum>`: the prefix lets secret scanners find them, the checksum (CRC-32 in base
 * 62, as GitHub's tokens have) refuses a typo without a query, the id is public and the secret has 256 bits.
 */
const PREFIX = "maru";
const ID_LENGTH = 12;
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PATTERN = new RegExp(
  `^(${PREFIX}_([0-9A-Za-z]{${ID_LENGTH}})_([0-9A-Za-z]{${SECRET_LENGTH}}))_([0-9A-Za-z]{${CHECKSUM_LENGTH}})$`,
);

export interface NewKey {
  readonly keyId: string;
  /** The key itself; only its owner ever has it. */
  readonly text: string;
  readonly secretHash: Buffer;
}

export function newApiKey(random: (max: number) => number = randomInt): NewKey {
  const pick = (length: number) => Array.from({ length }, () => ALPHABET[random(ALPHABET.length)]).join("");
  const keyId = pick(ID_LENGTH);
  const secret = pick(SECRET_LENGTH);
  const body = `${PREFIX}_${keyId}_${secret}`;
  return { keyId, text: `${body}_${checksum(body)}`, secretHash: hashApiSecret(secret) };
}

/** The parts of a well-formed key; null for anything else, wrong checksum included. */
export function parseApiKey(text: string): { keyId: string; secret: string } | null {
  const match = PATTERN.exec(text);
  if (match === null) return null;
  const [, body = "", keyId = "", secret = "", sum] = match;
  return checksum(body) === sum ? { keyId, secret } : null;
}

/** A random secret of 256 bits needs no slow hash: there is nothing to guess. */
export const hashApiSecret = (secret: string): Buffer => createHash("sha256").update(secret).digest();

/** Equality in time that tells nothing of where the bytes differ. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

function checksum(body: string): string {
  let value = crc32(body);
  let text = "";
  for (let index = 0; index < CHECKSUM_LENGTH; index++) {
    text = ALPHABET[value % ALPHABET.length] + text;
    value = Math.floor(value / ALPHABET.length);
  }
  return text;
}
