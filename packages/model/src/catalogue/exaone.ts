import type { CatalogueModel } from "@maru/contract";
import { score, scoresOf } from "./benchmarks.ts";

/**
 * LG AI Research's models. Contexts, sampling, thinking on by default and max_new_tokens (16,384 with thinking, 1,024
 * without) are those of the model cards; prices those of the host that published tokens, Friendli. The promotion was
 * first announced through 2026-01-28 and then extended through 2026-02-12 (history of the K-EXAONE README).
 */
export const EXAONE: readonly CatalogueModel[] = [
  {
    id: "k-exaone",
    displayName: "K-EXAONE 236B-A23B",
    provider: "friendli",
    upstreamModel: "LGAI-EXAONE/K-EXAONE-236B-A23B",
    family: "k-exaone",
    parameters: "236B-A23B",
    contextTokens: 262_144,
    maxOutputTokens: { default: 16_384, nonThinking: 4_096, max: 65_536 },
    sampling: { temperature: 1, topP: 0.95, presencePenalty: 0 },
    thinking: { control: "enable_thinking", default: true, effort: null, history: "interleaved" },
    tools: { native: true, parallel: true },
    prices: [
      {
        from: "2025-12-31T00:00:00+09:00",
        to: "2026-02-13T00:00:00+09:00",
        currency: "USD",
        inputMicrosPerMTok: 0,
        cachedInputMicrosPerMTok: 0,
        outputMicrosPerMTok: 0,
        note: "Launch promotion; its end was first announced as 2026-01-28",
      },
      {
        from: "2026-02-13T00:00:00+09:00",
        to: null,
        currency: "USD",
        inputMicrosPerMTok: 200_000,
        cachedInputMicrosPerMTok: 100_000,
        outputMicrosPerMTok: 800_000,
        note: "Friendli's token price; since September 2026 it is no longer offered by the token there",
      },
    ],
    market: {
      status: "dedicated",
      note: "By the token at Friendli from January to about September 2026; since then dedicated endpoints and containers only. Open weights.",
      asOf: "2026-09-19",
    },
    licence: {
      name: "K-EXAONE AI Model License Agreement",
      note: "Making the model available to third parties for commercial purposes needs a separate agreement (clause 2.2).",
    },
    languages: ["ko", "en", "es", "de", "ja", "vi"],
    benchmarks: scoresOf("k-exaone"),
    assumed: {},
  },
  {
    id: "k-exaone-2",
    displayName: "K-EXAONE 2.0 750B-A37B",
    provider: "friendli",
    upstreamModel: "LGAI-EXAONE/K-EXAONE-2.0-750B-A37B",
    family: "k-exaone-2",
    parameters: "750B-A37B",
    contextTokens: 262_144,
    maxOutputTokens: { default: 16_384, nonThinking: 4_096, max: 65_536 },
    sampling: { temperature: 1, topP: 0.95, presencePenalty: 0 },
    thinking: { control: "enable_thinking", default: true, effort: null, history: "interleaved" },
    tools: { native: true, parallel: true },
    prices: [
      {
        from: "2026-07-31T00:00:00+09:00",
        to: null,
        currency: "USD",
        inputMicrosPerMTok: 600_000,
        cachedInputMicrosPerMTok: 600_000,
        outputMicrosPerMTok: 2_400_000,
        note: "Friendli's token price of summer 2026; its price of cached input is not known, so it counts as input",
      },
    ],
    market: {
      status: "dedicated",
      note: "By the token at Friendli in summer 2026, gone from there by September; dedicated endpoints and containers. Open weights.",
      asOf: "2026-09-19",
    },
    licence: { name: "Apache-2.0", note: null },
    languages: ["ko", "en", "es", "de", "ja", "vi"],
    benchmarks: [
      score("SWE-bench Verified", 68.2, "LG AI Research, as collected by whatmodel"),
      score("Terminal-Bench 2.1", 43.8, "LG AI Research, as collected by whatmodel"),
    ],
    assumed: {
      languages: "as for K-EXAONE 236B",
      "thinking.history": "as for K-EXAONE 236B: its template was not seen",
      "maxOutputTokens.max": "the host's highest cap",
    },
  },
];
