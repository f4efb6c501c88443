import { type CatalogueModel, idOf, type Model, type NewModelEndpoint, newId, Problem, uuidOf } from "@maru/contract";
import { type Database, instant } from "./database.ts";

/** Why a model can't be had at its host any more, and since when. */
export interface Withdrawal {
  readonly reason: string;
  readonly since: string;
}

export interface CatalogueRow {
  readonly model: CatalogueModel;
  readonly withdrawn: Withdrawal | null;
}

type Dialect = NonNullable<Model["endpoint"]>["dialect"];

/** What of an endpoint is kept as JSON: everything about the model itself. */
export type StoredEndpointSettings = Pick<
  NewModelEndpoint,
  "upstream_model" | "context_tokens" | "max_output_tokens" | "thinking" | "tools"
>;

/** An OpenAI-compatible endpoint of a workspace. */
export interface Endpoint {
  readonly id: string;
  readonly name: string;
  readonly settings: StoredEndpointSettings;
  readonly baseUrl: string;
  readonly dialect: Dialect;
  readonly stream: boolean;
  readonly callsPerMinute: number | null;
  readonly inFlight: number | null;
  /** Sealed before it comes here; null for an endpoint without a key. */
  readonly sealedKey: Uint8Array | null;
  readonly keyHint: string | null;
  readonly withdrawn: Withdrawal | null;
  /** Grows with every change: what was built from an older one is out of date. */
  readonly generation: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}
export type EndpointFields = Omit<Endpoint, "id" | "withdrawn" | "generation" | "createdAt" | "updatedAt">;

/** More than anybody has; a list of them is one answer. */
const MAX_ENDPOINTS = 100;

/** The model catalogue, and the endpoints workspaces add to it. */
export function createModels(db: Database) {
  const scope = (workspaceId: string) => {
    const workspace = uuidOf("workspace", workspaceId) as string;
    return { workspace, client: db.forWorkspace(workspace).modelEndpoint };
  };
  const missing = (name: string) => new Problem("not_found", `This workspace has no endpoint named ${name}.`);

  return {
    /** The catalogue in its order, the operator's changes applied. */
    async catalogue(): Promise<CatalogueRow[]> {
      const rows = await db.prisma.modelEntry.findMany({ orderBy: { position: "asc" } });
      return rows.map((row) => ({
        model: withOverride(row.seed, row.override) as CatalogueModel,
        withdrawn: withdrawal(row),
      }));
    },

    /** A host said that the model is not there, or is there again (null). True when that is news. */
    async withdraw(modelId: string, reason: string | null): Promise<boolean> {
      const { count } = await db.prisma.modelEntry.updateMany({
        where: { id: modelId, withdrawnAt: reason === null ? { not: null } : null },
        data: { withdrawnAt: reason === null ? null : new Date(), withdrawnReason: reason },
      });
      return count > 0;
    },

    async endpoints(workspaceId: string): Promise<Endpoint[]> {
      const { workspace, client } = scope(workspaceId);
      const rows = await client.findMany({
        where: { workspaceId: workspace },
        orderBy: { id: "asc" },
        take: MAX_ENDPOINTS,
      });
      return rows.map(endpointOf);
    },

    async endpoint(workspaceId: string, name: string): Promise<Endpoint | null> {
      const { workspace, client } = scope(workspaceId);
      const row = await client.findFirst({ where: { workspaceId: workspace, name } });
      return row === null ? null : endpointOf(row);
    },

    /**
     * `seal` gets the new endpoint's id, to which the key is bound; null = it has no key.
     * @throws Problem name_taken, limit_out_of_range
     */
    async addEndpoint(
      workspaceId: string,
      fields: Omit<EndpointFields, "sealedKey">,
      seal: ((id: string) => Uint8Array) | null,
    ): Promise<Endpoint> {
      const { workspace, client } = scope(workspaceId);
      if ((await client.count({ where: { workspaceId: workspace } })) >= MAX_ENDPOINTS)
        throw new Problem("limit_out_of_range", `A workspace may have ${MAX_ENDPOINTS} endpoints: remove one first.`);
      try {
        const name = newId("modelEndpoint");
        const sealedKey = seal === null ? null : seal(name);
        const id = uuidOf("modelEndpoint", name) as string;
        const row = await client.create({ data: { workspaceId: workspace, id, ...columns({ ...fields, sealedKey }) } });
        return endpointOf(row);
      } catch (error) {
        if (isUniqueViolation(error))
          throw new Problem("name_taken", `This workspace has an endpoint named ${fields.name} already.`);
        throw error;
      }
    },

    /**
     * Rewrites an endpoint as it was when `before` was read; what its host said of it is forgotten.
     * @throws Problem precondition_failed (it was changed since), not_found
     */
    async changeEndpoint(workspaceId: string, before: Endpoint, fields: EndpointFields): Promise<Endpoint> {
      const { workspace, client } = scope(workspaceId);
      const id = uuidOf("modelEndpoint", before.id) as string;
      const { count } = await client.updateMany({
        where: { workspaceId: workspace, id, generation: before.generation },
        data: {
          ...columns(fields),
          generation: before.generation + 1,
          updatedAt: new Date(),
          withdrawnAt: null,
          withdrawnReason: null,
        },
      });
      const row = await client.findFirst({ where: { workspaceId: workspace, id } });
      if (row === null) throw missing(before.name);
      if (count === 0)
        throw new Problem("precondition_failed", "The endpoint was changed meanwhile: read it again and repeat.");
      return endpointOf(row);
    },

    /** @throws Problem precondition_failed (it was changed since it was read) */
    async removeEndpoint(workspaceId: string, before: Endpoint): Promise<void> {
      const { workspace, client } = scope(workspaceId);
      const id = uuidOf("modelEndpoint", before.id) as string;
      const { count } = await client.deleteMany({
        where: { workspaceId: workspace, id, generation: before.generation },
      });
      if (count === 0)
        throw new Problem("precondition_failed", "The endpoint was changed meanwhile: read it again and repeat.");
    },

    /** As `withdraw`, for a workspace's endpoint. */
    async withdrawEndpoint(workspaceId: string, name: string, reason: string | null): Promise<boolean> {
      const { workspace, client } = scope(workspaceId);
      const { count } = await client.updateMany({
        where: { workspaceId: workspace, name, withdrawnAt: reason === null ? { not: null } : null },
        data: { withdrawnAt: reason === null ? null : new Date(), withdrawnReason: reason },
      });
      return count > 0;
    },
  };
}
export type Models = ReturnType<typeof createModels>;

