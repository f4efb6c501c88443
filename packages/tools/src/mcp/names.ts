import { createHash } from "node:crypto";
import { SUBMIT_TOOL } from "@maru/contract";

const MAX_NAME = 64;
const HASH_DIGITS = 6;

/**
 * The name a model knows a server's tool by. K-EXAONE's hosts take letters, digits, `_` and `-`; whatever had to be replaced
 * or cut is told apart by a hash of the whole, so that the name depends on nothing but the two it is made of.
 */
export function modelName(entry: string, tool: string): string {
  const plain = `${entry}_${tool}`;
  if (/^[A-Za-z0-9_-]+$/.test(tool) && plain.length <= MAX_NAME && plain !== SUBMIT_TOOL) return plain;
  const hash = createHash("sha256").update(tool).digest("hex").slice(0, HASH_DIGITS);
  const safe = plain
    .replace(/[^A-Za-z0-9_-]+/g, "_")
    .slice(0, MAX_NAME - HASH_DIGITS - 1)
    .replace(/_+$/, "");
  return `${safe}_${hash}`;
}

/** Whether a name fits a pattern, in which `*` stands for any characters. */
export function fits(pattern: string, name: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return name === pattern;
  if (!name.startsWith(first)) return false;
  const last = rest.pop() as string;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

export const isPattern = (name: string): boolean => name.includes("*");
