/**
 * What stands in a fresh engine before the user's code: a console, and the functions by which values cross as strings.
 * They keep the intrinsics they need, so code that replaces JSON or a prototype changes what it sees, not what is done
 * with it. There is no host function in the engine: what is printed is kept there and fetched at the end.
 *
 * Evaluates to [run, describe, printed]:
 *  run(fn, inputJson) → promise of a mark and text: `=` JSON, `0` nothing returned, `!` why it is no JSON
 *  describe(thrown) → length of the message, colon, message, stack
 *  printed() → the console's lines
 */
export const prelude = (consoleChars: number, consoleLines: number): string => `(() => {
  "use strict";
  const { stringify, parse } = JSON;
  const { setPrototypeOf } = Object;
  const text = String;
  const ErrorClass = Error;

  const lines = setPrototypeOf([], null);
  let room = ${consoleChars};
  const shown = (value) => {
    if (typeof value === "string") return value;
    try {
      if (typeof value !== "object" || value === null) return text(value);
      if (value instanceof ErrorClass) return text(value);
      return stringify(value) ?? text(value);
    } catch {
      return "[not printable]";
    }
  };
  const print = (...values) => {
    if (lines.length >= ${consoleLines} || room <= 0) return;
    let line = "";
    for (let index = 0; index < values.length; index++) line += (index === 0 ? "" : " ") + shown(values[index]);
    room -= line.length + 1;
    lines[lines.length] = line;
  };
  globalThis.console = { log: print, info: print, warn: print, error: print, debug: print };

  const encoded = (value) => {
    if (value === undefined) return "0";
    if (typeof value === "function" || typeof value === "symbol" || typeof value === "bigint")
      return "!A " + typeof value + " has no JSON.";
    try {
      const json = stringify(value);
      return json === undefined ? "!The value has no JSON." : "=" + json;
    } catch (error) {
      return "!" + shown(error instanceof ErrorClass ? error : "its conversion to JSON threw");
    }
  };
  const run = async (fn, input) => encoded(await fn(parse(input)));
  const describe = (thrown) => {
    let message = "";
    let stack = "";
    try {
      if (thrown instanceof ErrorClass) {
        message = text(thrown);
        stack = text(thrown.stack ?? "");
      } else message = shown(thrown) + " was thrown";
    } catch {
      message = "What was thrown can't be read";
    }
    return message.length + ":" + message + stack;
  };
  const printed = () => {
    let all = "";
    for (let index = 0; index < lines.length; index++) all += (index === 0 ? "" : "\\n") + lines[index];
    return all;
  };
  return [run, describe, printed];
})()`;