function columns(fields: EndpointFields) {
  const { settings, sealedKey, ...rest } = fields;
  return {
    ...rest,
    settings: JSON.parse(JSON.stringify(settings)) as object,
    sealedKey: sealedKey === null ? null : new Uint8Array(sealedKey),
  };
}

const withdrawal = (row: { withdrawnAt: Date | null; withdrawnReason: string | null }): Withdrawal | null =>
  row.withdrawnAt === null ? null : { reason: row.withdrawnReason ?? "", since: instant(row.withdrawnAt) };

function endpointOf(row: {
  id: string;
  name: string;
  settings: unknown;
  baseUrl: string;
  dialect: string;
  stream: boolean;
  callsPerMinute: number | null;
  inFlight: number | null;
  sealedKey: Uint8Array | null;
  keyHint: string | null;
  withdrawnAt: Date | null;
  withdrawnReason: string | null;
  generation: number;
  createdAt: Date;
  updatedAt: Date;
}): Endpoint {
  return {
    id: idOf("modelEndpoint", row.id),
    name: row.name,
    settings: row.settings as StoredEndpointSettings,
    baseUrl: row.baseUrl,
    dialect: row.dialect as Dialect,
    stream: row.stream,
    callsPerMinute: row.callsPerMinute,
    inFlight: row.inFlight,
    sealedKey: row.sealedKey,
    keyHint: row.keyHint,
    withdrawn: withdrawal(row),
    generation: row.generation,
    createdAt: instant(row.createdAt),
    updatedAt: instant(row.updatedAt),
  };
}

/** Prisma's code for a violated unique index. */
const isUniqueViolation = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "P2002";

/**
 * An operator's changes over what this version knows, field by field. A field that the entry does not have, or that has
 * another type, is passed over: an override must never break a model that worked.
 */
export function withOverride(seed: unknown, override: unknown): unknown {
  if (!isRecord(seed) || !isRecord(override)) return sameKind(seed, override) ? override : seed;
  return Object.fromEntries(
    Object.entries(seed).map(([key, value]) => [
      key,
      Object.hasOwn(override, key) ? withOverride(value, override[key]) : value,
    ]),
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Nothing is known of the type of what is null now; null itself replaces nothing that works. */
const sameKind = (a: unknown, b: unknown): boolean =>
  a === null || (b !== null && typeof a === typeof b && Array.isArray(a) === Array.isArray(b));
