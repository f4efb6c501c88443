import { countTokens } from "./tokens.ts";

/** Tokens in one block of the host's key-value cache; only whole blocks are reused. */
const BLOCK_TOKENS = 16;
/** Characters compared at a time; string slices share memory, so the compare is one memcmp. */
const STRIDE = 4_096;
/** API keys remembered; the one unused for longest is forgotten, so a key in every request cannot grow the process. */
const MAX_KEYS = 256;

export interface PrefixCache {
  /**
   * Tokens of `prompt` (it has `promptTokens`) that the previous request of the same key had already put into the
   * cache: the longest common start of both rendered prompts in whole blocks, and never the whole prompt, since the
   * host must compute at least the last token. Remembers `prompt` for the next call.
   */
  cachedTokens(key: string, prompt: string, promptTokens: number): number;
}

export function createPrefixCache(): PrefixCache {
  const previous = new Map<string, string>();
  return {
    cachedTokens(key, prompt, promptTokens) {
      const last = previous.get(key);
      previous.delete(key);
      previous.set(key, prompt);
      if (previous.size > MAX_KEYS) for (const oldest of previous.keys()) if (previous.delete(oldest)) break;
      if (last === undefined) return 0;
      const common = commonPrefixLength(last, prompt);
      const tokens =
        common === prompt.length ? promptTokens - 1 : Math.min(countTokens(prompt.slice(0, common)), promptTokens - 1);
      return Math.max(0, Math.floor(tokens / BLOCK_TOKENS) * BLOCK_TOKENS);
    },
  };
}

function commonPrefixLength(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at + STRIDE <= end && a.slice(at, at + STRIDE) === b.slice(at, at + STRIDE)) at += STRIDE;
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}
