import { parseObject, pythonJson } from "../python-json.ts";
import type { ChatRequest } from "../request.ts";
import { fillArguments } from "./arguments.ts";
import { type Conversation, readConversation } from "./conversation.ts";
import { type Directives, readDirectives } from "./directives.ts";
import { quotation } from "./korean.ts";
import { callKey, type Plan, planFor } from "./plan.ts";
import { readText } from "./reading.ts";
import { acknowledge, recall } from "./recall.ts";
import { answerFrom, errorIn, factsFrom } from "./results.ts";
import { finalAnswer, nextScriptedCalls } from "./script.ts";
import { type KnownTool, readTools } from "./tool-match.ts";
import type { SpokenCall, Utterance } from "./utterance.ts";

/** A model's decision, and what its scripts ask of the transport. */
export interface Spoken {
  readonly utterance: Utterance;
  readonly directives: Directives;
}

/**
 * The rule-based model. It picks the offered tools that fit the last user text, fills their arguments from it, answers
 * from the results, and without a fitting tool says plainly that it is a simulation. `today` is `YYYY-MM-DD`.
 * The same request always gives the same utterance. `toolTurn` is the rendered tool turn: it identifies the tool set.
 */
export function speak(request: ChatRequest, toolTurn: string, today: string): Spoken {
  const conversation = readConversation(request.messages);
  const directives = readDirectives(conversation.directiveSources);
  const tools = readTools(request.tools, toolTurn);
  const utterance = decide(request, conversation, directives, tools, today);
  const chosen = withinChoice(request, conversation, tools, utterance, today);
  return {
    utterance: { ...chosen, calls: request.parallelToolCalls ? chosen.calls : chosen.calls.slice(0, 1) },
    directives,
  };
}

/**
 * What is left of an utterance under `tool_choice`. A host holds the model to it by a grammar: `required` and a named
 * tool give at least one call, of that tool, whose arguments are a JSON object; `none` gives no call.
 */
function withinChoice(
  request: ChatRequest,
  conversation: Conversation,
  tools: readonly KnownTool[],
  utterance: Utterance,
  today: string,
): Utterance {
  const choice = request.toolChoice;
  if (choice === "auto") return utterance;
  if (choice === "none") return { ...utterance, calls: [] };
  const offered = tools.filter(({ name }) => choice === "required" || name === choice.name);
  const calls = utterance.calls.filter(
    (call) => offered.some(({ name }) => name === call.name) && parseObject(call.json) !== null,
  );
  if (calls.length > 0) return { ...utterance, calls };
  const forced = forcedCall(request, conversation, tools, utterance.text, today);
  return forced === null ? utterance : { ...utterance, text: "", calls: [forced] };
}

function decide(
  request: ChatRequest,
  conversation: Conversation,
  directives: Directives,
  tools: readonly KnownTool[],
  today: string,
): Utterance {
  const { current, earlier, korean } = conversation;
  const callable = request.toolChoice === "none" ? [] : tools;
  const plan = planFor(current.text, earlier, callable, today);

  const scripted = request.toolChoice === "none" ? null : nextScriptedCalls(directives, current, plan, callable, today);
  if (scripted !== null) return { think: thinkCalls(conversation, scripted), text: "", calls: scripted };
  const ending = finalAnswer(directives, korean);
  if (ending !== null) return { think: thinkAnswer(conversation), text: ending, calls: [] };

  const scriptOver = directives.script.some((batch) => batch.kind !== "bad");
  const due = scriptOver ? [] : stillToCall(plan, conversation);
  if (due.length > 0) return { think: thinkCalls(conversation, due), text: "", calls: due };

  const answer = compose(conversation, plan, tools);
  const forced = forcedCall(request, conversation, callable, answer, today);
  if (forced !== null) return { think: thinkCalls(conversation, [forced]), text: "", calls: [forced] };
  return { think: thinkAnswer(conversation), text: inFormat(request, conversation, answer, today), calls: [] };
}

/** Planned calls that this turn has not made yet, in their order; a failed call counts as made. */
function stillToCall(plan: Plan, { current }: Conversation): SpokenCall[] {
  const made = new Set(current.calls.map((call) => (call.args === null ? "" : callKey(call.name, call.args))));
  return plan.calls
    .filter((call) => !made.has(callKey(call.tool.name, call.args)))
    .map((call) => ({ name: call.tool.name, json: pythonJson(call.args) }));
}

