const MAX_PATTERN = 256;
/** What all patterns of one check may cost together: some 0.2 s of the event loop at the very worst. */
export const MAX_STEPS = 20_000_000;
/** A pattern that can't judge this many characters within the steps is not admitted. */
const MIN_TEXT = 64;

export type PatternVerdict =
  /** `steps`: the most that matching a text of so many characters can take. */
  { readonly ok: true; readonly steps: (length: number) => number } | { readonly ok: false; readonly detail: string };

const refuse = (detail: string): PatternVerdict => ({ ok: false, detail });

/**
 * Whether a regular expression may run on texts a model writes. JavaScript's engine backtracks: on failure it tries
 * every way to spread a text over the pattern's choices. Nothing repeated may itself repeat or branch, so those ways are
 * at most `choices × C(n + repeats, repeats)` for a text of n characters.
 */
export function judgePattern(pattern: string): PatternVerdict {
  if (pattern.length > MAX_PATTERN) return refuse(`A pattern may have ${MAX_PATTERN} characters.`);
  try {
    new RegExp(pattern, "u");
  } catch {
    return refuse("Is not a regular expression.");
  }
  const open: { variable: boolean; branches: number }[] = [{ variable: false, branches: 1 }];
  const top = open[0] as { variable: boolean; branches: number };
  let choices = 1;
  let repeats = 0;
  /** The group that has just been closed, when the next character may repeat it. */
  let closed: { variable: boolean } | null = null;

  for (let index = 0; index < pattern.length; index++) {
    const char = pattern[index] as string;
    const group = open.at(-1) ?? top;
    const repeat = /^(?:[*+?]|\{\d+(?:,\d*)?\})/.exec(pattern.slice(index))?.[0];
    if (repeat !== undefined) {
      const [, least = "0", comma = "", most = ""] = /^\{(\d+)(,?)(\d*)\}$/.exec(repeat) ?? [];
      if (closed?.variable && repeat !== "?")
        return refuse("A repeated group must not repeat or branch inside: its matching time could explode.");
      if (repeat === "*" || repeat === "+" || (comma === "," && most === "")) repeats++;
      else if (repeat === "?") choices *= 2;
      else if (comma === ",") choices *= Number(most) - Number(least) + 1;
      if (repeat === "?" || comma === "," || repeat === "*" || repeat === "+") group.variable = true;
      index += repeat.length - 1;
      if (pattern[index + 1] === "?") index++;
      closed = null;
      continue;
    }
    closed = null;
    if (char === "\\") {
      const next = pattern[index + 1] ?? "";
      if (/[1-9k]/.test(next)) return refuse("Back-references are not supported.");
      index = /[upP]/.test(next) && pattern[index + 2] === "{" ? pattern.indexOf("}", index) : index + 1;
    } else if (char === "[") {
      while (pattern[++index] !== "]") if (pattern[index] === "\\") index++;
    } else if (char === "(") {
      if (pattern[index + 1] === "?" && pattern[index + 2] !== ":")
        return refuse("Lookaround, named groups and flags inside a pattern are not supported.");
      if (pattern[index + 1] === "?") index += 2;
      open.push({ variable: false, branches: 1 });
    } else if (char === "|") {
      group.branches++;
      group.variable = true;
    } else if (char === ")") {
      open.pop();
      choices *= group.branches;
      closed = group;
      if (group.variable) (open.at(-1) ?? top).variable = true;
    }
  }
  choices *= top.branches;
  // Without an anchor the engine starts anew at every character.
  if (!pattern.startsWith("^") || top.branches > 1) repeats++;
  const steps = (length: number): number => {
    let ways = choices;
    for (let count = 1; count <= repeats; count++) ways *= (length + count) / count;
    return ways;
  };
  return steps(MIN_TEXT) > MAX_STEPS ? refuse(TOO_MANY) : { ok: true, steps };
}

const TOO_MANY = "Has too many choices and repeats: its matching time could explode. Anchor it with ^, or simplify it.";
