import type { CatalogueModel } from "@maru/contract";

/** What a manifest that says nothing of it gets from its model. */
export const modelDefaults = (model: CatalogueModel | undefined) => ({
  thinking: model?.thinking.default ?? false,
  temperature: model?.sampling.temperature ?? 1,
  topP: model?.sampling.topP ?? 1,
  presencePenalty: model?.sampling.presencePenalty ?? 0,
  maxOutputTokens: (thinking: boolean): number =>
    (thinking ? model?.maxOutputTokens.default : model?.maxOutputTokens.nonThinking) ?? 1,
});
