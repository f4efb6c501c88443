import type { Simulator, SimulatorOptions } from "../src/index.ts";
import { createSimulator, MODEL_ID } from "../src/index.ts";

export const clock = { now: () => new Date("2026-01-10T00:00:00Z") };

export const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "현재 날씨",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

/** A request that makes two calls, with thinking asked for in so many words. */
export const CALLS = {
  model: MODEL_ID,
  messages: [{ role: "user", content: "서울과 부산의 날씨는?" }],
  tools: [WEATHER],
  chat_template_kwargs: { enable_thinking: true },
};
/** A request that is answered with text. */
export const TEXT = {
  model: MODEL_ID,
  messages: [{ role: "user", content: "안녕하세요" }],
  chat_template_kwargs: { enable_thinking: true },
};

/** A simulator on a free port; `close` it. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<{ simulator: Simulator; url: string }> {
  const simulator = createSimulator({ clock, ...options });
  return { simulator, url: (await simulator.listen({ port: 0 })).url };
}

export function post(url: string, body: unknown, headers: Record<string, string> = {}, path = "/v1/chat/completions") {
  return fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export interface Part {
  readonly index?: number;
  readonly id?: string | null;
  readonly function: { readonly name?: string | null; readonly arguments?: unknown };
}
export interface Choice {
  readonly message: {
    readonly content: string | null;
    readonly reasoning?: string | null;
    readonly reasoning_content?: string | null;
    readonly tool_calls?: readonly Part[] | null;
  };
  readonly finish_reason: string | null;
}
export interface Chunk {
  readonly choices?: readonly {
    readonly delta: null | {
      readonly role?: string;
      readonly content?: string | null;
      readonly reasoning_content?: string | null;
      readonly tool_calls?: readonly Part[] | null;
    };
    readonly finish_reason: string | null;
  }[];
  readonly usage?: Record<string, unknown> | null;
  readonly error?: Record<string, unknown>;
}

/** The objects of a stream's text, `[DONE]` left out; lines that are no JSON are texts. */
export function chunksOf(text: string): Chunk[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:") && !line.endsWith("[DONE]"))
    .map((line) => JSON.parse(line.slice(5)) as Chunk);
}

export const partsOf = (chunks: readonly Chunk[]): Part[] =>
  chunks.flatMap((chunk) => chunk.choices?.flatMap(({ delta }) => [...(delta?.tool_calls ?? [])]) ?? []);

export const textOf = (chunks: readonly Chunk[], field: "content" | "reasoning_content" = "content"): string =>
  chunks.flatMap((chunk) => chunk.choices?.map(({ delta }) => delta?.[field] ?? "") ?? []).join("");

export const finishesOf = (chunks: readonly Chunk[]): string[] =>
  chunks.flatMap((chunk) => chunk.choices?.flatMap(({ finish_reason }) => finish_reason ?? []) ?? []);
