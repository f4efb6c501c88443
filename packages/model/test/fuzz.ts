// Mutated streams through the real reader. `node packages/model/test/fuzz.ts CASES SEED` runs more of them than the tests
// do, or one of them again: `node packages/model/test/fuzz.ts 1 SEED+CASE`.
import { ModelError } from "../src/errors.ts";
import { type Habits, type Meant, read, streamOf } from "./streams.ts";

export interface FuzzReport {
  readonly cases: number;
  readonly answers: number;
  readonly refused: number;
  /** What must not happen, by case. */
  readonly faults: readonly string[];
}

/** Answers may hold what the body held, mended ids and unescaped text; never a multiple of it. */
const SLACK = 1_000;

/** Each case has a seed of its own, so that one can be played again alone. */
export async function fuzz(cases: number, seed: number): Promise<FuzzReport> {
  const faults: string[] = [];
  let answers = 0;
  let refused = 0;
  for (let index = 0; index < cases && faults.length < 10; index++) {
    const random = mulberry32(seed + index);
    const bytes = mutated(random);
    const type = chance(random, 0.03) ? "application/json" : "text/event-stream";
    try {
      const { answer, deltas } = await read(cutRandomly(bytes, random), type);
      answers++;
      const size =
        answer.text.length +
        answer.reasoning.length +
        answer.toolCalls.reduce((sum, call) => sum + call.name.length + call.arguments.length, 0);
      // A delta of a call says its name each time.
      const heard = deltas.reduce((sum, { text }) => sum + text.length, 0);
      if (size > bytes.length * 2 + SLACK || heard > bytes.length * 2 + SLACK)
        faults.push(`seed ${seed + index}: ${bytes.length} bytes became ${size} characters (${heard} heard)`);
      if (answer.toolCalls.some((call) => typeof call.arguments !== "string" || call.name === "" || call.id === ""))
        faults.push(`seed ${seed + index}: a call without a name, id or arguments`);
      if (!Number.isSafeInteger(answer.usage.inputTokens) || !Number.isSafeInteger(answer.usage.outputTokens))
        faults.push(`seed ${seed + index}: usage ${JSON.stringify(answer.usage)}`);
      if (answer.usage.inputTokens < 0 || answer.usage.outputTokens < 0)
        faults.push(`seed ${seed + index}: negative usage`);
    } catch (error) {
      refused++;
      if (!(error instanceof ModelError))
        faults.push(`seed ${seed + index}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  return { cases, answers, refused, faults };
}

type Random = () => number;
const chance = (random: Random, share: number) => random() < share;
const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
const below = (random: Random, limit: number) => Math.floor(random() * limit);

/** A small generator with a 32-bit state (Tommy Ettinger's mulberry32). */
function mulberry32(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const TEXTS = [
  "",
  "서울은 맑습니다",
  "hello 🌤",
  "</think>",
  "<think>",
  "<tool_call>",
  '{"name":"weather","arguments":{}}',
  "</tool_call>",
  "<|endofturn|>",
  "\n\n",
];
const someText = (random: Random) => Array.from({ length: below(random, 6) }, () => pick(random, TEXTS)).join("");

function someStream(random: Random): string {
  const meant: Meant = {
    reasoning: someText(random),
    text: someText(random),
    calls: Array.from({ length: below(random, 4) }, () => ({
      name: pick(random, ["weather", "air_quality", "unknown"]),
      args: { city: someText(random), n: below(random, 1_000) },
    })),
  };
  const habits: Habits = {
    reasoningField: pick(random, ["reasoning", "reasoning_content", "thinking_content"] as const),
    ids: pick(random, ["each", "none", "first delta again"] as const),
    indexes: pick(random, ["each", "none", "zero"] as const),
    lengths: [1 + below(random, 9), 1 + below(random, 9)],
    usage: pick(random, ["last", "every chunk", "none"] as const),
    lineEnd: pick(random, ["\n", "\r\n"] as const),
    dataSpace: chance(random, 0.8),
    named: chance(random, 0.2),
    comments: chance(random, 0.2),
    pretty: chance(random, 0.1),
    done: chance(random, 0.8),
  };
  return streamOf(meant, habits);
}

/** What stands in a field where something else is expected. */
const ODD_VALUES = [
  "null",
  "0",
  "-1",
  "1e400",
  "true",
  '""',
  '"x"',
  "[]",
  "{}",
  "[null]",
  '{"index":"a"}',
  "[[[[]]]]",
  '"null"',
  '{"__proto__":{"a":1}}',
  "[{}]",
  "99999999999999999999",
  '{"toString":1}',
];
const FIELDS = [
  "choices",
  "delta",
  "content",
  "reasoning",
  "reasoning_content",
  "tool_calls",
  "function",
  "name",
  "arguments",
  "id",
  "index",
  "finish_reason",
  "usage",
  "prompt_tokens",
  "completion_tokens",
  "prompt_tokens_details",
  "model",
  "error",
  "message",
  "role",
];
const INSERTED = [
  "data: [DONE]\n\n",
  "data:\n\n",
  ": \n",
  "event: error\ndata: {}\n\n",
  'data: {"error":{"message":"x","code":429}}\n\n',
  'data: {"error":null}\n\n',
  "data: null\n\n",
  "data: []\n\n",
  'data: {"choices":[{"delta":{"content":"x"}},{"delta":{"content":"y"}}]}\n\n',
  'data: {"object":"error","message":"m"}\n\n',
  '{"choices":[{"message":{"content":"whole","tool_calls":[{"function":{"name":"weather","arguments":{}}}]},"finish_reason":"stop"}]}',
  "\ufeff",
  "\0",
  "\r",
  "<html>502</html>",
];

type Mutation = (text: string, random: Random) => string;
const MUTATIONS: readonly Mutation[] = [
  (text, random) => text.slice(0, below(random, text.length + 1)),
  (text, random) => text.slice(below(random, text.length + 1)),
  (text, random) => {
    const from = below(random, text.length);
    return text.slice(0, from) + text.slice(from + below(random, 40));
  },
  (text, random) => {
    const from = below(random, text.length);
    const piece = text.slice(from, from + below(random, 400));
    return text.slice(0, from) + piece.repeat(1 + below(random, 5)) + text.slice(from);
  },
  (text, random) => {
    const at = below(random, text.length + 1);
    return text.slice(0, at) + pick(random, INSERTED) + text.slice(at);
  },
  (text, random) => {
    const field = pick(random, FIELDS);
    return text.replace(
      new RegExp(`"${field}":\\s*("(?:[^"\\\\]|\\\\.)*"|[^,{}\\[\\]]+)`),
      `"${field}":${pick(random, ODD_VALUES)}`,
    );
  },
  (text, random) => text.replaceAll(`"${pick(random, FIELDS)}":`, `"${pick(random, FIELDS)}":`),
  (text, random) => text.replace('"content":"', `"content":"${"a<tool_call>".repeat(below(random, 300))}`),
  (text) => text.replace('"delta":{', `"delta":${'{"x":'.repeat(50)}1${"}".repeat(50)},"y":{`),
  (text, random) => {
    const other = someStream(random);
    const at = below(random, text.length + 1);
    return text.slice(0, at) + other.slice(below(random, other.length));
  },
];

