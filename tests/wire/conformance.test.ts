import { createSimulator, FAULTS, type FaultName, type Simulator } from "@maru/simulator";
import { afterAll, beforeAll, expect, test } from "vitest";
import { broken, CELLS, type Cell, HOSTS, type HostName, type Played, play, TIMES_FASTER } from "./harness.ts";

/** Runs at once: they wait on silences of the host, not on the CPU. */
const AT_ONCE = 24;
const names = Object.keys(FAULTS) as FaultName[];

interface Result {
  readonly fault: FaultName | null;
  readonly times: number | null;
  readonly cell: Cell;
  readonly played: Played;
}

let simulator: Simulator;
const results: Result[] = [];
beforeAll(async () => {
  simulator = createSimulator({ timing: { scale: 1 / TIMES_FASTER } });
  const { url } = await simulator.listen({ port: 0 });
  const todo = [null, ...names].flatMap((fault) =>
    (fault === null ? [null] : [null, 1]).flatMap((times) => CELLS.map((cell) => ({ fault, times, cell }))),
  );
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
        const { fault, times } = next;
        const line = fault === null ? "" : `\n#sim fault ${fault}${times === null ? "" : ` times=${times}`}`;
        // Tries are counted for each request: every run's are its own.
        const own = `You tell the weather. (${JSON.stringify(next)})`;
        results.push({ ...next, played: await play(url, next.cell, own + line) });
      }
    }),
  );
}, 240_000);
afterAll(() => simulator?.close());

const of = (fault: FaultName | null, times: number | null) =>
  results.filter((result) => result.fault === fault && result.times === times);
const where = ({ fault, cell }: Result) =>
  `${fault ?? "no fault"}, ${cell.host}, ${cell.stream ? "stream" : "whole"}, thinking ${cell.thinking ? "on" : "off"}`;

const REPEATED = "incomplete repeated_call";
const CUT = "incomplete output_truncated";
const EMPTY = "failed empty_answer";
const PROTOCOL = "failed protocol_error";
const BROKEN = "failed stream_interrupted";
const DOWN = "failed upstream_unavailable";
const BUSY = "failed upstream_rate_limited";
const SILENT = "failed model_timeout";
const REFUSED = "failed model_unauthorized";
const WELL = "completed";

/**
 * How runs may end whose host does this on every call; what is not here must end well. Where a host's own parser swallows the
 * fault in one way of asking and not in another, ends differ: the document has each.
 */
const LASTING: Partial<Record<FaultName, readonly string[]>> = {
  // Nothing is left to read: all of it was declared thinking, or a streaming parser dropped what it could not parse.
  "think-unclosed": [WELL, EMPTY],
  "call-as-text-attributes": [WELL, EMPTY],
  "call-as-text-name-key": [WELL, EMPTY],
  "call-as-text-xml": [WELL, EMPTY],
  "call-in-think": [WELL, EMPTY],
  "empty-answer": [EMPTY],
  // The model is told what is wrong, and does it again.
  "arguments-malformed": [REPEATED, EMPTY, PROTOCOL],
  "arguments-truncated": [REPEATED, EMPTY, PROTOCOL],
  "arguments-null": [REPEATED],
  "arguments-empty": [REPEATED],
  "unknown-tool": [REPEATED, PROTOCOL, WELL],
  "closing-tag-in-argument": [REPEATED],
  "endless-call": [REPEATED],
  "length-mid-text": [CUT],
  "length-mid-call": [CUT],
  "finish-missing": [BROKEN],
  "finish-null-string": [BROKEN],
  "finish-abort": ["failed model_failed"],
  "finish-content-filter": ["failed content_filtered"],
  "tool-calls-without-calls": [PROTOCOL],
  "error-429-in-stream": [BUSY, WELL],
  "error-500-in-stream": [DOWN, WELL],
  "truncated-json": [BROKEN, WELL],
  "reset-mid-call": [BROKEN],
  "reset-mid-text": [BROKEN],
  "reset-mid-think": [BROKEN, WELL],
  "empty-body": [BROKEN],
  "slow-first-byte": [SILENT],
  "stall-mid-stream": [SILENT, WELL],
  "error-422": ["failed model_bad_request"],
  "error-400": ["failed model_bad_request"],
  "unauthorized-401": [REFUSED],
  "credit-402": [REFUSED],
  "forbidden-403": [REFUSED],
  "model-withdrawn": ["failed model_not_found"],
  "context-overflow": ["failed context_overflow"],
  "rate-limit-429": [BUSY],
  "rate-limit-429-seconds": [BUSY],
  "rate-limit-429-date": [BUSY],
  "server-error-500": [DOWN],
  "html-502": [DOWN],
  "overloaded-503": [DOWN],
  "timeout-504": [DOWN],
};

