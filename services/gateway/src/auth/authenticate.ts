import { createHash } from "node:crypto";
import { type Access, Problem, SCOPES, type Scope } from "@maru/contract";
import { hashApiSecret, parseApiKey, type RatePolicy, sameBytes } from "@maru/domain";
import type { Store } from "@maru/store";
import type { FastifyRequest } from "fastify";
import type { AccessTokens } from "./tokens.ts";

/** Who calls, and what they may do. */
export interface Caller {
  readonly workspaceId: string;
  readonly scopes: readonly Scope[];
  /** Set when a person is signed in. */
  readonly user: { readonly id: string; readonly sessionId: string } | null;
  readonly apiKeyId: string | null;
  /** The key's own limit of calls; null for the installation's. */
  readonly rateLimit: RatePolicy | null;
}

/** A revoked key or ended session is refused everywhere within this time. */
const CACHE_MS = 5_000;
const CACHE_ENTRIES = 10_000;
const TOUCH_MS = 30_000;

/** Turns the Authorization header into a caller. Answers of the store are kept for five seconds. */
export function createAuthenticator(deps: {
  store: Store;
  tokens: AccessTokens;
  /** Null: there is no operator API. */
  operatorToken: string | null;
  now: () => number;
}) {
  const { store, tokens, now } = deps;
  const keys = cache<Awaited<ReturnType<Store["accounts"]["findApiKey"]>>>(now);
  const sessions = cache<boolean>(now);
  const touched = new Map<string, { workspaceId: string; id: string; at: Date; due: number }>();

  const byApiKey = async (text: string): Promise<Caller> => {
    // A typo or a truncated key fails its checksum: refused without a query.
    const key = parseApiKey(text);
    if (key === null) throw new Problem("invalid_credentials");
    const found = await keys.get(key.keyId, () => store.accounts.findApiKey(key.keyId));
    // Hashed and compared in any case, so that an unknown id takes as long as a wrong secret.
    const matches = sameBytes(hashApiSecret(key.secret), found?.secretHash ?? Buffer.alloc(32));
    if (found === null || !matches || !found.usable) throw new Problem("invalid_credentials");
    if ((touched.get(found.id)?.due ?? 0) <= now()) {
      const at = new Date(now());
      touched.set(found.id, { workspaceId: found.workspaceId, id: found.id, at, due: now() + TOUCH_MS });
      if (touched.size > CACHE_ENTRIES) touched.clear();
      // Nobody's call waits for the note of when a key was used, and losing one loses nothing.
      void store.accounts.touchApiKeys([{ workspaceId: found.workspaceId, id: found.id, at }]).catch(() => {});
    }
    const { workspaceId, scopes, id, rateLimit } = found;
    return { workspaceId, scopes, user: null, apiKeyId: id, rateLimit };
  };

  const byToken = async (text: string): Promise<Caller> => {
    const { sub, wsp, sid } = tokens.verify(text);
    const alive = await sessions.get(`${wsp} ${sid} ${sub}`, () => store.accounts.sessionAlive(wsp, sid, sub));
    if (!alive) throw new Problem("invalid_token", "The session has ended.");
    return { workspaceId: wsp, scopes: SCOPES, user: { id: sub, sessionId: sid }, apiKeyId: null, rateLimit: null };
  };

  return {
    /** @throws Problem missing_credentials, invalid_credentials, invalid_token, token_expired, key_in_url */
    async authenticate(request: FastifyRequest): Promise<Caller> {
      if (/[?&][^=]*=maru_/.test(request.url)) {
        throw new Problem(
          "key_in_url",
          "Send the key in the Authorization header, and replace this one: URLs end up in logs.",
        );
      }
      const credential = bearer(request);
      return credential.startsWith("maru_") ? byApiKey(credential) : byToken(credential);
    },

    /** @throws Problem not_found where the installation has no operator token, missing_credentials, invalid_credentials */
    authenticateOperator(request: FastifyRequest): void {
      const { operatorToken } = deps;
      if (operatorToken === null)
        throw new Problem("not_found", "This installation has no operator API: set OPERATOR_TOKEN to have one.");
      const digest = (text: string) => createHash("sha256").update(text).digest();
      if (!sameBytes(digest(bearer(request)), digest(operatorToken)))
        throw new Problem(
          "invalid_credentials",
          "This call needs the operator's token (OPERATOR_TOKEN of the gateway).",
        );
    },

    /** Forgets what was learned of a session, so that its end is felt here at once. */
    forget(): void {
      sessions.clear();
      keys.clear();
    },
  };
}
export type Authenticator = ReturnType<typeof createAuthenticator>;

/** @throws Problem missing_credentials, invalid_credentials */
function bearer(request: FastifyRequest): string {
  const given = authorizationHeaders(request);
  if (given.length === 0)
    throw new Problem("missing_credentials", "Send Authorization: Bearer with an API key or an access token.");
  const match = given.length === 1 ? /^Bearer ([\x21-\x7e]+)$/i.exec(given[0] ?? "") : null;
  if (match === null)
    throw new Problem(
      "invalid_credentials",
      "Send exactly one header, Authorization: Bearer, with an API key or an access token.",
    );
  return match[1] as string;
}

/** @throws Problem insufficient_scope */
export function allow(caller: Caller, access: Exclude<Access, "public" | "operator">): void {
  if (access === "user") {
    if (caller.user === null)
      throw new Problem("insufficient_scope", "This call needs a signed-in person, not an API key.");
  } else if (!caller.scopes.includes(access)) {
    throw new Problem("insufficient_scope", `This call needs the scope ${access}.`);
  }
}

/** Node keeps only the first of two Authorization headers; the raw ones tell. */
function authorizationHeaders(request: FastifyRequest): string[] {
  const raw = request.raw.rawHeaders;
  return raw.flatMap((name, index) =>
    index % 2 === 0 && name.toLowerCase() === "authorization" ? [raw[index + 1] ?? ""] : [],
  );
}

function cache<T>(now: () => number) {
  const entries = new Map<string, { value: T; until: number }>();
  return {
    async get(key: string, load: () => Promise<T>): Promise<T> {
      const hit = entries.get(key);
      if (hit !== undefined && hit.until > now()) return hit.value;
      const value = await load();
      if (entries.size >= CACHE_ENTRIES) entries.clear();
      entries.set(key, { value, until: now() + CACHE_MS });
      return value;
    },
    clear: () => entries.clear(),
  };
}
