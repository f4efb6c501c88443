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