/** What is not tried again as it was: the next request is another one, whose first try has the fault too; or none follows. */
const NOT_REPEATED: ReadonlySet<FaultName> = new Set<FaultName>([
  "arguments-malformed",
  "arguments-truncated",
  "arguments-null",
  "arguments-empty",
  "unknown-tool",
  "closing-tag-in-argument",
  "endless-call",
  "length-mid-text",
  "length-mid-call",
  "finish-content-filter",
  "error-422",
  "error-400",
  "unauthorized-401",
  "credit-402",
  "forbidden-403",
  "model-withdrawn",
]);

/** Calls that were never whole: none of them may run. */
const NEVER_RUNS: ReadonlySet<FaultName> = new Set<FaultName>([
  "length-mid-call",
  "reset-mid-call",
  "arguments-malformed",
  "arguments-truncated",
  "arguments-null",
  "arguments-empty",
]);

test("without a fault every host gives the same run", () => {
  for (const result of of(null, null)) {
    const { end, ran, output, modelCalls } = result.played;
    expect([where(result), end, ran, modelCalls]).toEqual([where(result), "completed", [{ city: "서울" }], 2]);
    expect(output).toContain("맑음");
  }
});

test.each(names)("%s", (fault) => {
  const lasting = LASTING[fault] ?? [WELL];
  const once = NOT_REPEATED.has(fault) ? [...lasting, WELL] : [WELL];
  for (const [times, expected] of [
    [null, lasting],
    [1, once],
  ] as const) {
    expect(of(fault, times)).toHaveLength(CELLS.length);
    for (const result of of(fault, times)) {
      const { played } = result;
      const about = `${where(result)}${times === null ? "" : ", once"}`;
      expect([about, expected.includes(played.end) ? "as it must" : played.end]).toEqual([about, "as it must"]);
      expect([about, broken(played, fault !== "usage-missing" || times !== null)]).toEqual([about, []]);
      if (times === null && NEVER_RUNS.has(fault)) expect([about, played.ran]).toEqual([about, []]);
      if (played.end === WELL && fault !== "call-twice")
        expect([about, played.ran.length]).toEqual([about, fault === "unknown-tool" ? played.ran.length : 1]);
    }
  }
});

test("the matrix is the document", async () => {
  await expect(document()).toMatchFileSnapshot("../../docs/wire-conformance.md");
});

function document(): string {
  const hosts = Object.keys(HOSTS) as HostName[];
  const rows = names.map((fault) => {
    const { layer, summary } = FAULTS[fault];
    const cells = hosts.map((host) => [null, 1].map((times) => ends(fault, times, host)).join(" / "));
    return `| \`${fault}\` (${layer}) | ${summary} | ${cells.join(" | ")} |`;
  });
  return `# Wire conformance

How runs end when their host does what hosts do: the real engine and model client against the simulator's hosts, streaming and
not, thinking on and off. Written by \`tests/wire/conformance.test.ts\` (\`-u\` writes it anew), which also holds every run to
this: no tool runs twice or from a call that was cut, no template text reaches the user, every answer is charged, by an
estimate where the host reports nothing.

Each field is *lasting / once*: the host does it on every call, or on the first try of each request. A run asks its tool and then
answers. Where ends differ: s stream, w whole, + thinking, − not.

| fault | what the host does | ${hosts.join(" | ")} |
|---|---|${hosts.map(() => "---|").join("")}
${rows.join("\n")}
`;
}

function ends(fault: FaultName, times: number | null, host: HostName): string {
  const own = of(fault, times).filter(({ cell }) => cell.host === host);
  const groups = new Map<string, string[]>();
  for (const { stream, thinking } of CELLS.filter((cell) => cell.host === host)) {
    const found = own.find(({ cell }) => cell.stream === stream && cell.thinking === thinking);
    const end = found?.played.end ?? "not run";
    groups.set(end, [...(groups.get(end) ?? []), `${stream ? "s" : "w"}${thinking ? "+" : "−"}`]);
  }
  if (groups.size === 1) return [...groups.keys()][0] ?? "";
  return [...groups].map(([end, cells]) => `${cells.join(" ")} ${end}`).join(", ");
}
