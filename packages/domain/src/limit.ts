import type { QuotaUnit } from "@maru/contract";

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };
const MAX_SPAN_S = 366 * 86_400;

/** A rolling span as a limit's `per` says it, in seconds; null for the plan's period, NaN for what is none or too long. */
export function spanSeconds(per: string): number | null {
  if (per === "period") return null;
  const [, count, unit = ""] = /^([1-9][0-9]{0,6})([smhd])$/.exec(per) ?? [];
  const seconds = Number(count) * (SECONDS[unit] ?? Number.NaN);
  return seconds <= MAX_SPAN_S ? seconds : Number.NaN;
}

/** A limit's span in words: the largest unit that divides it; null for a unit that counts at a time. */
export function perOf(unit: QuotaUnit, spanS: number | null): string | null {
  if (unit === "concurrent_runs" || unit === "run_tokens") return null;
  if (spanS === null) return "period";
  const [name, seconds] = Object.entries(SECONDS).findLast(([, length]) => spanS % length === 0) ?? ["s", 1];
  return `${spanS / seconds}${name}`;
}

/** What is wrong with a limit's unit and span taken together; null when nothing is. */
export function limitProblem(unit: QuotaUnit, per: string | undefined): string | null {
  const counts = unit !== "concurrent_runs" && unit !== "run_tokens";
  if (!counts && per !== undefined) return `${unit} counts at a time: leave per out`;
  if (unit === "requests" && (per === undefined || per === "period"))
    return "requests need a rolling span, such as per: 1m";
  if (per !== undefined && Number.isNaN(spanSeconds(per))) return "a span is as 60s, 1m, 1h or 1d, at most 366d";
  return null;
}
