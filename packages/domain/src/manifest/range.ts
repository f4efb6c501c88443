import type { ProblemCode } from "@maru/contract";

export type Report = (pointer: string, code: ProblemCode, detail: string, suggestion?: string) => void;

export type Range = (
  pointer: string,
  found: number,
  limit: { readonly min: number; readonly max: number },
  show?: (value: number) => string,
) => number;

/** Answers the value it judges, and reports one that is out of its range. */
export const rangeOf =
  (report: Report): Range =>
  (pointer, found, { min, max }, show = String) => {
    if (!(found >= min && found <= max))
      report(pointer, "limit_out_of_range", `Must be from ${show(min)} to ${show(max)}.`);
    return found;
  };

/** A length of time as a manifest writes it. */
export const milliseconds = (ms: number): string =>
  ms % 86_400_000 === 0
    ? `${ms / 86_400_000}d`
    : ms % 3_600_000 === 0
      ? `${ms / 3_600_000}h`
      : ms % 1_000 === 0
        ? `${ms / 1_000}s`
        : `${ms}ms`;
