import { fromUUID, typeidUnboxed } from "typeid-js";

/**
 * Public ids are TypeIDs (jetify typeid spec 0.3): a prefix that names the resource, then a UUIDv7 in 26 lower-case
 * Crockford base32 characters, so ids sort by creation time. The database stores the bare UUID.
 */
export const ID_PREFIXES = {
  workspace: "wsp",
  user: "usr",
  session: "ses",
  apiKey: "key",
  agent: "agt",
  revision: "rev",
  deployment: "dep",
  release: "rel",
  run: "run",
  artifact: "art",
  thread: "thr",
  message: "msg",
  modelEndpoint: "mdl",
  usageRecord: "use",
  webhook: "wh",
  webhookDelivery: "whd",
  webhookEvent: "evt",
  schedule: "sch",
  scheduleFire: "fir",
  trigger: "trg",
  triggerDelivery: "trd",
  request: "req",
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

/** A new public id of the kind, e.g. `run_01k5…`. */
export function newId(kind: IdKind): string {
  return typeidUnboxed(ID_PREFIXES[kind]);
}

/** The UUID inside a public id of the kind, or null when the text is not one (wrong prefix, length or alphabet). */
export function uuidOf(kind: IdKind, id: string): string | null {
  if (!ID_PATTERNS[kind].test(id)) return null;
  // Not by the library, which throws for UUIDs of other versions: such an id names nothing, and is no error.
  let bits = 0n;
  for (const char of id.slice(-26)) bits = (bits << 5n) | BigInt(ALPHABET.indexOf(char));
  const hex = bits.toString(16).padStart(32, "0");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Crockford's base32 in lower case. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** The public id of the kind for a UUID as Postgres prints it. */
export function idOf(kind: IdKind, uuid: string): string {
  return fromUUID(uuid, ID_PREFIXES[kind]);
}

/**
 * The id of what a run asks its caller or a person at a step. Its own, since the model's ids of calls are unique neither within
 * a run nor, with some hosts, there at all, and an answer that is sent twice must never answer another question.
 */
export const questionId = (seq: number): string => `call_${seq}`;

/** A UUIDv7's first base32 character is 0 to 7: 128 bits in 26 × 5 bits leave 2 bits of headroom. */
export function idPattern(kind: IdKind): string {
  return `^${ID_PREFIXES[kind]}_[0-7][0-9abcdefghjkmnpqrstvwxyz]{25}$`;
}

const ID_PATTERNS = Object.fromEntries(
  (Object.keys(ID_PREFIXES) as IdKind[]).map((kind) => [kind, new RegExp(idPattern(kind))]),
) as Record<IdKind, RegExp>;
