import type { Message, ModelRequest } from "@maru/contract";
import { type AssemblerOptions, createAssembler } from "../src/assembler.ts";
import { findModel } from "../src/catalogue/index.ts";
import type { WireChunk, WireDelta } from "../src/wire.ts";

const found = findModel("k-exaone");
if (found === undefined) throw new Error("the catalogue has no k-exaone");
export const K_EXAONE = found;

export const aRequest = (change: Partial<ModelRequest> = {}): ModelRequest => ({
  model: K_EXAONE,
  messages: [{ role: "user", content: "서울 날씨" }],
  tools: [],
  thinking: true,
  temperature: 1,
  topP: 0.95,
  presencePenalty: 0,
  seed: null,
  maxOutputTokens: 16_384,
  parallelToolCalls: true,
  ...change,
});

export const asked = (id: string, name: string, args: string) => ({ id, name, arguments: args });
export const calling = (...toolCalls: ReturnType<typeof asked>[]): Message => ({
  role: "assistant",
  content: "",
  toolCalls,
});
export const result = (toolCallId: string, content: string): Message => ({
  role: "tool",
  toolCallId,
  name: "weather",
  content,
});

/** One chunk of a stream. */
export const chunk = (
  delta: WireDelta & { readonly role?: string | null },
  finish: string | null = null,
): WireChunk => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
});

/** The answer of some chunks, and what was shown on the way. Minted ids count up: `minted_1`, … */
export function assemble(chunks: readonly WireChunk[], change: Partial<AssemblerOptions> = {}) {
  let minted = 0;
  const assembler = createAssembler({
    thinking: true,
    toolNames: [
      "weather",
      "air_quality",
      "locate",
      "kma_today",
      "nmc_emergency_search",
      "koroad_accident_hotspot_search",
    ],
    promptTokens: 100,
    newCallId: () => `minted_${++minted}`,
    ...change,
  });
  const deltas = [...chunks.flatMap((each) => assembler.push(each)), ...assembler.flush()];
  const text = deltas.flatMap((delta) => (delta.kind === "text" ? delta.text : [])).join("");
  return { answer: assembler.end(), deltas, text, finished: assembler.finished() };
}

/** The text cut into pieces of the sizes given, which are repeated as needed. */
export function cut(text: string, sizes: readonly number[]): string[] {
  const pieces: string[] = [];
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}

/** A clock that stands still until it is told to go on. */
export function standingClock(start = 1_800_000_000_000) {
  let time = start;
  const sleepers = new Set<{ until: number; wake: () => void }>();
  return {
    now: () => time,
    sleep: (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const sleeper = { until: time + ms, wake: resolve };
        sleepers.add(sleeper);
        signal.addEventListener("abort", () => {
          sleepers.delete(sleeper);
          reject(signal.reason);
        });
      }),
    advance(ms: number): void {
      time += ms;
      for (const sleeper of sleepers) {
        if (sleeper.until > time) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
    },
  };
}
