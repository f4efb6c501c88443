import { type PolicyRules, Problem, uuidOf, type WorkspacePolicy } from "@maru/contract";
import { OPEN_POLICY } from "@maru/domain";
import { type Database, instant, only } from "./database.ts";

/** A policy and its version, 0 where nobody has set one. */
export interface StoredPolicy {
  readonly policy: WorkspacePolicy;
  readonly version: number;
}

/** What workspaces let their agents reach and use. */
export function createPolicies(db: Database) {
  return {
    /** Asked for no single run, but for all a process works on in a workspace: not counted among a run's round trips. */
    async read(workspaceId: string): Promise<StoredPolicy> {
      const rows = await db.aside<{ r: PolicyRow | null }>("SELECT read_policy($1) AS r", [
        uuidOf("workspace", workspaceId),
      ]);
      const { r } = only(rows);
      return r === null ? { policy: { ...OPEN_POLICY, updated_at: null }, version: 0 } : stored(r);
    },

    /** Replaces the policy. `ifVersion`: as the caller last saw it; null = whatever it is. @throws Problem precondition_failed */
    async put(workspaceId: string, rules: PolicyRules, ifVersion: number | null): Promise<StoredPolicy> {
      const rows = await db.call<{ r: PolicyRow | null }>("SELECT put_policy($1, $2, $3) AS r", [
        uuidOf("workspace", workspaceId),
        JSON.stringify(rules),
        ifVersion,
      ]);
      const { r } = only(rows);
      if (r === null)
        throw new Problem("precondition_failed", "The policy was changed: read it again and repeat with its new ETag.");
      return stored(r);
    },
  };
}
export type Policies = ReturnType<typeof createPolicies>;

interface PolicyRow {
  readonly version: number;
  readonly rules: PolicyRules;
  readonly updated_at: string;
}
const stored = ({ rules, version, updated_at }: PolicyRow): StoredPolicy => ({
  policy: { ...rules, updated_at: instant(updated_at) },
  version,
});

/** How long a policy is believed without looking again: what a change takes to reach runs that are under way. */
const FRESH_MS = 2_000;
const MOST_KEPT = 10_000;

export interface PolicyReader {
  /** The workspace's policy, at most two seconds old. Rejects when it can't be read: then nothing may be sent. */
  of(workspaceId: string): Promise<PolicyRules>;
}

/**
 * Policies for who works on many runs: one read every two seconds for each workspace that calls out, whatever the number of its
 * runs and calls. Not read with the claim of a run: it would hold for as long as the run lasts, a day perhaps.
 */
export function createPolicyReader(deps: { policies: Pick<Policies, "read">; now: () => number }): PolicyReader {
  const kept = new Map<string, { rules: Promise<PolicyRules>; at: number }>();
  const forgetOld = () => {
    for (const [workspaceId, { at }] of kept) if (deps.now() - at >= FRESH_MS) kept.delete(workspaceId);
  };
  return {
    of(workspaceId) {
      const found = kept.get(workspaceId);
      if (found !== undefined && deps.now() - found.at < FRESH_MS) return found.rules;
      if (kept.size >= MOST_KEPT) forgetOld();
      const rules = deps.policies.read(workspaceId).then(({ policy }) => policy);
      const entry = { rules, at: deps.now() };
      kept.set(workspaceId, entry);
      // A failure is nobody's policy: the next call asks again.
      rules.catch(() => {
        if (kept.get(workspaceId) === entry) kept.delete(workspaceId);
      });
      return rules;
    },
  };
}
