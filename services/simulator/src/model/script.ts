import { pythonJson } from "../python-json.ts";
import { type Arguments, fillArguments } from "./arguments.ts";
import { CITIES, cityNamed } from "./cities.ts";
import type { Turn } from "./conversation.ts";
import type { Directives } from "./directives.ts";
import type { Plan } from "./plan.ts";
import { readText } from "./reading.ts";
import { propertiesOf } from "./schema.ts";
import type { KnownTool } from "./tool-match.ts";
import type { SpokenCall } from "./utterance.ts";

/**
 * The calls a script has for this step of the turn; null when the script is over or there is nothing to call. A step is
 * known by how many messages with calls the turn has, so a repeated request gets the same step.
 */
export function nextScriptedCalls(
  directives: Directives,
  turn: Turn,
  plan: Plan,
  tools: readonly KnownTool[],
  today: string,
): readonly SpokenCall[] | null {
  // A loop plays its last scripted step for ever, or without a script the call the text asks for.
  const batch = directives.script[turn.batches] ?? (directives.loop ? directives.script.at(-1) : undefined);
  if (batch === undefined && !directives.loop) return null;
  if (batch?.kind === "calls") return batch.calls.length > 0 ? batch.calls : null;
  const call = baseCall(turn, plan, tools, today);
  if (call === null) return null;
  const json = pythonJson(call.args);
  if (batch?.kind === "bad") {
    // The closing brace is lost, or for a call without arguments the first key is left open: no JSON either way.
    return [{ name: call.tool.name, json: json === "{}" ? '{"' : json.slice(0, -1) }];
  }
  if (batch?.kind === "vary") {
    return [{ name: call.tool.name, json: pythonJson(varied(call.tool, call.args, batch.step)) }];
  }
  return [{ name: call.tool.name, json }];
}

/** The final answer a script asks for; null = the model's own. Words are numbered, so that a cut is easy to see. */
export function finalAnswer({ answer }: Directives, korean: boolean): string | null {
  if (answer === null) return null;
  if (answer === "empty") return "";
  return Array.from({ length: answer }, (_, index) => `${korean ? "낱말" : "word"}${index + 1}`).join(" ");
}

/** The call a script repeats: what the text asks for, else the first offered tool with whatever the text gives. */
function baseCall(
  turn: Turn,
  plan: Plan,
  tools: readonly KnownTool[],
  today: string,
): { readonly tool: KnownTool; readonly args: Arguments } | null {
  const planned = plan.calls[0];
  if (planned !== undefined) return planned;
  const tool = plan.ask?.tool ?? tools.find((candidate) => !candidate.submits) ?? tools[0];
  if (tool === undefined) return null;
  const filled = fillArguments(tool.parameters, {
    reading: readText(turn.text, today),
    answer: turn.text === "" ? "test" : turn.text,
  });
  return { tool, args: filled.variants[0] ?? {} };
}

/** Arguments for step `step` (1, 2, …) that differ from those of every other step, as far as the schema has room. */
function varied(tool: KnownTool, args: Arguments, step: number): Arguments {
  for (const [name, schema] of Object.entries(propertiesOf(tool.parameters))) {
    const options = schema.enum;
    const value = args[name];
    if (Array.isArray(options)) continue;
    if (typeof value === "number") return { ...args, [name]: value + step - 1 };
    if (typeof value !== "string") continue;
    const city = cityNamed(value);
    if (city === undefined) return { ...args, [name]: `${value} ${step}` };
    const places = CITIES.filter((place) => place.korean);
    const place = places[(places.indexOf(city) + step - 1) % places.length] ?? city;
    const round = Math.floor((step - 1) / places.length);
    return { ...args, [name]: `${city.ko === value ? place.ko : place.en}${round === 0 ? "" : ` ${round + 1}`}` };
  }
  for (const [name, schema] of Object.entries(propertiesOf(tool.parameters))) {
    const options = schema.enum;
    if (Array.isArray(options) && options.length > 0) return { ...args, [name]: options[(step - 1) % options.length] };
  }
  return args;
}
