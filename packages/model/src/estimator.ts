import type { CatalogueModel, ModelRequest } from "@maru/contract";
import { estimateRequestTokens, estimateTokens } from "./tokens.ts";

/** Token estimates that learn from what hosts report. */
export interface Estimator {
  /** Tokens the request's prompt will probably take. */
  request(request: ModelRequest): number;
  /** Tokens of a text; null = of no model in particular. */
  text(model: CatalogueModel | null, text: string): number;
  /** A host reported that many prompt tokens for the request. */
  observe(request: ModelRequest, promptTokens: number): void;
  /** A host called the request longer than its model's context. */
  overflowed(request: ModelRequest): void;
}

/** Below this a request is mostly the template's own words, which tell little about a family's tokenizer. */
const TELLING_TOKENS = 100;
/** Quick to believe that we count too little (a prompt may overflow), slow that we count too much. */
const RISE = 0.5;
const FALL = 0.05;
/** A host that reports nonsense must not carry estimates away. */
const LEAST = 0.4;
const MOST = 2.5;

/**
 * Estimates by model family: the plain count times a ratio that follows what hosts report. In memory: a process has
 * learned after a few calls, and the plain count is on the safe side until then.
 */
export function createEstimator(): Estimator {
  const ratios = new Map<string, number>();
  const ratioOf = (family: string) => ratios.get(family) ?? 1;
  const learn = (family: string, ratio: number) => ratios.set(family, Math.min(MOST, Math.max(LEAST, ratio)));
  return {
    request: (request) => Math.ceil(estimateRequestTokens(request) * ratioOf(request.model.family)),
    text: (model, text) => Math.ceil(estimateTokens(text) * (model === null ? 1 : ratioOf(model.family))),
    observe(request, promptTokens) {
      const plain = estimateRequestTokens(request);
      if (plain < TELLING_TOKENS || promptTokens <= 0) return;
      const before = ratioOf(request.model.family);
      const apart = promptTokens / plain - before;
      learn(request.model.family, before + apart * (apart > 0 ? RISE : FALL));
    },
    overflowed(request) {
      const { family, contextTokens } = request.model;
      const atLeast = (contextTokens - request.maxOutputTokens) / estimateRequestTokens(request);
      learn(family, Math.max(ratioOf(family), atLeast));
    },
  };
}
