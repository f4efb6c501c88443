import type { Rollout } from "@maru/contract";

/** How a canary's runs have ended since it began, cancelled ones aside. */
export interface CanaryResults {
  readonly runs: number;
  /** Of those, the ones that failed or expired. */
  readonly failed: number;
  /** The 95th percentile, without the time runs waited for somebody. */
  readonly latencyMs: number;
  /** A run on average, in millionths of a US dollar. */
  readonly costMicros: number;
  readonly sinceMs: number;
}
export type CanaryVerdict =
  | { readonly kind: "wait" }
  /** In words for whoever reads the history. */
  | { readonly kind: "promote" | "rollback"; readonly reason: string };

/**
 * What becomes of a canary. Rolling back comes first: on anything exceeded after enough runs, or as soon as so many failed that
 * the rate can't be kept any more up to its promotion.
 */
export function judgeCanary(
  { promote, rollback }: Pick<Rollout, "promote" | "rollback">,
  found: CanaryResults,
): CanaryVerdict {
  const enough = found.runs >= (rollback?.min_runs ?? 0);
  if (rollback !== undefined) {
    const { error_rate: rate, latency_ms: latency, cost_micros: cost } = rollback;
    const failed = `${found.failed} of ${found.runs} runs failed`;
    if (rate !== undefined && found.failed > rate * found.runs) {
      if (enough) return { kind: "rollback", reason: `${failed}: more than ${percent(rate)}` };
      if (promote?.runs !== undefined && found.failed > rate * Math.max(promote.runs, rollback.min_runs))
        return { kind: "rollback", reason: `${failed}: ${percent(rate)} of ${promote.runs} can't be kept any more` };
    }
    if (enough && latency !== undefined && found.latencyMs > latency)
      return { kind: "rollback", reason: `95 % of runs took up to ${found.latencyMs} ms: more than ${latency} ms` };
    if (enough && cost !== undefined && found.costMicros > cost)
      return { kind: "rollback", reason: `a run cost ${usd(found.costMicros)} on average: more than ${usd(cost)}` };
  }
  if (promote === undefined || !enough) return { kind: "wait" };
  const { runs = 0, after_ms: after = 0 } = promote;
  if (found.runs < runs || found.sinceMs < after) return { kind: "wait" };
  return {
    kind: "promote",
    reason: `${found.runs} runs in ${Math.round(found.sinceMs / 1_000)} s, ${found.failed} failed`,
  };
}

const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;
const usd = (micros: number): string => `$${(micros / 1e6).toFixed(6)}`;
