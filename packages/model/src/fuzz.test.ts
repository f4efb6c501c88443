import { expect, test } from "vitest";
import { fuzz } from "../test/fuzz.ts";

const CASES = 100_000;
/** Any; fixed, so that a run that fails fails again. */
const SEED = 20_261_124;

test("S1: a hundred thousand mutated streams end in an answer or in an error of ours, none of them larger than its body", async () => {
  const report = await fuzz(CASES, SEED);
  expect(report.faults).toEqual([]);
  expect(report.answers).toBeGreaterThan(CASES / 5);
  expect(report.refused).toBeGreaterThan(CASES / 5);
}, 300_000);
