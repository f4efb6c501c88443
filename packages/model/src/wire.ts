/**
 * A chunk of a stream, or a whole answer that was not streamed, as hosts really send them: any part may be absent or null.
 * Numbers and texts are checked where they are read.
 */
export interface WireChunk {
  readonly model?: string | null;
  readonly usage?: WireUsage | null;
  readonly choices?: readonly WireChoice[] | null;
}
export interface WireChoice {
  readonly index?: number | null;
  readonly finish_reason?: string | null;
  readonly delta?: WireDelta | null;
  /** In place of `delta`, when the answer was not streamed. */
  readonly message?: WireDelta | null;
}
export interface WireDelta {
  readonly content?: string | null;
  readonly reasoning_content?: string | null;
  readonly reasoning?: string | null;
  /** CLOVA Studio's name for it. */
  readonly thinking_content?: string | null;
  readonly tool_calls?: readonly (WireToolDelta | null)[] | null;
}
export interface WireToolDelta {
  readonly index?: number | null;
  readonly id?: string | null;
  readonly function?: { readonly name?: string | null; readonly arguments?: string | object | null } | null;
}
export interface WireUsage {
  readonly prompt_tokens?: number | null;
  readonly completion_tokens?: number | null;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number | null } | null;
}
