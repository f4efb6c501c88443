import { expect, test } from "vitest";
import { read } from "../test/streams.ts";
import { ModelError } from "./errors.ts";

// Streams by which a host could hold up the process that reads them. Each is as large as a host may send; read in time that
// grows with its square, each would run into the limit of its test by far.

const SIZE = 4_000_000;
const LIMIT_MS = 20_000;

function stream(delta: (index: number) => object, last: object = {}): Uint8Array[] {
  const lines: string[] = [];
  for (let index = 0, size = 0; size < SIZE; index++) {
    const line = `data: ${JSON.stringify({ choices: [{ delta: delta(index) }] })}\n\n`;
    size += line.length;
    lines.push(line);
  }
  lines.push(`data: ${JSON.stringify({ choices: [{ delta: last }] })}\n\n`);
  lines.push(
    `data: ${JSON.stringify({ choices: [{ delta: { content: "</tool_call>" }, finish_reason: "stop" }] })}\n\n`,
  );
  return [new TextEncoder().encode(lines.join(""))];
}
const call = (fields: object) => ({ tool_calls: [fields] });
const ends = async (pieces: Uint8Array[]) => {
  try {
    return (await read(pieces)).answer;
  } catch (error) {
    expect(error).toBeInstanceOf(ModelError);
    return null;
  }
};

test.each([
  ["one character each", (_: number) => ({ content: "x" })],
  ["signs that may begin a mark", () => ({ content: "<" })],
  ["blanks", (index: number) => ({ content: index === 0 ? "x" : " " })],
  ["ends of calls in a string", (index: number) => ({ content: index === 0 ? '<tool_call>{"a":"' : "</tool_call>" })],
  ["calls after calls", () => ({ content: '<tool_call>{"name":"weather"}</tool_call>' })],
  ["quotes that never match", () => ({ content: '<tool_call>{"</tool_call>' })],
  ["marks", () => ({ content: "<tool_call>" })],
  ["ends of marks", () => ({ content: "</tool_call>" })],
  ["calls as text without end", (index: number) => ({ content: index === 0 ? "<tool_call>" : '{"name":' })],
  [
    "keys without values",
    (index: number) => ({ content: index === 0 ? "<tool_call>weather" : "<arg_key></arg_key><arg_value>" }),
  ],
  ["keys without ends", (index: number) => ({ content: index === 0 ? "<tool_call>weather" : "<arg_key>" })],
  [
    "attributes without an end",
    (index: number) => ({ content: index === 0 ? "<tool_call>" : 'name="weather" arguments={' }),
  ],
  ["ends of thinking", () => ({ content: "</think>" })],
  ["beginnings of thinking", () => ({ content: "<think>" })],
  ["thinking", () => ({ reasoning_content: "<" })],
  [
    "pieces of one call, each with a new id",
    (index: number) => call({ id: `c${index}`, function: { arguments: "}" } }),
  ],
  ["pieces of one call that name it anew", () => call({ index: 0, function: { name: "weather", arguments: "}" } })],
  [
    "pieces of one string",
    (index: number) =>
      call({ index: 0, function: { name: index === 0 ? "weather" : null, arguments: index === 0 ? '{"a":"' : "}" } }),
  ],
  [
    "calls without end",
    (index: number) => call({ index, id: `c${index}`, function: { name: "weather", arguments: "{}" } }),
  ],
  ["the same call over and over", () => call({ index: 0, id: "a", function: { name: "weather", arguments: "{}" } })],
] as const)(
  "S5: %s",
  async (_title, delta) => {
    await ends(stream(delta));
  },
  LIMIT_MS,
);

test("A3: arguments nested too deeply to be written down are no arguments, and the model is told", async () => {
  const deep = `${'{"a":'.repeat(200_000)}1${"}".repeat(200_000)}`;
  const data = `{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"weather","arguments":${deep}}}]},"finish_reason":"tool_calls"}]}`;
  const answer = await ends([new TextEncoder().encode(`data: ${data}\n\n`)]);
  expect(answer?.toolCalls[0]?.arguments).toBe("(nested too deeply)");
});
