import { hash } from "node:crypto";

/** Hex digest that identifies a request: the same parts give the same digest on every machine and in every run. */
export function digestOf(parts: readonly (string | number | boolean)[]): string {
  return hash("sha256", parts.join("\u0000"), "hex");
}

/** Pseudo-random whole numbers in [min, max], the same sequence for the same digest (mulberry32). */
export function numbersFrom(digest: string): (min: number, max: number) => number {
  let state = Number.parseInt(digest.slice(0, 8), 16);
  return (min, max) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return min + (((mixed ^ (mixed >>> 14)) >>> 0) % (max - min + 1));
  };
}
