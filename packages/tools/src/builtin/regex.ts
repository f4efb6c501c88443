import type { Matcher } from "re2js";
import { type Builtin, Refusal } from "./builtin.ts";
import { checkWork, compileLinear } from "./linear-regex.ts";

const MAX_TEXT = 100_000;
const MAX_MATCHES = 1_000;
const MAX_OUTPUT = 400_000;
/**
 * One search is linear, yet a thousand of them need not be: each may look through the rest of the text before it settles
 * for a short match. How far a search looks can't be counted from outside, so the processor's time ends them: by the clock
 * a busy machine would give up on what is easy.
 */
const MAX_CPU_US = 200_000;

export const regex: Builtin = {
  description:
    "Searches a text with a regular expression in RE2 syntax (like JavaScript's, without lookaround and back-references). " +
    "action: match (does it occur?), extract (all matches with their groups), replace, split. " +
    'Example: {"action": "extract", "pattern": "(\\\\d+)원", "text": "3000원, 500원"}',
  parameters: {
    type: "object",
    properties: {
      action: { type: "string", enum: ["match", "extract", "replace", "split"] },
      pattern: { type: "string", description: "For example ^\\d{3}-\\d{4}$", minLength: 1, maxLength: 256 },
      text: { type: "string", maxLength: MAX_TEXT },
      flags: {
        type: "string",
        description: "Any of i (ignore case), m (^ and $ at every line), s (dot matches line ends)",
        pattern: "^[ims]*$",
        maxLength: 3,
      },
      replacement: {
        type: "string",
        description: "For replace: $1 or $<name> is a group, $& the match, $$ a dollar; default empty",
        maxLength: 1_000,
      },
    },
    required: ["action", "pattern", "text"],
    additionalProperties: false,
  },
  run({ action, pattern, text, flags = "", replacement = "" }) {
    const source = String(text);
    const compiled = compileLinear(String(pattern), String(flags));
    checkWork(compiled, source);
    const matcher = compiled.matcher(source);
    switch (action) {
      case "match": {
        const matches = matcher.find();
        return JSON.stringify({ matches, ...(matches ? { first: matchOf(matcher) } : {}) });
      }
      case "extract": {
        const matches: object[] = [];
        const more = eachMatch(matcher, () => matches.push(matchOf(matcher)));
        return answer({ count: matches.length, matches }, more);
      }
      case "replace": {
        let [result, end, count] = ["", 0, 0];
        const more = eachMatch(matcher, () => {
          result += source.slice(end, matcher.start()) + expand(String(replacement), matcher);
          end = matcher.end();
          count++;
          checkSize(result.length);
        });
        if (more) throw new Refusal(`There are more than ${MAX_MATCHES} matches: replace in parts of the text.`);
        return JSON.stringify({ count, text: result + source.slice(end) });
      }
      default: {
        const parts: string[] = [];
        let end = 0;
        const more = eachMatch(matcher, () => {
          // An empty match splits between characters, not before the first or after the last.
          const empty = matcher.start() === matcher.end();
          if (empty && (matcher.start() === 0 || matcher.start() === source.length)) return;
          parts.push(source.slice(end, matcher.start()));
          end = matcher.end();
        });
        parts.push(source.slice(end));
        return answer({ count: parts.length, parts }, more);
      }
    }
  },
};

/** @returns whether there are more matches than are looked at */
function eachMatch(matcher: Matcher, take: () => void): boolean {
  const before = process.threadCpuUsage();
  for (let count = 0; matcher.find(); count++) {
    if (count === MAX_MATCHES) return true;
    take();
    const { user, system } = process.threadCpuUsage(before);
    if (user + system > MAX_CPU_US)
      throw new Refusal("This pattern takes too long to find all matches in this text: search parts of the text.");
  }
  return false;
}

function matchOf(matcher: Matcher): object {
  const named = matcher.getNamedGroups();
  return {
    match: matcher.group(),
    index: matcher.start(),
    ...(matcher.groupCount() === 0
      ? {}
      : { groups: Array.from({ length: matcher.groupCount() }, (_, at) => matcher.group(at + 1)) }),
    ...(Object.keys(named).length === 0 ? {} : { named }),
  };
}

/** As JavaScript's String.replace reads a replacement. */
function expand(replacement: string, matcher: Matcher): string {
  return replacement.replace(
    /\$(?:(\$|&)|(\d{1,2})|<([^>]*)>)/g,
    (written, sign?: string, digits?: string, name?: string) => {
      if (sign !== undefined) return sign === "$" ? "$" : (matcher.group() ?? "");
      if (name !== undefined) return matcher.getNamedGroups()[name] ?? "";
      // $10 is the tenth group where there are ten, else the first and a 0.
      for (const length of [2, 1]) {
        const number = Number(digits?.slice(0, length));
        if (number >= 1 && number <= matcher.groupCount())
          return (matcher.group(number) ?? "") + (digits?.slice(length) ?? "");
      }
      return written;
    },
  );
}

function checkSize(length: number): void {
  if (length > MAX_OUTPUT) throw new Refusal(`The result has more than ${MAX_OUTPUT} characters.`);
}

function answer(result: object, more: boolean): string {
  const text = JSON.stringify(more ? { ...result, cut: `only the first ${MAX_MATCHES} matches` } : result);
  checkSize(text.length);
  return text;
}
