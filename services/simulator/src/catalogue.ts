/** The one model this endpoint serves, under the id its host knows it by. */
export const MODEL_ID = "LGAI-EXAONE/K-EXAONE-236B-A23B";
/** Tokens of prompt and answer together. */
export const CONTEXT_TOKENS = 262_144;
/** 2025-12-31T00:00:00Z, the model's release. */
const RELEASED = 1_767_139_200;

/** `GET /v1/models`: OpenAI's list with Friendli's fields beside; prices are US dollars for one token, as strings. */
export function modelList(maxOutputTokens: number): object {
  return {
    object: "list",
    data: [
      {
        id: MODEL_ID,
        object: "model",
        created: RELEASED,
        owned_by: "LGAI-EXAONE",
        name: MODEL_ID,
        context_length: CONTEXT_TOKENS,
        max_completion_tokens: maxOutputTokens,
        pricing: {
          input: "0.0000002",
          output: "0.0000008",
          prompt: "0.0000002",
          completion: "0.0000008",
          input_cache_read: "0.0000001",
        },
        functionality: { tool_call: true, builtin_tool: false, parallel_tool_call: true, structured_output: true },
        description: "A rule-based simulation of K-EXAONE for work without a network.",
        deprecation_date: null,
        hugging_face_url: `https://huggingface.co/${MODEL_ID}`,
        license: "K-EXAONE AI Model License Agreement",
        discount_to_user: null,
      },
    ],
  };
}
