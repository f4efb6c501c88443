import { prepareTools } from "@maru/tools";
import { callContext, toolDeps } from "@maru/tools/testing";
import { load, median } from "./load.ts";

const CALLS = 2_000;
const ROUNDS = 3;
const TEXT = "A line of a log with a number 42 in it.\n".repeat(200);
const JSON_TEXT = JSON.stringify({ items: Array.from({ length: 200 }, (_, id) => ({ id, price: id / 7 })) });

/** Calls of builtin tools, whatever the model writes bounded, beside what a program of one's own would call. */
export async function builtinsBench(): Promise<void> {
  const names = ["calculator", "json_query", "regex"] as const;
  const tools = prepareTools(
    names.map((name) => ({ type: "builtin", name })),
    toolDeps(),
  );
  const cases = [
    ["calculator", { expression: "(3 + 4) * 2 ** 10 / 7" }, () => ((3 + 4) * 2 ** 10) / 7],
    [
      "json_query",
      { json: JSON_TEXT, query: "$.items[?@.price > 20].id" },
      () =>
        (JSON.parse(JSON_TEXT) as { items: { id: number; price: number }[] }).items.filter(({ price }) => price > 20),
    ],
    ["regex", { action: "extract", pattern: "[0-9]+", text: TEXT }, () => [...TEXT.matchAll(/[0-9]+/g)]],
  ] as const;
  console.log(`\nBuiltin tools beside the bare work (one at a time; median of ${ROUNDS} rounds of ${CALLS})`);
  console.log("tool          bare/s    tool/s    ratio   added a call");
  for (const [name, args, bare] of cases) {
    const call = async () => {
      const result = await tools.get(name)?.call(args, callContext());
      if (result === undefined || result.isError) throw new Error(`unexpected result: ${result?.output}`);
    };
    await load(200, 1, call);
    const rates: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      rates[0].push((await load(CALLS, 1, async () => void bare())).perSecond);
      rates[1].push((await load(CALLS, 1, call)).perSecond);
    }
    const [base, ours] = rates.map(median) as [number, number];
    console.log(
      `${name.padEnd(11)} ${String(Math.round(base)).padStart(8)} ${String(Math.round(ours)).padStart(9)} ${(ours / base).toFixed(3).padStart(8)} ${`${(1_000 / ours - 1_000 / base).toFixed(3)} ms`.padStart(14)}`,
    );
  }
}