/** A call the request leaves no choice about: `required`, a named tool, or a tool that hands the answer in. */
function forcedCall(
  request: ChatRequest,
  conversation: Conversation,
  tools: readonly KnownTool[],
  answer: string,
  today: string,
): SpokenCall | null {
  const choice = request.toolChoice;
  const submit = tools.find((tool) => tool.submits);
  const handedIn =
    submit !== undefined &&
    conversation.current.calls.some(
      (call) => call.name === submit.name && call.result !== null && errorIn(call.result) === null,
    );
  const tool =
    typeof choice === "object"
      ? tools.find((candidate) => candidate.name === choice.name)
      : submit !== undefined && !handedIn
        ? submit
        : choice === "required"
          ? (planFor(conversation.current.text, conversation.earlier, tools, today).ask?.tool ?? tools[0])
          : undefined;
  if (tool === undefined) return null;
  return { name: tool.name, json: pythonJson(structured(tool.parameters, conversation, answer, today)) };
}

/** An object for a schema with nothing left out: from the results first, then the text, then the answer itself. */
function structured(
  schema: Readonly<Record<string, unknown>>,
  conversation: Conversation,
  answer: string,
  today: string,
): unknown {
  const reading = { ...readText(conversation.current.text, today), topic: "" };
  const facts = factsFrom(conversation.current.calls);
  return fillArguments(schema, { reading, facts, answer }).variants[0] ?? {};
}

function inFormat(request: ChatRequest, conversation: Conversation, answer: string, today: string): string {
  switch (request.responseFormat.type) {
    case "text":
      return answer;
    case "json_object":
      return JSON.stringify({ answer });
    case "json_schema":
      return JSON.stringify(structured(request.responseFormat.schema, conversation, answer, today));
  }
}

function compose({ current, earlier, korean }: Conversation, plan: Plan, tools: readonly KnownTool[]): string {
  const fromResults = answerFrom(current.calls, korean);
  if (fromResults !== "") return fromResults;
  if (plan.ask !== null) {
    const names = plan.ask.missing.join(", ");
    return korean
      ? `${plan.ask.tool.name}에 필요한 값을 알려 주세요: ${names}`
      : `To use ${plan.ask.tool.name} I need to know: ${names}. Could you tell me?`;
  }
  return (
    recall(current.text, earlier, korean) ??
    acknowledge(current.text, korean) ??
    plainAnswer(current.text, korean, tools)
  );
}

function plainAnswer(text: string, korean: boolean, tools: readonly KnownTool[]): string {
  if (text === "") return "Hello. I am a simulation of K-EXAONE; ask me something.";
  if (text.length < 40 && /^(?:안녕|반가|하이)/.test(text)) {
    return "안녕하세요! 저는 K-EXAONE을 흉내 내는 오프라인 시뮬레이션입니다. 무엇을 도와드릴까요?";
  }
  if (text.length < 40 && /^(?:hi|hello|hey|good (?:morning|evening))\b/i.test(text)) {
    return "Hello! I am an offline simulation of K-EXAONE. How can I help?";
  }
  const names = tools
    .filter((tool) => !tool.submits)
    .slice(0, 8)
    .map((tool) => tool.name)
    .join(", ");
  if (korean) {
    const offered = names === "" ? "" : ` 쓸 수 있는 도구(${names}) 가운데 이 질문에 맞는 것도 없습니다.`;
    return `${quotation(text, 200)} 하셨습니다. 저는 K-EXAONE을 흉내 내는 오프라인 시뮬레이션이라 실제 지식으로 답하지 않습니다.${offered}`;
  }
  const offered = names === "" ? "" : ` None of the tools I have (${names}) fits it.`;
  const quote = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return `You said: “${quote}” I am an offline simulation of K-EXAONE, so I have no knowledge of my own to answer with.${offered}`;
}

function thinkCalls({ current, korean }: Conversation, calls: readonly SpokenCall[]): string {
  const names = [...new Set(calls.map((call) => call.name))].join(", ");
  return korean
    ? `사용자가 ${quotation(current.text, 80)} 했다. ${names} 도구를 ${calls.length}번 부르면 된다.`
    : `The user said “${current.text.slice(0, 80)}”. I should call ${names} (${calls.length === 1 ? "one call" : `${calls.length} calls`}).`;
}

function thinkAnswer({ current, korean }: Conversation): string {
  const results = current.calls.filter((call) => call.result !== null).length;
  if (results > 0) {
    return korean
      ? `도구 결과 ${results}개를 받았다. 값을 문장으로 옮겨 답하자.`
      : `I have ${results} tool ${results === 1 ? "result" : "results"}. I will put the values into an answer.`;
  }
  return korean ? "도구 없이 바로 답하면 된다." : "No tool is needed here. I will answer directly.";
}
