import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { ChaosResult } from "./chaos.ts";

const OPEN = "<!-- chaos -->";
const CLOSE = "<!-- /chaos -->";

/** The share of sorted numbers that is at most this one. */
export const percentile = (sorted: readonly number[], share: number): number | undefined =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

const seconds = (ms: number | undefined): string => (ms === undefined ? "–" : `${(ms / 1_000).toFixed(1)} s`);
const spread = (ms: readonly number[]): string =>
  [percentile(ms, 0.5), percentile(ms, 0.99), ms.at(-1)].map(seconds).join(" / ");
const number = (value: number): string => value.toLocaleString("en-US");

const ROWS: readonly (readonly [string, (result: ChaosResult) => string])[] = [
  ["runs accepted", ({ runs }) => number(runs)],
  ["workers killed", ({ done }) => number(done.kills)],
  ["workers stopped beyond their lease, then woken", ({ done }) => number(done.stops)],
  ["gateways killed", ({ done }) => number(done.gatewayKills)],
  ["Postgres crashes", ({ done }) => number(done.postgresCrashes)],
  ["Redis emptied", ({ done }) => number(done.flushes)],
  ["attempts lost and taken up by another worker", ({ history }) => number(history.recoveriesMs.length)],
  ["**lost**", ({ history }) => number(history.lost)],
  ["**stuck**", ({ history }) => number(history.stuck)],
  ["ended as", ({ history }) => statuses(history.statuses)],
  ["keys with more than one run", ({ history }) => number(history.keysWithManyRuns + history.unasked)],
  ["**steps executed again after they had finished**", ({ tools }) => number(tools.executedAgain)],
  ["finished steps, ended runs and events changed", ({ history }) => number(history.historyChanged)],
  ["runs with a gap in their events, or other than one end", ({ history }) => number(history.brokenEvents)],
  ["steps told of as finished other than once", ({ history }) => number(history.brokenSteps)],
  ["threads with a gap, or a turn other than once", ({ history }) => number(history.brokenThreads)],
  ["calls that reached the tool server", ({ tools }) => number(tools.arrivals)],
  ["**duplicate effects of `idempotent` tools**", ({ tools }) => number(tools.duplicateEffects)],
  ["repeats answered from their key", ({ tools }) => number(tools.repeatsAnswered)],
  ["**`at_most_once` calls sent twice**", ({ tools }) => number(tools.sentTwice)],
  ["outcomes unknown (of them happened)", ({ tools }) => `${tools.unknown} (${tools.unknownHappened})`],
  ["calls done but never sent", ({ tools }) => number(tools.neverSent)],
  ["**ledger exact**", ({ ledger }) => (ledger.length === 0 ? "yes" : `no: ${ledger.length} sums differ`)],
  ["processes that ended by themselves", ({ ownDeaths }) => number(ownDeaths)],
  ["replies that were not 2xx, or none, and were asked again", ({ replies }) => number(repeated(replies))],
  ["accepted → first attempt, p50 / p99 / max", ({ history }) => spread(history.waitsMs)],
  ["last sign of a lost attempt → its successor, p50 / p99 / max", ({ history }) => spread(history.recoveriesMs)],
  ["duration", (result) => `${number(Math.round(result.seconds))} s`],
];

const statuses = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([status, count]) => `${number(count)} ${status}`)
    .join(", ");
const repeated = (replies: ReadonlyMap<number, number>): number =>
  [...replies].reduce((sum, [status, count]) => sum + (status >= 200 && status < 300 ? 0 : count), 0);

/** A Markdown table: a column for each backend, a row for each figure. */
export function chaosTable(results: readonly { readonly name: string; readonly result: ChaosResult }[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(["", ...results.map(({ name }) => name)]),
    line(["---", ...results.map(() => "---:")]),
    ...ROWS.map(([title, cell]) => line([title, ...results.map(({ result }) => cell(result))])),
  ].join("\n");
}

/** Puts text between the markers of a document; makes the document when there is none. */
export function writeBetweenMarkers(file: string, text: string): void {
  const old = existsSync(file) ? readFileSync(file, "utf8") : `# Durability\n\n${OPEN}\n${CLOSE}\n`;
  const from = old.indexOf(OPEN);
  const to = old.indexOf(CLOSE);
  if (from === -1 || to < from) throw new Error(`${file} has no place for the figures: ${OPEN} and ${CLOSE}`);
  writeFileSync(file, `${old.slice(0, from)}${OPEN}\n${text}\n${old.slice(to)}`);
}
