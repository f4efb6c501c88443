import { describe, expect, test } from "vitest";
import { type CanaryResults, judgeCanary } from "./canary.ts";

const found = (over: Partial<CanaryResults>): CanaryResults => ({
  runs: 0,
  failed: 0,
  latencyMs: 0,
  costMicros: 0,
  sinceMs: 0,
  ...over,
});
const rollback = { error_rate: 0.1, latency_ms: 1_000, cost_micros: 500, min_runs: 10 };
const promote = { runs: 50, after_ms: 60_000 };

describe("a canary", () => {
  test.each<[string, Partial<CanaryResults>, string]>([
    ["too young to judge", { runs: 9, failed: 5, latencyMs: 9_000 }, "wait"],
    ["as many failures as may be", { runs: 10, failed: 1 }, "wait"],
    ["one failure too many", { runs: 10, failed: 2 }, "rollback"],
    ["so many failures that the rate can't be kept", { runs: 6, failed: 6 }, "rollback"],
    ["slow", { runs: 10, latencyMs: 1_001 }, "rollback"],
    ["dear", { runs: 10, costMicros: 501 }, "rollback"],
    ["enough runs, too early", { runs: 50, sinceMs: 59_999 }, "wait"],
    ["old enough, too few runs", { runs: 49, sinceMs: 600_000 }, "wait"],
    ["old enough with enough runs", { runs: 50, sinceMs: 60_000, failed: 5 }, "promote"],
    ["good enough by number, and failing", { runs: 50, sinceMs: 60_000, failed: 6 }, "rollback"],
  ])("that is %s", (_what, results, kind) => {
    expect(judgeCanary({ promote, rollback }, found(results)).kind).toBe(kind);
  });

  test("without a rule stays as it is, and with half a rule does that half", () => {
    expect(judgeCanary({}, found({ runs: 1_000, failed: 1_000 })).kind).toBe("wait");
    expect(judgeCanary({ rollback }, found({ runs: 1_000, sinceMs: 1e9 })).kind).toBe("wait");
    expect(judgeCanary({ promote: { after_ms: 10 } }, found({ sinceMs: 10 })).kind).toBe("promote");
    expect(judgeCanary({ promote: { runs: 3 } }, found({ runs: 3, failed: 3 })).kind).toBe("promote");
  });

  test("says why in words", () => {
    expect(judgeCanary({ promote, rollback }, found({ runs: 20, failed: 6 }))).toEqual({
      kind: "rollback",
      reason: "6 of 20 runs failed: more than 10 %",
    });
  });
});
