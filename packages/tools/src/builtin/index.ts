import type { BuiltinName, BuiltinToolSpec } from "@maru/contract";
import { failed, type PreparedTool, succeeded } from "../kind.ts";
import { createArgumentCheck } from "../schema/check.ts";
import { type Builtin, Refusal } from "./builtin.ts";
import { calculator } from "./calculator.ts";
import { currentTime } from "./current-time.ts";
import { dateMath } from "./date-math.ts";
import { jsonQuery } from "./json-query.ts";
import { regex } from "./regex.ts";
import { textDiff } from "./text-diff.ts";

/** Those that only compute. */
type Computing = Exclude<BuiltinName, "http_fetch">;

const BUILTINS: Record<Computing, Builtin> = {
  calculator,
  current_time: currentTime,
  date_math: dateMath,
  json_query: jsonQuery,
  regex,
  text_diff: textDiff,
};

export function prepareBuiltin({ name }: BuiltinToolSpec & { readonly name: Computing }): PreparedTool {
  const { description, parameters, run } = BUILTINS[name];
  return {
    declaration: { name, description, parameters },
    effect: "safe",
    checkArguments: createArgumentCheck(parameters),
    call: async (args, { now }) => {
      try {
        return succeeded(run(args, now));
      } catch (error) {
        if (error instanceof Refusal) return failed("tool_failed", error.message);
        throw error;
      }
    },
  };
}
