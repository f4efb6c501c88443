import { DIALECT_NAMES, type Dialect, type DialectName } from "./dialect.ts";
import { friendli } from "./friendli.ts";
import { openai } from "./openai.ts";
import { sglang } from "./sglang.ts";
import { vllm, vllmLegacy } from "./vllm.ts";

export const DIALECTS: Readonly<Record<DialectName, Dialect>> = {
  friendli,
  vllm,
  "vllm-legacy": vllmLegacy,
  sglang,
  openai,
};

/** The dialect of that name; undefined for any other word. */
export function dialectNamed(name: string): Dialect | undefined {
  const known = DIALECT_NAMES.find((candidate) => candidate === name);
  return known === undefined ? undefined : DIALECTS[known];
}
