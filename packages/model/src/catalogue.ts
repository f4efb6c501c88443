import type { CatalogueModel, TokenUsage } from "@maru/contract";

/**
 * The models Maru knows, as data. K-EXAONE: LG AI Research's model card and README (contexts, sampling, thinking on by
 * default, max_new_tokens 16,384 with thinking and 1,024 without), its host's price table, and the promotion that was
 * first announced through 2026-01-28 and then extended through 2026-02-12.
 */
export const CATALOGUE: readonly CatalogueModel[] = [
  {
    id: "k-exaone",
    displayName: "K-EXAONE 236B-A23B",
    provider: "friendli",
    upstreamModel: "LGAI-EXAONE/K-EXAONE-236B-A23B",
    contextTokens: 262_144,
    maxOutputTokens: { default: 16_384, nonThinking: 4_096, max: 65_536 },
    sampling: { temperature: 1, topP: 0.95, presencePenalty: 0 },
    thinking: { supported: true, default: true, history: "interleaved" },
    tools: { native: true, parallel: true },
    prices: [
      {
        from: "2025-12-30T15:00:00Z",
        to: "2026-02-12T15:00:00Z",
        currency: "USD",
        inputMicrosPerMTok: 0,
        cachedInputMicrosPerMTok: 0,
        outputMicrosPerMTok: 0,
        note: "Launch promotion; its end was first announced as 2026-01-28",
      },
      {
        from: "2026-02-12T15:00:00Z",
        to: null,
        currency: "USD",
        inputMicrosPerMTok: 200_000,
        cachedInputMicrosPerMTok: 100_000,
        outputMicrosPerMTok: 800_000,
        note: null,
      },
    ],
    licence: {
      name: "K-EXAONE AI Model License Agreement",
      note: "Making the model available to third parties for commercial purposes needs a separate agreement (clause 2.2).",
    },
    languages: ["ko", "en", "es", "de", "ja", "vi"],
  },
];

export const DEFAULT_MODEL_ID = "k-exaone";

export const findModel = (id: string): CatalogueModel | undefined => CATALOGUE.find((model) => model.id === id);

/**
 * Micro-dollars a call costs by the price in force at the instant, rounded up once. Cached input tokens are part of the
 * input tokens and have a price of their own. 0 where the catalogue has no price.
 */
export function priceMicros(model: CatalogueModel, usage: TokenUsage, at: Date): number {
  const price = model.prices.find(
    ({ from, to }) => Date.parse(from) <= at.getTime() && (to === null || at.getTime() < Date.parse(to)),
  );
  if (price === undefined) return 0;
  const fresh = Math.max(0, usage.inputTokens - usage.cachedInputTokens);
  return Math.ceil(
    (fresh * price.inputMicrosPerMTok +
      usage.cachedInputTokens * price.cachedInputMicrosPerMTok +
      usage.outputTokens * price.outputMicrosPerMTok) /
      1_000_000,
  );
}
