import { createHash } from "node:crypto";
import { type ApiKey, idOf, newId, Problem, type Scope, uuidOf, type Workspace } from "@maru/contract";
import type { RatePolicy } from "@maru/domain";
import { asProblem, type Database, instant, instantOrNull, only } from "./database.ts";

export interface Account {
  readonly userId: string;
  readonly workspaceId: string;
  readonly passwordHash: string;
}
export interface Session {
  readonly workspaceId: string;
  readonly userId: string;
  readonly sessionId: string;
  readonly refreshExpiresAt: string;
}
export interface FoundApiKey {
  readonly workspaceId: string;
  readonly id: string;
  readonly secretHash: Buffer;
  readonly scopes: readonly Scope[];
  /** False when revoked or expired. */
  readonly usable: boolean;
  /** The key's own limit of calls; null for the installation's. */
  readonly rateLimit: RatePolicy | null;
}

const tokenHash = (token: string) => createHash("sha256").update(token).digest();

/** People, their sessions, and the workspace's API keys. Secrets are stored as hashes only. */
export function createAccounts(db: Database) {
  const openSession = async (
    workspaceId: string,
    userId: string,
    refreshToken: string,
    ttlSeconds: number,
  ): Promise<Session> => {
    const sessionId = newId("session");
    const rows = await db.call<{ expires: Date }>("SELECT open_session($1, $2, $3, $4, $5) AS expires", [
      uuidOf("workspace", workspaceId),
      uuidOf("user", userId),
      uuidOf("session", sessionId),
      tokenHash(refreshToken),
      ttlSeconds,
    ]);
    return { workspaceId, userId, sessionId, refreshExpiresAt: instant(only(rows).expires) };
  };

  return {
    openSession,

    /** @throws Problem email_taken */
    async register(account: { email: string; passwordHash: string; workspace: string }) {
      const workspaceId = newId("workspace");
      const userId = newId("user");
      try {
        const rows = await db.call<{ r: { at: string } }>("SELECT register_account($1) AS r", [
          {
            workspace_id: uuidOf("workspace", workspaceId),
            user_id: uuidOf("user", userId),
            email: account.email,
            password_hash: account.passwordHash,
            workspace: account.workspace,
          },
        ]);
        const createdAt = instant(only(rows).r.at);
        return {
          user: { id: userId, email: account.email.toLowerCase(), created_at: createdAt },
          workspace: {
            id: workspaceId,
            name: account.workspace,
            plan: "free",
            created_at: createdAt,
          } satisfies Workspace,
        };
      } catch (error) {
        return asProblem(error, {
          MA001: () => new Problem("email_taken", "Sign in instead, or use another address."),
        });
      }
    },

    async find(email: string): Promise<Account | null> {
      const rows = await db.call<{ user_id: string; password_hash: string; workspace_id: string }>(
        "SELECT * FROM find_account($1)",
        [email],
      );
      const row = rows[0];
      return row === undefined
        ? null
        : {
            userId: idOf("user", row.user_id),
            workspaceId: idOf("workspace", row.workspace_id),
            passwordHash: row.password_hash,
          };
    },

    /** Exchanges a refresh token; null when it is none, expired, or was used before (which ends its session). */
    async rotate(refreshToken: string, next: string, ttlSeconds: number): Promise<Session | null> {
      const rows = await db.call<{ workspace_id: string; user_id: string; session_id: string; expires_at: Date }>(
        "SELECT * FROM rotate_refresh_token($1, $2, $3)",
        [tokenHash(refreshToken), tokenHash(next), ttlSeconds],
      );
      const row = rows[0];
      if (row === undefined) return null;
      return {
        workspaceId: idOf("workspace", row.workspace_id),
        userId: idOf("user", row.user_id),
        sessionId: idOf("session", row.session_id),
        refreshExpiresAt: instant(row.expires_at),
      };
    },

    async endSession(workspaceId: string, sessionId: string): Promise<void> {
      await db.call("SELECT revoke_session($1, $2)", [uuidOf("workspace", workspaceId), uuidOf("session", sessionId)]);
    },

    async sessionAlive(workspaceId: string, sessionId: string, userId: string): Promise<boolean> {
      const rows = await db.call<{ alive: boolean }>("SELECT session_alive($1, $2, $3) AS alive", [
        uuidOf("workspace", workspaceId),
        uuidOf("session", sessionId),
        uuidOf("user", userId),
      ]);
      return only(rows).alive;
    },

    async workspace(workspaceId: string): Promise<Workspace> {
      const id = uuidOf("workspace", workspaceId) as string;
      const row = await db.forWorkspace(id).workspace.findUnique({ where: { id } });
      if (row === null) throw new Problem("not_found", "The workspace is gone.");
      return { id: workspaceId, name: row.name, plan: row.planId, created_at: instant(row.createdAt) };
    },

    async user(userId: string) {
      const row = await db.prisma.user.findUnique({ where: { id: uuidOf("user", userId) as string } });
      return row === null ? null : { id: userId, email: row.email, created_at: instant(row.createdAt) };
    },

    async createApiKey(
      workspaceId: string,
      key: {
        keyId: string;
        secretHash: Buffer;
        name: string;
        scopes: readonly Scope[];
        expiresAt: string | null;
        rateLimit: RatePolicy | null;
      },
    ): Promise<ApiKey> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const row = await db.forWorkspace(workspace).apiKey.create({
        data: {
          workspaceId: workspace,
          id: uuidOf("apiKey", newId("apiKey")) as string,
          keyId: key.keyId,
          secretHash: new Uint8Array(key.secretHash),
          name: key.name,
          scopes: [...key.scopes],
          expiresAt: key.expiresAt,
          ratePerMinute: key.rateLimit?.perMinute ?? null,
          rateBurst: key.rateLimit?.burst ?? null,
        },
      });
      return apiKeyObject(row);
    },

    async listApiKeys(workspaceId: string, limit: number, before: string | null): Promise<ApiKey[]> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const rows = await db.forWorkspace(workspace).apiKey.findMany({
        where: { workspaceId: workspace, ...(before === null ? {} : { id: { lt: before } }) },
        orderBy: { id: "desc" },
        take: limit,
      });
      return rows.map(apiKeyObject);
    },

    /** @throws Problem not_found */
    async getApiKey(workspaceId: string, id: string): Promise<ApiKey> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const row = await db
        .forWorkspace(workspace)
        .apiKey.findFirst({ where: { workspaceId: workspace, id: uuidOf("apiKey", id) as string } });
      if (row === null) throw new Problem("not_found", `There is no API key ${id}.`);
      return apiKeyObject(row);
    },

    /** @throws Problem not_found */
    async revokeApiKey(workspaceId: string, id: string, at: Date): Promise<void> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const where = { workspaceId: workspace, id: uuidOf("apiKey", id) as string };
      const client = db.forWorkspace(workspace);
      const { count } = await client.apiKey.updateMany({
        where: { ...where, revokedAt: null },
        data: { revokedAt: at },
      });
      if (count === 0 && (await client.apiKey.count({ where })) === 0)
        throw new Problem("not_found", `There is no API key ${id}.`);
    },

    async findApiKey(keyId: string): Promise<FoundApiKey | null> {
      const rows = await db.call<{
        workspace_id: string;
        id: string;
        secret_hash: Buffer;
        scopes: Scope[];
        usable: boolean;
        rate_per_minute: number | null;
        rate_burst: number | null;
      }>("SELECT * FROM find_api_key($1)", [keyId]);
      const row = rows[0];
      if (row === undefined) return null;
      return {
        workspaceId: idOf("workspace", row.workspace_id),
        id: idOf("apiKey", row.id),
        secretHash: row.secret_hash,
        scopes: row.scopes,
        usable: row.usable,
        rateLimit: ratePolicy(row.rate_per_minute, row.rate_burst),
      };
    },

    /** Notes when keys were used; called in batches, since no call should wait for it. */
    async touchApiKeys(keys: readonly { workspaceId: string; id: string; at: Date }[]): Promise<void> {
      await db.call("SELECT touch_api_keys($1)", [
        JSON.stringify(
          keys.map(({ workspaceId, id, at }) => ({
            w: uuidOf("workspace", workspaceId),
            id: uuidOf("apiKey", id),
            at,
          })),
        ),
      ]);
    },
  };
}
export type Accounts = ReturnType<typeof createAccounts>;

function apiKeyObject(row: {
  id: string;
  keyId: string;
  name: string;
  scopes: string[];
  createdAt: Date;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
  ratePerMinute: number | null;
  rateBurst: number | null;
}): ApiKey {
  const rate = ratePolicy(row.ratePerMinute, row.rateBurst);
  return {
    id: idOf("apiKey", row.id),
    name: row.name,
    prefix: `maru_${row.keyId}`,
    scopes: row.scopes as Scope[],
    created_at: instant(row.createdAt),
    expires_at: instantOrNull(row.expiresAt),
    last_used_at: instantOrNull(row.lastUsedAt),
    revoked_at: instantOrNull(row.revokedAt),
    rate_limit: rate === null ? null : { per_minute: rate.perMinute, burst: rate.burst },
  };
}

/** Both columns are set, or neither is. */
const ratePolicy = (perMinute: number | null, burst: number | null): RatePolicy | null =>
  perMinute === null || burst === null ? null : { perMinute, burst };
