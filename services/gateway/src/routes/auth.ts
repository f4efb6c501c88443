import { randomBytes } from "node:crypto";
import { Problem, type RateLimit, type TokenPair } from "@maru/contract";
import { newApiKey, type RatePolicy } from "@maru/domain";
import type { Session, Store } from "@maru/store";
import type { Authenticator } from "../auth/authenticate.ts";
import type { SigningKey } from "../auth/keys.ts";
import { checkPassword, hashPassword } from "../auth/passwords.ts";
import { ACCESS_TOKEN_SECONDS, type AccessTokens } from "../auth/tokens.ts";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import type { Tally } from "../rates/local.ts";
import { uuidPosition } from "./positions.ts";

const REFRESH_SECONDS = 30 * 86_400;
const newRefreshToken = () => `mrt_${randomBytes(32).toString("base64url")}`;

export interface AuthDeps {
  readonly store: Store;
  readonly tokens: AccessTokens;
  readonly keys: readonly SigningKey[];
  readonly authenticator: Authenticator;
  /** Counts failed attempts to sign in by address and account. */
  readonly attempts: Tally;
  /** Counts new accounts by address. */
  readonly registrations: Tally;
  /** The most a key's own limit of calls may be: the workspace's. */
  readonly maxRate: RatePolicy;
  readonly pages: Pages;
  readonly now: () => number;
}

export function authRoutes(deps: AuthDeps) {
  const { store, tokens, attempts, registrations, pages } = deps;
  const { accounts } = store;

  const pair = (session: Session, refreshToken: string): TokenPair => ({
    token_type: "Bearer",
    access_token: tokens.issue({ sub: session.userId, wsp: session.workspaceId, sid: session.sessionId }),
    expires_in: ACCESS_TOKEN_SECONDS,
    refresh_token: refreshToken,
    refresh_expires_at: session.refreshExpiresAt,
  });
  const refuse = (tally: Tally, key: string) => {
    const waitMs = tally.waitMs(key);
    if (waitMs > 0)
      throw new Problem("too_many_attempts", "Wait before the next attempt.", { retryAfterMs: waitMs, limit: "login" });
  };

  return {
    register: async ({ body, request }) => {
      refuse(registrations, request.ip);
      const email = body.email.toLowerCase();
      const passwordHash = await hashPassword(body.password);
      registrations.count(request.ip);
      const { user, workspace } = await accounts.register({
        email,
        passwordHash,
        workspace: body.workspace ?? (email.split("@")[0] as string),
      });
      const refreshToken = newRefreshToken();
      const session = await accounts.openSession(workspace.id, user.id, refreshToken, REFRESH_SECONDS);
      return { status: 201, body: { user, workspace, tokens: pair(session, refreshToken) } };
    },

    token: async ({ body, request }) => {
      const refreshToken = newRefreshToken();
      if (body.grant_type === "refresh_token") {
        const session = await accounts.rotate(body.refresh_token, refreshToken, REFRESH_SECONDS);
        if (session === null) {
          deps.authenticator.forget();
          throw new Problem("invalid_credentials", "The refresh token is not valid. Sign in again.");
        }
        return { status: 200, body: pair(session, refreshToken) };
      }
      const key = `login ${request.ip} ${body.email.toLowerCase()}`;
      refuse(attempts, key);
      const account = await accounts.find(body.email);
      if (!(await checkPassword(body.password, account?.passwordHash ?? null)) || account === null) {
        attempts.count(key);
        throw new Problem("invalid_credentials", "The address or the password is wrong.");
      }
      return {
        status: 200,
        body: pair(
          await accounts.openSession(account.workspaceId, account.userId, refreshToken, REFRESH_SECONDS),
          refreshToken,
        ),
      };
    },

    logout: async ({ caller }) => {
      if (caller.user !== null) await accounts.endSession(caller.workspaceId, caller.user.sessionId);
      deps.authenticator.forget();
      return { status: 204 };
    },

    whoami: async ({ caller }) => ({
      status: 200,
      body: {
        workspace: await accounts.workspace(caller.workspaceId),
        user: caller.user === null ? null : await accounts.user(caller.user.id),
        scopes: [...caller.scopes],
      },
    }),

    jwks: async () => ({
      status: 200,
      headers: { "cache-control": "public, max-age=300" },
      body: { keys: deps.keys.map(({ kid, x }) => ({ kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig", kid, x })) },
    }),

    createApiKey: async ({ caller, body }) => {
      const beyond = body.scopes.filter((scope) => !caller.scopes.includes(scope));
      if (beyond.length > 0)
        throw new Problem("insufficient_scope", `A key cannot give more than it has: ${beyond.join(", ")}.`);
      if (body.expires_at && Date.parse(body.expires_at) <= deps.now()) {
        throw new Problem("validation_failed", "expires_at is in the past.", {
          errors: [{ pointer: "/expires_at", code: "validation_failed", detail: "must be in the future" }],
        });
      }
      // A key that has a limit of its own makes none that has more.
      const most = caller.rateLimit ?? deps.maxRate;
      const rateLimit = ratePolicy(body.rate_limit, most) ?? caller.rateLimit;
      const key = newApiKey();
      const created = await accounts.createApiKey(caller.workspaceId, {
        keyId: key.keyId,
        secretHash: key.secretHash,
        name: body.name,
        scopes: body.scopes,
        expiresAt: body.expires_at ?? null,
        rateLimit,
      });
      return { status: 201, body: { api_key: created, key: key.text } };
    },

    listApiKeys: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        "api-keys",
        caller.workspaceId,
        query,
        (limit, before) => accounts.listApiKeys(caller.workspaceId, limit, before),
        uuidPosition("apiKey"),
      ),
    }),

    getApiKey: async ({ caller, params }) => ({
      status: 200,
      body: await accounts.getApiKey(caller.workspaceId, params.key),
    }),

    revokeApiKey: async ({ caller, params }) => {
      await accounts.revokeApiKey(caller.workspaceId, params.key, new Date(deps.now()));
      deps.authenticator.forget();
      return { status: 204 };
    },
  } satisfies Partial<Handlers>;
}

/** @throws Problem limit_out_of_range */
function ratePolicy(given: RateLimit | null | undefined, most: RatePolicy): RatePolicy | null {
  if (!given) return null;
  const errors = [
    { pointer: "/rate_limit/per_minute", asked: given.per_minute, max: most.perMinute },
    { pointer: "/rate_limit/burst", asked: given.burst, max: most.burst },
  ]
    .filter(({ asked, max }) => asked > max)
    .map(({ pointer, max }) => ({ pointer, code: "limit_out_of_range", detail: `must be from 1 to ${max}` }));
  if (errors.length > 0)
    throw new Problem("limit_out_of_range", "A key's limit can't be more than it is here.", { errors });
  return { perMinute: given.per_minute, burst: given.burst };
}
