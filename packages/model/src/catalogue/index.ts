import type { CatalogueModel, ModelPrice, TokenUsage } from "@maru/contract";
import { EXAONE } from "./exaone.ts";
import { NEIGHBOURS } from "./neighbours.ts";

/**
 * The catalogue a new installation starts with. In a running one it is rows in Postgres, where an operator can change
 * prices and limits without a deploy; every start brings these entries up to date beneath such changes.
 */
export const CATALOGUE: readonly CatalogueModel[] = [...EXAONE, ...NEIGHBOURS];

export const DEFAULT_MODEL_ID = "k-exaone";

export const findModel = (id: string): CatalogueModel | undefined => CATALOGUE.find((model) => model.id === id);

/** The price in force at an instant; undefined where none is known. */
export const priceAt = (model: CatalogueModel, at: Date): ModelPrice | undefined =>
  model.prices.find(
    ({ from, to }) => Date.parse(from) <= at.getTime() && (to === null || at.getTime() < Date.parse(to)),
  );

/**
 * Micro-dollars a call costs by the price in force at the instant, rounded up once. Cached input tokens are part of the
 * input tokens and have a price of their own. 0 where the catalogue has no price.
 */
export function priceMicros(model: CatalogueModel, usage: TokenUsage, at: Date): number {
  const price = priceAt(model, at);
  if (price === undefined) return 0;
  const fresh = Math.max(0, usage.inputTokens - usage.cachedInputTokens);
  return Math.ceil(
    (fresh * price.inputMicrosPerMTok +
      usage.cachedInputTokens * price.cachedInputMicrosPerMTok +
      usage.outputTokens * price.outputMicrosPerMTok) /
      1_000_000,
  );
}
