import type { ServedModel } from "./catalogue.ts";
import type { Utterance } from "./model/utterance.ts";
import { toRawText } from "./model/utterance.ts";
import type { PrefixCache } from "./prefix-cache.ts";
import type { ChatRequest } from "./request.ts";
import { digestOf } from "./seeded.ts";
import { renderPrompt, renderToolTurn } from "./template.ts";
import { countTokens, firstTokens } from "./tokens.ts";
import type { Counts } from "./wire/dialect.ts";

/** A request as the model sees it. */
export interface Prompt {
  readonly text: string;
  /** The tool turn at its start, which identifies the tool set. */
  readonly toolTurn: string;
  readonly tokens: number;
  /** The most tokens its answer may have. */
  readonly cap: number;
  /** Identifies the request; ids, chunk sizes and counts of tries come from it. */
  readonly digest: string;
}

/** The model's answer in tokens and text, before any parser. */
export interface Completion {
  readonly raw: string;
  /** False when a token limit cut it. */
  readonly complete: boolean;
  readonly counts: Counts;
}

/** Renders the prompt; null when it fills the model's context and leaves no room for an answer. */
export function readPrompt(request: ChatRequest, model: ServedModel, hostCap: number, seed: string): Prompt | null {
  const toolTurn = renderToolTurn(request.tools);
  const text = renderPrompt(toolTurn, request.messages, request.thinking);
  const tokens = countTokens(text);
  if (tokens >= model.contextTokens) return null;
  const most = Math.min(hostCap, model.maxOutputTokens, model.contextTokens - tokens);
  const cap = Math.min(request.maxTokens ?? most, most);
  const { toolChoice, responseFormat, stop, kwargs = {} } = request;
  const digest = digestOf([
    seed,
    request.seed,
    request.model,
    cap,
    request.parseReasoning,
    request.includeReasoning,
    request.parallelToolCalls,
    JSON.stringify([toolChoice, responseFormat, stop, kwargs.thinking ?? null, kwargs.enable_thinking ?? null]),
    text,
  ]);
  return { text, toolTurn, tokens, cap, digest };
}

/**
 * Writes what the model decided as raw text, within the request's stop strings and limits. `rewrite` may change the
 * text first, as a raw fault does. `cached_tokens` depends on the previous prompt of the same key.
 */
export function complete(
  request: ChatRequest,
  prompt: Prompt,
  utterance: Utterance & { readonly raw?: string },
  cache: { readonly prefixes: PrefixCache; readonly key: string },
  rewrite: ((raw: string) => { readonly raw: string; readonly cut?: boolean }) | null = null,
): Completion {
  const written = utterance.raw ?? stopAt(toRawText(utterance, request.thinking), request);
  const { raw: spoken, cut = false } = rewrite?.(written) ?? { raw: written };
  // The end-of-turn token counts as well: an answer of exactly `cap` tokens has no room left for it.
  const wanted = countTokens(spoken) + 1;
  const fits = wanted <= prompt.cap;
  const raw = fits ? spoken : firstTokens(spoken, prompt.cap);
  return {
    raw,
    complete: fits && !cut,
    counts: {
      promptTokens: prompt.tokens,
      completionTokens: fits ? wanted : prompt.cap,
      cachedTokens: cache.prefixes.cachedTokens(cache.key, prompt.text, prompt.tokens),
      reasoningTokens: request.thinking ? countTokens(raw.split("</think>", 1)[0] ?? "") : 0,
    },
  };
}

/** Ends the answer before its first stop string; thinking is not searched. */
function stopAt(raw: string, { stop, thinking }: ChatRequest): string {
  if (stop.length === 0) return raw;
  const from = thinking ? raw.indexOf("</think>") + "</think>".length : 0;
  const ends = stop.map((word) => raw.indexOf(word, from)).filter((at) => at >= 0);
  return ends.length === 0 ? raw : raw.slice(0, Math.min(...ends));
}
