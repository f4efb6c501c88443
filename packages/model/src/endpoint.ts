import type { CatalogueModel, NewModelEndpoint } from "@maru/contract";

/** Half of a context, but no more than this, where an endpoint's owner says nothing of output caps. */
const OUTPUT_TOKENS = 16_384;
const DEFAULT_OUTPUT_TOKENS = 4_096;

/** What a workspace says of a model at an endpoint of its own. */
export type EndpointSettings = Pick<
  NewModelEndpoint,
  "upstream_model" | "context_tokens" | "max_output_tokens" | "thinking" | "tools"
>;

/** An endpoint's model as an entry like the catalogue's: unpublished things are missing, the rest is cautious. */
export function endpointModel(name: string, id: string, settings: EndpointSettings): CatalogueModel {
  const { context_tokens: contextTokens, thinking } = settings;
  const max = settings.max_output_tokens ?? Math.min(OUTPUT_TOKENS, Math.floor(contextTokens / 2));
  const control = thinking?.control ?? "never";
  const first = Math.min(DEFAULT_OUTPUT_TOKENS, max);
  return {
    id: name,
    displayName: name,
    provider: "workspace",
    upstreamModel: settings.upstream_model,
    family: `endpoint ${id}`,
    parameters: "unknown",
    contextTokens,
    maxOutputTokens: { default: first, nonThinking: first, max },
    sampling: { temperature: 1, topP: 1, presencePenalty: 0 },
    thinking: {
      control,
      default: thinking?.default ?? control === "always",
      effort: thinking?.effort ?? (control === "reasoning_effort" ? { on: "medium", off: "low" } : null),
      history: thinking?.history ?? "strip",
    },
    tools: settings.tools ?? { native: true, parallel: true },
    prices: [],
    market: { status: "dedicated", note: "An endpoint of the workspace.", asOf: "1970-01-01" },
    licence: { name: "unknown", note: null },
    languages: [],
    benchmarks: [],
    assumed: {},
  };
}
