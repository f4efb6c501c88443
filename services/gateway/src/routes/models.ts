import { type CatalogueModel, type Model, Problem } from "@maru/contract";
import { CATALOGUE, DEFAULT_MODEL_ID, findModel } from "@maru/model";
import type { Handlers } from "../http/bind.ts";

export function modelRoutes({ simulated, now }: { simulated: boolean; now: () => number }) {
  const shown = (model: CatalogueModel): Model => {
    const at = now();
    const price = model.prices.find(({ from, to }) => Date.parse(from) <= at && (to === null || at < Date.parse(to)));
    return {
      id: model.id,
      display_name: model.displayName,
      provider: model.provider,
      upstream_model: model.upstreamModel,
      default: model.id === DEFAULT_MODEL_ID,
      simulated,
      context_tokens: model.contextTokens,
      max_output_tokens: model.maxOutputTokens.max,
      thinking: {
        supported: model.thinking.control !== "never",
        default: model.thinking.default,
        history: model.thinking.history,
      },
      tools: { ...model.tools },
      sampling: {
        temperature: model.sampling.temperature,
        top_p: model.sampling.topP,
        presence_penalty: model.sampling.presencePenalty,
      },
      price:
        price === undefined
          ? null
          : {
              currency: price.currency,
              input_micros_per_mtok: price.inputMicrosPerMTok,
              cached_input_micros_per_mtok: price.cachedInputMicrosPerMTok,
              output_micros_per_mtok: price.outputMicrosPerMTok,
              from: new Date(price.from).toISOString(),
              to: price.to === null ? null : new Date(price.to).toISOString(),
              note: price.note,
            },
      licence: { ...model.licence },
      languages: [...model.languages],
    };
  };
  return {
    listModels: async () => ({ status: 200, body: { data: CATALOGUE.map(shown) } }),
    getModel: async ({ params }) => {
      const model = findModel(params.model);
      if (model === undefined) throw new Problem("not_found", `The catalogue has no model ${params.model}.`);
      return { status: 200, body: shown(model) };
    },
  } satisfies Partial<Handlers>;
}
