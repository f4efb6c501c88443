import type { ModelAnswer, ModelDelta } from "@maru/contract";
import { type Assembler, createAssembler } from "../src/assembler.ts";
import { receive } from "../src/transport.ts";
import { standingClock } from "./kit.ts";

/** An answer as a model means it. */
export interface Meant {
  readonly reasoning: string;
  readonly text: string;
  readonly calls: readonly { readonly name: string; readonly args: Readonly<Record<string, unknown>> }[];
}

/** How a host writes it down. */
export interface Habits {
  readonly reasoningField: "reasoning" | "reasoning_content" | "thinking_content";
  readonly ids: "each" | "none" | "first delta again";
  readonly indexes: "each" | "none" | "zero";
  /** Characters of a delta, in turns. */
  readonly lengths: readonly number[];
  readonly usage: "last" | "every chunk" | "none";
  readonly lineEnd: "\n" | "\r\n";
  readonly dataSpace: boolean;
  readonly named: boolean;
  readonly comments: boolean;
  /** JSON over several data lines. */
  readonly pretty: boolean;
  readonly done: boolean;
}

export const TOOL_NAMES = ["weather", "air_quality", "locate"];

/** The answer as a host's stream. */
export function streamOf(meant: Meant, habits: Habits): string {
  const usage = { prompt_tokens: 40, completion_tokens: 20, total_tokens: 60, prompt_tokens_details: null };
  const events: object[] = [];
  let turn = 0;
  const pieces = (text: string): string[] => {
    const found: string[] = [];
    const points = [...text];
    for (let at = 0; at < points.length; ) {
      const length = habits.lengths[turn++ % habits.lengths.length] ?? 1;
      found.push(points.slice(at, at + length).join(""));
      at += length;
    }
    return found;
  };
  const push = (delta: object, finish: string | null = null) =>
    events.push({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      model: "m",
      choices: [{ index: 0, delta, finish_reason: finish }],
      ...(habits.usage === "every chunk" ? { usage } : {}),
    });
  push({ role: "assistant", content: "" });
  for (const piece of pieces(meant.reasoning)) push({ [habits.reasoningField]: piece });
  for (const piece of pieces(meant.text)) push({ content: piece });
  for (const [index, { name, args }] of meant.calls.entries()) {
    const place = habits.indexes === "none" ? {} : { index: habits.indexes === "zero" ? 0 : index };
    const id = `call_${index}`;
    const first = habits.ids === "none" && habits.indexes === "each" ? {} : { id };
    push({ tool_calls: [{ ...place, ...first, type: "function", function: { name, arguments: "" } }] });
    for (const piece of pieces(JSON.stringify(args))) {
      const again = habits.ids === "first delta again" ? { id } : {};
      push({ tool_calls: [{ ...place, ...again, function: { arguments: piece } }] });
    }
  }
  push({}, meant.calls.length > 0 ? "tool_calls" : "stop");
  if (habits.usage === "last") events.push({ id: "chatcmpl-1", choices: [], usage });

  const { lineEnd } = habits;
  const lines = events.flatMap((event, index) => {
    const space = habits.dataSpace ? " " : "";
    const data = (habits.pretty ? JSON.stringify(event, null, 1) : JSON.stringify(event)).split("\n");
    return [
      ...(habits.comments && index % 3 === 0 ? [": keep-alive", ""] : []),
      ...(habits.named ? ["event: message"] : []),
      ...data.map((line) => `data:${space}${line}`),
      "",
    ];
  });
  if (habits.done) lines.push("data: [DONE]", "");
  return lines.map((line) => line + lineEnd).join("");
}

export interface Read {
  readonly answer: ModelAnswer;
  readonly deltas: readonly ModelDelta[];
}

/** Reads pieces of a body as the client does. @throws ModelError as the client's reader does */
export async function read(pieces: readonly Uint8Array[], type = "text/event-stream"): Promise<Read> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  let minted = 0;
  const assembler: Assembler = createAssembler({
    thinking: true,
    toolNames: TOOL_NAMES,
    promptTokens: 40,
    newCallId: () => `minted_${++minted}`,
  });
  const deltas: ModelDelta[] = [];
  await receive(new Response(body, { headers: { "content-type": type } }), {
    assembler,
    maxTokens: 65_536,
    clock: standingClock(),
    onDelta: (delta) => deltas.push(delta),
    onBytes: () => {},
  });
  deltas.push(...assembler.flush());
  return { answer: assembler.end(), deltas };
}

/** Cuts bytes at places, which may lie inside characters and line ends, and may be the same (an empty piece). */
export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [0, ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return cuts.slice(1).map((end, index) => bytes.slice(cuts[index], end));
}
