import { type AgentManifest, durationMs, durationText, LIMITS, type Rollout } from "@maru/contract";
import { type Report, rangeOf } from "./range.ts";

/** Of a canary, before it is judged. */
export const MIN_RUNS = 10;

/** The part of the traffic a manifest gives its revision, and the rule it is judged by. Null = all of it, at once. */
export function rolloutOf(deploy: AgentManifest["deploy"], report: Report): Rollout | null {
  const { traffic, canary } = deploy ?? {};
  if (traffic === undefined) {
    if (canary !== undefined)
      report(
        "/deploy/canary",
        "traffic_invalid",
        "A canary has a part of the traffic: write deploy.traffic.canary, in percent.",
      );
    return null;
  }
  const { promote, rollback } = canary ?? {};
  const range = rangeOf(report);
  const span = (field: string, written: string) =>
    range(`/deploy/canary/${field}`, durationMs(written), LIMITS.canaryMs, durationText);
  return {
    percent: traffic.canary,
    ...(promote === undefined
      ? {}
      : {
          promote: {
            ...(promote.runs === undefined ? {} : { runs: promote.runs }),
            ...(promote.after === undefined ? {} : { after_ms: span("promote/after", promote.after) }),
          },
        }),
    ...(rollback === undefined
      ? {}
      : {
          rollback: {
            ...(rollback.errorRate === undefined ? {} : { error_rate: rollback.errorRate }),
            ...(rollback.latency === undefined ? {} : { latency_ms: span("rollback/latency", rollback.latency) }),
            ...(rollback.costUsd === undefined ? {} : { cost_micros: Math.round(rollback.costUsd * 1e6) }),
            min_runs: rollback.minRuns ?? MIN_RUNS,
          },
        }),
  };
}
