import { pythonJson } from "../python-json.ts";
import { type Arguments, fillArguments } from "./arguments.ts";
import type { Turn } from "./conversation.ts";
import { type Reading, readText } from "./reading.ts";
import { asksForEarlier, isAboutUser } from "./recall.ts";
import { type KnownTool, toolsFor } from "./tool-match.ts";

export interface PlannedCall {
  readonly tool: KnownTool;
  readonly args: Arguments;
}

/** What a text asks for: calls to make, or what must be asked first. Neither: nothing for the tools. */
export interface Plan {
  readonly calls: readonly PlannedCall[];
  readonly ask: { readonly tool: KnownTool; readonly missing: readonly string[] } | null;
}

const NOTHING: Plan = { calls: [], ask: null };
/** Calls planned for one turn at most. */
const MAX_CALLS = 16;

/** Whether two calls are the same: name and canonical arguments. */
export function callKey(name: string, args: Readonly<Record<string, unknown>>): string {
  const sorted = Object.fromEntries(Object.entries(args).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  return `${name} ${pythonJson(sorted)}`;
}

/** The plan for a user text; what it leaves open ("그럼 부산은?") is taken from the earlier turns. */
export function planFor(text: string, earlier: readonly Turn[], tools: readonly KnownTool[], today: string): Plan {
  if (text === "" || tools.length === 0 || asksForEarlier(text)) return NOTHING;
  const direct = planText(text, tools, today);
  if (direct.calls.length > 0 || direct.ask !== null) return direct;
  if (isAboutUser(text)) return NOTHING;
  return planFollowUp(readText(text, today), earlier, tools, today);
}

/** Plans kept for one tool set: an agent asks again with the same user text after each of its steps. */
const MAX_PLANS = 512;
const plans = new WeakMap<readonly KnownTool[], Map<string, Plan>>();

function planText(text: string, tools: readonly KnownTool[], today: string): Plan {
  const key = `${today} ${text}`;
  const known = plans.get(tools) ?? new Map<string, Plan>();
  const plan = known.get(key) ?? readPlan(text, tools, today);
  if (known.size >= MAX_PLANS) known.clear();
  // A long text is looked at once more rather than kept.
  if (key.length < 4_096) known.set(key, plan);
  plans.set(tools, known);
  return plan;
}

function readPlan(text: string, tools: readonly KnownTool[], today: string): Plan {
  const whole = toolsFor(text, tools);
  if (whole.length === 0) return NOTHING;
  const parts = clauses(text);
  // "서울 날씨랑 부산 미세먼지" is two requests, "서울과 부산의 날씨와 미세먼지" one: split only where every part
  // asks for a tool and names a place of its own.
  if (parts.length > 1 && whole.length > 1) {
    const each = parts.map((part) => fillAll(toolsFor(part, tools), readText(part, today)));
    const alone = parts.every((part) => readText(part, today).cities.length > 0);
    if (alone && each.every((plan) => plan.calls.length > 0))
      return { calls: unique(each.flatMap((plan) => plan.calls)), ask: null };
  }
  return fillAll(whole, readText(text, today));
}

function clauses(text: string): string[] {
  return text
    .slice(0, 1_000)
    .split(/그리고|하고|(?<=[가-힣])(?:이랑|랑|와|과)\s|,|;|\band\b/i)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function fillAll(chosen: readonly KnownTool[], reading: Reading, previous?: ReadonlyMap<string, Arguments>): Plan {
  const calls: PlannedCall[] = [];
  let ask: Plan["ask"] = null;
  for (const tool of chosen) {
    const before = previous?.get(tool.name);
    const filled = fillArguments(tool.parameters, { reading, ...(before === undefined ? {} : { previous: before }) });
    if (filled.missing.length > 0) ask ??= { tool, missing: filled.missing };
    else calls.push(...filled.variants.map((args) => ({ tool, args })));
  }
  return calls.length > 0 ? { calls: unique(calls), ask: null } : { calls, ask };
}

function unique(calls: readonly PlannedCall[]): PlannedCall[] {
  return [...new Map(calls.map((call) => [callKey(call.tool.name, call.args), call])).values()].slice(0, MAX_CALLS);
}

const FOLLOWS =
  /^(?:그럼|그러면|그렇다면|그리고|then|and|what about|how about|also)\b|^(?:그럼|그러면|그렇다면|그리고)/i;

/** A short text that brings a new value for what an earlier turn was about. */
function planFollowUp(reading: Reading, earlier: readonly Turn[], tools: readonly KnownTool[], today: string): Plan {
  const text = reading.text.trim();
  const follows = FOLLOWS.test(text);
  const short = text.length <= 40;
  // A day or a number alone ("오늘 고마워") is too little to take for a new request, unless little else is said.
  const brings =
    ((follows || short) && reading.cities.length + reading.expressions.length > 0) ||
    ((follows || /(?:은|는)\s?\?*$/.test(text)) && short && reading.dates.length > 0) ||
    ((follows || text.length <= 24) && reading.identifiers.length + reading.currencies.length > 0);
  if (!brings) return NOTHING;
  for (const turn of earlier.slice(-8).reverse()) {
    const made = turn.calls.flatMap((call) => {
      const tool = tools.find((candidate) => candidate.name === call.name && !candidate.submits);
      return tool === undefined ? [] : [{ tool, args: call.args ?? {} }];
    });
    // A history without its calls (some platforms keep texts only) still tells what the user had asked for.
    const planned = made.length > 0 ? null : planText(turn.text, tools, today);
    const past =
      planned === null ? made : planned.ask === null ? planned.calls : [{ tool: planned.ask.tool, args: {} }];
    if (past.length === 0) continue;
    const previous = new Map<string, Arguments>();
    for (const { tool, args } of past) if (!previous.has(tool.name)) previous.set(tool.name, args);
    const again = [...new Set(past.map(({ tool }) => tool))];
    return fillAll(again, reading, previous);
  }
  return NOTHING;
}