function mutated(random: Random): Uint8Array {
  let text = someStream(random);
  for (let times = below(random, 3); times >= 0 && text !== ""; times--) text = pick(random, MUTATIONS)(text, random);
  const bytes = new TextEncoder().encode(text);
  for (let flips = chance(random, 0.3) ? below(random, 8) : 0; flips > 0 && bytes.length > 0; flips--)
    bytes[below(random, bytes.length)] = below(random, 256);
  return bytes;
}

function cutRandomly(bytes: Uint8Array, random: Random): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const most = pick(random, [4, 300, 4_000, 4_000]);
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.length > 600 && most === 4 ? 100 : 1 + below(random, most);
    pieces.push(bytes.slice(at, at + length));
    at += length;
  }
  return pieces;
}

if (import.meta.main) {
  const [cases = "100000", seed = String(Date.now() % 2_000_000_000)] = process.argv.slice(2);
  const before = process.memoryUsage().heapUsed;
  const began = performance.now();
  const report = await fuzz(Number(cases), Number(seed));
  const grown = (process.memoryUsage().heapUsed - before) / 1_048_576;
  console.log(
    `${report.cases} streams from seed ${seed} in ${((performance.now() - began) / 1_000).toFixed(1)} s: ` +
      `${report.answers} answers, ${report.refused} refused, heap ${grown.toFixed(0)} MiB more`,
  );
  for (const fault of report.faults) console.log(fault);
  process.exitCode = report.faults.length === 0 ? 0 : 1;
}
