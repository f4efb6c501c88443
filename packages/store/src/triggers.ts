import {
  idOf,
  newId,
  type OnThreadBusy,
  Problem,
  TRIGGER_LIMITS,
  type Trigger,
  type TriggerAuth,
  type TriggerDelivery,
  uuidOf,
} from "@maru/contract";
import { asProblem, type Database, instant, instantOrNull, only } from "./database.ts";
import { Prisma } from "./generated/client.ts";
import type { Quotas } from "./quota.ts";
import { windowOpener } from "./quota-window.ts";
import { type CreatedRow, type NewRun, newRunRow, runRefusals } from "./runs.ts";

export type TriggerFields = Pick<
  Trigger,
  "name" | "deployment" | "input" | "metadata" | "filter" | "thread" | "enabled"
> & { readonly onThreadBusy: OnThreadBusy | null };

/** A trigger with the version its ETag names. */
export interface StoredTrigger {
  readonly trigger: Trigger;
  readonly generation: number;
}
/** What opens a trigger, for whoever sends to it: secrets in force, the newest first, sealed for it. */
export interface FoundTrigger {
  readonly workspaceId: string;
  readonly auth: TriggerAuth;
  readonly sealedSecrets: readonly Uint8Array[];
}

/** Triggers: what workspaces say of them, and what came of what was sent to them. Secrets are sealed before they come here. */
export function createTriggers(db: Database, quotas: Quotas) {
  const withWindow = windowOpener(quotas);
  const scope = (workspaceId: string, id: string) => {
    const workspace = uuidOf("workspace", workspaceId) as string;
    return { workspace, trigger: uuidOf("trigger", id) as string, client: db.forWorkspace(workspace) };
  };
  const missing = (id: string) => new Problem("not_found", `There is no trigger ${id}.`);
  const changed = () => new Problem("precondition_failed", "The trigger was changed: read it again and repeat.");
  const taken = (name: string) =>
    new Problem("name_taken", `The workspace has a trigger named ${name} already.`, {
      errors: [{ pointer: "/name", code: "name_taken", detail: "must be of no other trigger" }],
    });

  /** @throws Problem not_found */
  const get = async (workspaceId: string, id: string): Promise<StoredTrigger> => {
    const { workspace, trigger, client } = scope(workspaceId, id);
    const row = await client.trigger.findFirst({ where: { workspaceId: workspace, id: trigger } });
    if (row === null) throw missing(id);
    return stored(row);
  };

  return {
    get,

    /**
     * `seal` gets the new trigger's id, to which its secret is bound.
     * @throws Problem limit_out_of_range, name_taken
     */
    async add(
      workspaceId: string,
      fields: TriggerFields,
      auth: TriggerAuth,
      apiKeyId: string | null,
      seal: (id: string) => Uint8Array,
    ): Promise<StoredTrigger> {
      const id = newId("trigger");
      const { workspace, trigger } = scope(workspaceId, id);
      const { onThreadBusy, ...rest } = fields;
      try {
        await db.call("SELECT add_trigger($1)", [
          {
            ...rest,
            workspace_id: workspace,
            id: trigger,
            auth,
            on_thread_busy: onThreadBusy,
            api_key_id: apiKeyId === null ? null : uuidOf("apiKey", apiKeyId),
            sealed: Buffer.from(seal(id)).toString("hex"),
            max: TRIGGER_LIMITS.perWorkspace,
          },
        ]);
      } catch (error) {
        asProblem(error, {
          MT001: () =>
            new Problem(
              "limit_out_of_range",
              `A workspace may have ${TRIGGER_LIMITS.perWorkspace} triggers: delete one first.`,
            ),
          MT002: () => taken(fields.name),
        });
      }
      return get(workspaceId, id);
    },

    async list(workspaceId: string, limit: number, before: string | null): Promise<Trigger[]> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const rows = await db.forWorkspace(workspace).trigger.findMany({
        where: { workspaceId: workspace, ...(before === null ? {} : { id: { lt: before } }) },
        orderBy: { id: "desc" },
        take: limit,
      });
      return rows.map((row) => stored(row).trigger);
    },

    /** @throws Problem name_taken, precondition_failed (it was changed or deleted since `before` was read) */
    async change(workspaceId: string, before: StoredTrigger, fields: Partial<TriggerFields>): Promise<StoredTrigger> {
      const { workspace, trigger, client } = scope(workspaceId, before.trigger.id);
      const { filter, metadata, ...rest } = fields;
      try {
        const { count } = await client.trigger.updateMany({
          where: { workspaceId: workspace, id: trigger, generation: before.generation },
          data: {
            ...rest,
            ...(metadata === undefined ? {} : { metadata }),
            ...(filter === undefined
              ? {}
              : { filter: filter === null ? Prisma.DbNull : (filter as Prisma.InputJsonObject) }),
            generation: before.generation + 1,
            updatedAt: new Date(),
          },
        });
        if (count === 0) throw changed();
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "P2002")
          throw taken(fields.name ?? before.trigger.name);
        throw error;
      }
      return get(workspaceId, before.trigger.id);
    },

    /** @throws Problem precondition_failed (it was changed or deleted since it was read) */
    async remove(workspaceId: string, before: StoredTrigger): Promise<void> {
      const { workspace, trigger, client } = scope(workspaceId, before.trigger.id);
      const { count } = await client.trigger.deleteMany({
        where: { workspaceId: workspace, id: trigger, generation: before.generation },
      });
      if (count === 0) throw changed();
    },

    /** Puts a new secret in place; the one before it is good for 24 hours more. @throws Problem not_found */
    async rotate(workspaceId: string, id: string, sealed: Uint8Array): Promise<StoredTrigger> {
      const { workspace, trigger } = scope(workspaceId, id);
      const rows = await db.call<{ rotated: boolean }>("SELECT rotate_trigger_secret($1, $2, $3) AS rotated", [
        workspace,
        trigger,
        Buffer.from(sealed),
      ]);
      if (!only(rows).rotated) throw missing(id);
      return get(workspaceId, id);
    },

    /** Newest first. @throws Problem not_found */
    async deliveries(
      workspaceId: string,
      id: string,
      limit: number,
      before: string | null,
    ): Promise<TriggerDelivery[]> {
      await get(workspaceId, id);
      const { workspace, trigger, client } = scope(workspaceId, id);
      const rows = await client.triggerDelivery.findMany({
        where: { workspaceId: workspace, triggerId: trigger, ...(before === null ? {} : { id: { lt: before } }) },
        orderBy: { id: "desc" },
        take: limit,
      });
      return rows.map((row) => ({
        id: idOf("triggerDelivery", row.id),
        outcome: row.outcome as TriggerDelivery["outcome"],
        delivery_key: row.deliveryKey,
        run_id: row.runId === null ? null : idOf("run", row.runId),
        code: row.code,
        detail: row.detail,
        at: instant(row.at),
      }));
    },

    /** Of all workspaces: what opens a trigger. Null: there is none. */
    async open(id: string): Promise<FoundTrigger | null> {
      const rows = await db.call<{
        workspace_id: string;
        auth: TriggerAuth;
        sealed_secret: Buffer;
        sealed_previous: Buffer | null;
      }>("SELECT * FROM find_trigger($1)", [uuidOf("trigger", id)]);
      const [row] = rows;
      return row === undefined
        ? null
        : {
            workspaceId: idOf("workspace", row.workspace_id),
            auth: row.auth,
            sealedSecrets:
              row.sealed_previous === null ? [row.sealed_secret] : [row.sealed_secret, row.sealed_previous],
          };
    },

    /** Notes that a sender was turned away. */
    async reject(workspaceId: string, id: string): Promise<void> {
      const { workspace, trigger } = scope(workspaceId, id);
      await db.aside("SELECT reject_delivery($1, $2)", [workspace, trigger]);
    },

    /** Writes down a delivery that led to no run. `refused`: why. */
    async log(
      workspaceId: string,
      id: string,
      key: string | null,
      refused: { readonly code: string; readonly detail: string | null } | null,
    ): Promise<void> {
      const { workspace, trigger } = scope(workspaceId, id);
      await db.call("SELECT log_delivery($1, $2, $3, $4, NULL, $5, $6)", [
        workspace,
        trigger,
        key,
        refused === null ? "ignored" : "refused",
        refused?.code ?? null,
        refused?.detail ?? null,
      ]);
    },

    /** The run of a delivery, and its line in the log; the run it made before, when it came before. @throws Problem as `runs.create` would */
    async fire(
      workspaceId: string,
      id: string,
      key: string | null,
      run: NewRun,
    ): Promise<{ runId: string; replayed: boolean; held: boolean; interrupted: readonly string[] }> {
      const row = {
        ...newRunRow(workspaceId, run),
        source_kind: "trigger",
        source_id: uuidOf("trigger", id),
        delivery_key: key,
      };
      const r = await withWindow(
        workspaceId,
        async () => only(await db.call<{ r: CreatedRow }>("SELECT fire_trigger($1) AS r", [row])).r,
        (error) => ({
          ...runRefusals(run)(error),
          // The reason is the workspace's, and not its senders'.
          MR006: () => new Problem("deployment_paused", "It takes no runs at the moment: try again later."),
          MR004: () => new Problem("idempotency_mismatch", "A delivery of that id had another body."),
        }),
      );
      return {
        runId: idOf("run", r.run.id),
        replayed: r.replayed,
        held: (r.behind ?? false) || (r.parked ?? false),
        interrupted: (r.interrupted ?? []).map((other) => idOf("run", other)),
      };
    },
  };
}
export type Triggers = ReturnType<typeof createTriggers>;

const stored = (row: {
  id: string;
  name: string;
  deployment: string;
  auth: string;
  input: string;
  metadata: unknown;
  filter: unknown;
  thread: string | null;
  onThreadBusy: string | null;
  apiKeyId: string | null;
  enabled: boolean;
  previousUntil: Date | null;
  lastRejectedAt: Date | null;
  generation: number;
  createdAt: Date;
  updatedAt: Date;
}): StoredTrigger => {
  const id = idOf("trigger", row.id);
  return {
    trigger: {
      id,
      path: `/v1/hooks/${id}`,
      name: row.name,
      deployment: row.deployment,
      auth: row.auth as TriggerAuth,
      input: row.input,
      metadata: row.metadata as Record<string, string>,
      filter: row.filter as Trigger["filter"],
      thread: row.thread,
      on_thread_busy: row.onThreadBusy as OnThreadBusy | null,
      enabled: row.enabled,
      api_key_id: row.apiKeyId === null ? null : idOf("apiKey", row.apiKeyId),
      previous_secret_until: instantOrNull(row.previousUntil),
      last_rejected_at: instantOrNull(row.lastRejectedAt),
      created_at: instant(row.createdAt),
      updated_at: instant(row.updatedAt),
    },
    generation: row.generation,
  };
};
