import { createAccounts } from "./accounts.ts";
import { createArtifacts } from "./artifacts.ts";
import { createChildren } from "./children.ts";
import { type DatabaseOptions, openDatabase } from "./database.ts";
import { createDeployments } from "./deployments.ts";
import { createIdempotency } from "./idempotency.ts";
import { createJournal } from "./journal.ts";
import { createLimits } from "./limits.ts";
import { createMemory } from "./memory.ts";
import { createModels } from "./models.ts";
import { createPolicies } from "./policy.ts";
import { createQuotas } from "./quota.ts";
import { createRuns } from "./runs.ts";
import { createSchedules } from "./schedules.ts";
import { createSecrets } from "./secrets.ts";
import { createThreads } from "./threads.ts";
import { createTriggers } from "./triggers.ts";
import { createUpstreamSlots } from "./upstream.ts";
import { createUsage } from "./usage.ts";
import { createWebhookOutbox } from "./webhook-outbox.ts";
import { createWebhooks } from "./webhooks.ts";

export type { Accounts, FoundApiKey, Session } from "./accounts.ts";
export type { Artifacts, Kept, NewArtifact } from "./artifacts.ts";
export type { Children, EndedChild } from "./children.ts";
export type { CanaryState, Deployed, Deployments, ReleaseRequest, StoredDeployment, ToolDrift } from "./deployments.ts";
export type { Claim, Journal, JournalWrite, NextRun, StepDone, StepIntent, WriteResult } from "./journal.ts";
export type { LimitFields } from "./limits.ts";
export { type Memory, type MemoryWriter, MemoryWriterLost } from "./memory.ts";
export {
  type CatalogueRow,
  type Endpoint,
  type EndpointFields,
  type Models,
  type Withdrawal,
  withOverride,
} from "./models.ts";
export { createPolicyReader, type Policies, type PolicyReader } from "./policy.ts";
export { openRates } from "./rates.ts";
export type { Answers, NewFork, NewRun, RunFilter, RunNotice, Runs, StoredEvent } from "./runs.ts";
export type {
  DueSchedule,
  Fired,
  Firing,
  ScheduleFields,
  ScheduleMove,
  Schedules,
  StoredSchedule,
  WaitingFire,
} from "./schedules.ts";
export { createSecretReader } from "./secret-reader.ts";
export {
  type SealedSecret,
  type SecretPlace,
  type Secrets,
  type SecretUse,
  secretTag,
  type UsableSecret,
} from "./secrets.ts";
export {
  type ApprovalAsked,
  type ChildCall,
  type Decision,
  type ModelOutput,
  type StoredStep,
  stepObject,
  type ToolOutput,
  type Tried,
} from "./steps.ts";
export type { FoundTrigger, StoredTrigger, TriggerFields, Triggers } from "./triggers.ts";
export type { UsageDimension } from "./usage.ts";
export type { DueWebhook, WebhookOutbox, WebhookResult } from "./webhook-outbox.ts";
export type { StoredWebhook, WebhookFields, Webhooks } from "./webhooks.ts";

/**
 * Opens the store: one module an aggregate over one pool.
 * @throws Error when the role could bypass row security, or the database does not answer
 */
export async function openStore(options: DatabaseOptions) {
  const db = await openDatabase(options);
  const quotas = createQuotas(db);
  return {
    accounts: createAccounts(db),
    artifacts: createArtifacts(db),
    children: createChildren(db, quotas),
    deployments: createDeployments(db),
    idempotency: createIdempotency(db),
    journal: createJournal(db),
    limits: createLimits(db),
    memory: createMemory(db),
    models: createModels(db),
    policies: createPolicies(db),
    quotas,
    runs: createRuns(db, quotas),
    schedules: createSchedules(db, quotas),
    secrets: createSecrets(db),
    threads: createThreads(db),
    triggers: createTriggers(db, quotas),
    /** On the Postgres queue backend, calls of upstream keys are paced here. */
    upstream: createUpstreamSlots(db),
    usage: createUsage(db),
    webhooks: createWebhooks(db),
    webhookOutbox: createWebhookOutbox(db),
    ping: () => db.ping(),
    /** Statements sent on the hot path so far. */
    roundTrips: () => db.roundTrips(),
    close: () => db.close(),
  };
}
export type Store = Awaited<ReturnType<typeof openStore>>;
