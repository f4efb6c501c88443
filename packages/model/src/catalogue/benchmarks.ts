import type { BenchmarkScore } from "@maru/contract";

/** One column of a published table: where its numbers stand, and how the model was run. */
interface Column {
  readonly source: string;
  readonly mode: string | null;
}

const LG = "LG AI Research, K-EXAONE README (github.com/LG-AI-EXAONE/K-EXAONE)";
const COLUMNS = {
  "k-exaone": { source: LG, mode: "thinking" },
  "gpt-oss-120b": { source: LG, mode: "high effort" },
  "qwen3-235b-thinking": { source: LG, mode: "thinking" },
  "ax-k1": { source: "SK Telecom, A.X K1 README (github.com/SKT-AI/A.X-K1)", mode: "thinking" },
  "solar-open-100b": { source: "Collected by third parties (labindex, whatmodel)", mode: null },
} as const satisfies Record<string, Column>;

const ORDER = ["k-exaone", "gpt-oss-120b", "qwen3-235b-thinking", "ax-k1", "solar-open-100b"] as const;

type Row = readonly [benchmark: string, ...scores: readonly (number | null)[]];

/** Null = no published score known. The columns are those of ORDER. */
const TABLE: readonly Row[] = [
  ["tau2-bench Retail", 78.6, 69.1, 71.9, null, null],
  ["tau2-bench Airline", 60.4, 60.5, 58.0, null, null],
  ["tau2-bench Telecom", 73.5, 60.3, 45.6, 58.1, 55.6],
  ["SWE-bench Verified", 49.4, 62.4, 25.0, null, null],
  ["Terminal-Bench 2.0", 29.0, 18.7, 13.3, null, null],
  ["Terminal-Bench Hard", null, null, null, null, 2.3],
  ["BrowseComp", 31.4, null, null, null, null],
  ["MCP-Atlas", null, null, null, null, 34.4],
  ["IFBench", 67.3, 69.5, 52.6, 64.7, null],
  ["IFEval", 89.7, 89.5, 87.8, 80.4, null],
  ["AA-LCR", 53.5, 50.7, 67.0, 36.0, null],
  ["OpenAI-MRCR", 52.3, 29.9, 58.6, null, null],
  ["MMLU-Pro", 83.8, 80.7, 84.4, 81.5, null],
  ["GPQA Diamond", 79.1, 80.1, 81.1, 74.0, null],
  ["Humanity's Last Exam", 13.6, 14.9, 18.2, 8.6, null],
  ["AIME 2025", 92.8, 92.5, 92.3, 89.8, 84.3],
  ["LiveCodeBench v6", 80.7, 81.9, 74.1, 75.8, null],
  ["LiveCodeBench (version not stated)", null, null, null, null, 74.2],
  ["KMMLU-Pro", 67.3, 62.4, 71.6, 68.1, 64.0],
  ["KoBALT", 61.8, 54.3, 56.1, 48.8, null],
  ["CLIcK", 83.9, 74.6, 81.3, 84.9, 78.9],
  ["HRM8K", 90.9, 91.6, 92.0, 84.3, null],
  ["Ko-LongBench", 86.8, 82.2, 83.2, null, null],
  ["Wild-Jailbreak", 89.9, 98.2, 85.5, null, null],
  ["KGC-Safety", 96.1, 92.5, 66.2, null, null],
];

/** The published scores of a model in that table. */
export function scoresOf(model: (typeof ORDER)[number]): BenchmarkScore[] {
  const at = ORDER.indexOf(model) + 1;
  const { source, mode } = COLUMNS[model];
  return TABLE.flatMap((row) => {
    const score = row[at];
    return typeof score === "number" ? [{ benchmark: row[0], score, mode, source }] : [];
  });
}

export const score = (
  benchmark: string,
  value: number,
  source: string,
  mode: string | null = null,
): BenchmarkScore => ({ benchmark, score: value, mode, source });
