import { CONTEXT_TOKENS } from "./catalogue.ts";
import type { Directives } from "./model/directives.ts";
import { speak } from "./model/model.ts";
import { toRawText } from "./model/utterance.ts";
import { createPrefixCache } from "./prefix-cache.ts";
import type { ChatRequest } from "./request.ts";
import { digestOf } from "./seeded.ts";
import { renderPrompt, renderToolTurn } from "./template.ts";
import { countTokens, firstTokens } from "./tokens.ts";
import type { Usage } from "./wire/envelope.ts";
import type { Dialect, WireFinish, WireMessage } from "./wire/friendli.ts";

export interface Completion {
  /** Identifies the request; ids and chunk sizes come from it. */
  readonly digest: string;
  /** Unix seconds. */
  readonly created: number;
  readonly message: WireMessage;
  readonly finish: WireFinish;
  readonly usage: Usage;
  readonly directives: Directives;
}

export interface CompleterOptions {
  readonly seed: string;
  readonly dialect: Dialect;
  readonly maxOutputTokens: number;
  readonly clock: { now(): Date };
}

const KOREA_AHEAD_MS = 9 * 3_600_000;

/**
 * Turns requests into completions: prompt, utterance, raw text, wire. The same request and seed give the same
 * completion, but for `cached_tokens`, which depends on the previous request of `apiKey`. Gives null when the prompt
 * alone fills the context.
 */
export function createCompleter(
  options: CompleterOptions,
): (request: ChatRequest, apiKey: string) => Completion | null {
  const prefixes = createPrefixCache();
  return (request, apiKey) => {
    const toolTurn = renderToolTurn(request.tools);
    const prompt = renderPrompt(toolTurn, request.messages, request.thinking);
    const promptTokens = countTokens(prompt);
    if (promptTokens >= CONTEXT_TOKENS) return null;
    const now = options.clock.now().getTime();
    const { utterance, directives } = speak(
      request,
      toolTurn,
      new Date(now + KOREA_AHEAD_MS).toISOString().slice(0, 10),
    );

    const spoken = stopAt(toRawText(utterance, request.thinking), request);
    const cap = Math.min(
      request.maxTokens ?? options.maxOutputTokens,
      options.maxOutputTokens,
      CONTEXT_TOKENS - promptTokens,
    );
    // The end-of-turn token counts as well: an answer of exactly `cap` tokens has no room left for it.
    const wanted = countTokens(spoken) + 1;
    const complete = wanted <= cap;
    const raw = complete ? spoken : firstTokens(spoken, cap);
    const completionTokens = complete ? wanted : cap;

    const digest = digestOf([
      options.seed,
      request.seed,
      request.model,
      cap,
      request.parseReasoning,
      request.includeReasoning,
      request.parallelToolCalls,
      JSON.stringify([request.toolChoice, request.responseFormat, request.stop]),
      prompt,
    ]);
    const { parseReasoning, includeReasoning, thinking } = request;
    const { message, finish } = options.dialect.message(raw, {
      thinking,
      parseReasoning,
      includeReasoning,
      digest,
      complete,
    });
    return {
      digest,
      created: Math.floor(now / 1_000),
      message,
      finish,
      usage: {
        prompt_tokens: promptTokens,
        completion_tokens: completionTokens,
        total_tokens: promptTokens + completionTokens,
        prompt_tokens_details: { cached_tokens: prefixes.cachedTokens(apiKey, prompt, promptTokens) },
      },
      directives,
    };
  };
}

/** Ends the answer before its first stop string; thinking is not searched. */
function stopAt(raw: string, { stop, thinking }: ChatRequest): string {
  if (stop.length === 0) return raw;
  const from = thinking ? raw.indexOf("</think>") + "</think>".length : 0;
  const ends = stop.map((word) => raw.indexOf(word, from)).filter((at) => at >= 0);
  return ends.length === 0 ? raw : raw.slice(0, Math.min(...ends));
}
