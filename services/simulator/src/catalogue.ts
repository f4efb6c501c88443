/** The model a client means who says no more than "K-EXAONE", under the id its host knows it by. */
export const MODEL_ID = "LGAI-EXAONE/K-EXAONE-236B-A23B";

/** A model the endpoint serves. All of them are played by the same rules and the same template. */
export interface ServedModel {
  /** The name the host knows it by. */
  readonly id: string;
  /** Tokens of prompt and answer together. */
  readonly contextTokens: number;
  readonly maxOutputTokens: number;
}

/** The models Maru's catalogue knows, by their hosts' names. */
export const MODELS: readonly ServedModel[] = [
  { id: MODEL_ID, contextTokens: 262_144, maxOutputTokens: 65_536 },
  { id: "LGAI-EXAONE/K-EXAONE-2.0-750B-A37B", contextTokens: 262_144, maxOutputTokens: 65_536 },
  { id: "Qwen/Qwen3-235B-A22B-Instruct-2507", contextTokens: 262_144, maxOutputTokens: 65_536 },
  { id: "Qwen/Qwen3-235B-A22B-Thinking-2507", contextTokens: 262_144, maxOutputTokens: 81_920 },
  { id: "openai/gpt-oss-120b", contextTokens: 131_072, maxOutputTokens: 32_768 },
  { id: "zai-org/GLM-4.7", contextTokens: 200_000, maxOutputTokens: 65_536 },
  { id: "upstage/Solar-Open-100B", contextTokens: 131_072, maxOutputTokens: 32_768 },
  { id: "solar-pro3", contextTokens: 128_000, maxOutputTokens: 16_384 },
  { id: "skt/A.X-K1", contextTokens: 131_072, maxOutputTokens: 32_768 },
  { id: "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B", contextTokens: 32_768, maxOutputTokens: 16_384 },
  { id: "HCX-007", contextTokens: 128_000, maxOutputTokens: 32_768 },
  { id: "NC-AI-consortium-VAETKI/VAETKI", contextTokens: 32_768, maxOutputTokens: 16_384 },
];

/** 2025-12-31T00:00:00Z, K-EXAONE's release. */
const RELEASED = 1_767_139_200;

/**
 * `GET /v1/models`: OpenAI's list with Friendli's fields beside; prices are US dollars for one token, as strings, and
 * K-EXAONE's for all. `hostCap` is the most output tokens the host gives to one answer.
 */
export function modelList(models: readonly ServedModel[], hostCap: number): object {
  return {
    object: "list",
    data: models.map(({ id, contextTokens, maxOutputTokens }) => ({
      id,
      object: "model",
      created: RELEASED,
      owned_by: id.includes("/") ? id.slice(0, id.indexOf("/")) : "simulator",
      name: id,
      context_length: contextTokens,
      max_completion_tokens: Math.min(maxOutputTokens, hostCap),
      pricing: {
        input: "0.0000002",
        output: "0.0000008",
        prompt: "0.0000002",
        completion: "0.0000008",
        input_cache_read: "0.0000001",
      },
      functionality: { tool_call: true, builtin_tool: false, parallel_tool_call: true, structured_output: true },
      description: "A rule-based simulation for work without a network.",
      deprecation_date: null,
      hugging_face_url: id.includes("/") ? `https://huggingface.co/${id}` : null,
      license: id === MODEL_ID ? "K-EXAONE AI Model License Agreement" : null,
      discount_to_user: null,
    })),
  };
}
