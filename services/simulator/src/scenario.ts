import type { FaultName } from "./faults/faults.ts";
import { FAULTS, isFaultName } from "./faults/faults.ts";
import { readConversation } from "./model/conversation.ts";
import type { Utterance } from "./model/utterance.ts";
import { deeperThan, pythonJson } from "./python-json.ts";
import type { ChatRequest } from "./request.ts";
import { isObject, MAX_SCHEMA_DEPTH } from "./validation-error.ts";

/** Which requests a rule is for; all that is said must hold, nothing said holds for every request. */
export interface ScenarioMatch {
  /** A part of the last user message's text. */
  readonly user?: string;
  /** A part of some tool result since the last user message. */
  readonly result?: string;
  /** How many model steps with calls this turn already has: 0 = the first step. */
  readonly step?: number;
  /** Names that must all be among the offered tools. */
  readonly tools?: readonly string[];
}

/** What the model writes then. `raw` is the text after `<think>\n`, passed on as it stands; it replaces the others. */
export interface ScenarioAnswer {
  readonly think?: string;
  readonly text?: string;
  /** Arguments are an object, or their text as it is to be written. */
  readonly calls?: readonly { readonly name: string; readonly arguments?: object | string }[];
  readonly raw?: string;
  readonly fault?: FaultName;
}

export interface ScenarioRule {
  readonly when?: ScenarioMatch;
  readonly say: ScenarioAnswer;
}

/** The first rule that fits; a rule that says no step is a loop. */
export function ruleFor(rules: readonly ScenarioRule[], request: ChatRequest): ScenarioAnswer | null {
  if (rules.length === 0) return null;
  const { current } = readConversation(request.messages);
  const offered = request.tools.map((tool) => tool.function.name);
  const rule = rules.find(({ when: { user, result, step, tools } = {} }) => {
    if (user !== undefined && !current.text.includes(user)) return false;
    if (result !== undefined && !current.calls.some((call) => call.result?.includes(result))) return false;
    if (step !== undefined && step !== current.batches) return false;
    return tools === undefined || tools.every((name) => offered.includes(name));
  });
  return rule?.say ?? null;
}

/** What a rule has the model say; null when it only names a fault. */
export function utteranceOf(answer: ScenarioAnswer): (Utterance & { readonly raw?: string }) | null {
  const { think, text, calls, raw } = answer;
  if ([think, text, calls, raw].every((part) => part === undefined)) return null;
  return {
    think: think ?? "",
    text: text ?? "",
    calls: (calls ?? []).map((call) => ({
      name: call.name,
      json: typeof call.arguments === "string" ? call.arguments : pythonJson(call.arguments ?? {}),
    })),
    ...(raw === undefined ? {} : { raw }),
  };
}

/** Reads rules that came as JSON. @throws Error that says which rule is wrong */
export function readScenario(value: unknown): ScenarioRule[] {
  if (!Array.isArray(value)) throw new Error("a scenario is a list of rules");
  if (deeperThan(value, MAX_SCHEMA_DEPTH)) throw new Error("the scenario is nested too deeply");
  value.forEach((rule, index) => {
    const wrong = ruleError(rule);
    if (wrong !== null) throw new Error(`rule ${index}: ${wrong}`);
  });
  return value as ScenarioRule[];
}

const isText = (value: unknown): boolean => value === undefined || typeof value === "string";

function ruleError(rule: unknown): string | null {
  if (!isObject(rule) || !isObject(rule.say)) return "needs an object `say`";
  const when = rule.when ?? {};
  if (!isObject(when)) return "`when` is no object";
  if (!isText(when.user) || !isText(when.result)) return "`when.user` and `when.result` are texts";
  if (when.step !== undefined && !Number.isInteger(when.step)) return "`when.step` is a whole number";
  if (
    when.tools !== undefined &&
    !(Array.isArray(when.tools) && when.tools.every((name) => typeof name === "string"))
  ) {
    return "`when.tools` is a list of names";
  }
  return answerError(rule.say);
}

function answerError({ think, text, raw, calls, fault }: Record<string, unknown>): string | null {
  if (!isText(think) || !isText(text) || !isText(raw)) return "`think`, `text` and `raw` are texts";
  if (calls !== undefined) {
    if (!Array.isArray(calls)) return "`calls` is a list";
    if (!calls.every((call) => isObject(call) && typeof call.name === "string")) return "every call needs a name";
    if (!calls.every(({ arguments: args }) => isText(args) || isObject(args)))
      return "arguments are an object or a text";
  }
  if (fault !== undefined && !(typeof fault === "string" && isFaultName(fault))) return unknownFault(String(fault));
  return null;
}

export function unknownFault(name: string): string {
  return `no fault is named ${name.slice(0, 100)}; known are ${Object.keys(FAULTS).join(", ")}`;
}
