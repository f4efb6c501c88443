import { type SpokenCall, toRawText } from "../model/utterance.ts";
import { parseObject, pythonJson } from "../python-json.ts";
import type { RawFault, Subject } from "./fault.ts";

const fault = (
  on: RawFault["on"],
  summary: string,
  rewrite: (subject: Subject) => string | { raw: string; cut: true },
): RawFault => ({
  layer: "raw",
  streams: "both",
  on,
  summary,
  rewrite: (subject) => {
    const result = rewrite(subject);
    return typeof result === "string" ? { raw: result } : result;
  },
});

/** The raw text again, with other calls. */
function withCalls({ think, text, thinking }: Subject, calls: readonly SpokenCall[]): string {
  return toRawText({ think, text, calls }, thinking);
}

/** The raw text with each call written in another way. */
function spelled(subject: Subject, spell: (call: SpokenCall) => string): string {
  const start = withCalls(subject, []);
  const blocks = subject.calls.map(spell).join("\n");
  return `${start}${subject.text === "" ? "" : "\n"}${blocks}`;
}

const argumentsOf = (call: SpokenCall): Record<string, unknown> => parseObject(call.json) ?? {};
const half = (text: string): string => text.slice(0, Math.ceil(text.length / 2));

export const RAW_FAULTS = {
  "think-leak-open-tag": fault(
    "any",
    "A whole `<think>…</think>` block stands in the content though thinking is off; with thinking on, the tag is doubled.",
    ({ raw, think, thinking }) => (thinking ? `<think>\n${raw}` : `<think>\n${think}\n</think>\n\n${raw}`),
  ),
  "think-unclosed": fault(
    "think",
    "The think block never closes: everything is reasoning, and the finish is stop.",
    (s) => s.raw.replace("</think>\n\n", ""),
  ),
  "call-as-text-attributes": fault(
    "call",
    'The calls are text in the form `<tool_call>{"f" name="f" arguments={…}}</tool_call>`.',
    (s) => spelled(s, ({ name, json }) => `<tool_call>{"${name}" name="${name}" arguments=${json}}</tool_call>`),
  ),
  "call-as-text-name-key": fault(
    "call",
    'The calls are text in the form `<tool_call>{"name_f": {…}}</tool_call>`.',
    (s) => spelled(s, ({ name, json }) => `<tool_call>{"name_${name}": ${json}}</tool_call>`),
  ),
  "call-as-text-xml": fault(
    "call",
    "The calls are text in the form `<tool_call>f` with `<arg_key>`, `<arg_value>` lines, as GLM writes them.",
    (s) =>
      spelled(s, (call) => {
        const lines = Object.entries(argumentsOf(call)).map(
          ([key, value]) =>
            `<arg_key>${key}</arg_key><arg_value>${typeof value === "string" ? value : pythonJson(value)}</arg_value>\n`,
        );
        return `<tool_call>${call.name}\n${lines.join("")}</tool_call>`;
      }),
  ),
  "call-in-think": fault("call", "The calls stand inside the think block, where no parser looks for them.", (s) => {
    const blocks = spelled({ ...s, text: "", thinking: false }, callBlock);
    return s.thinking ? `${s.think}\n${blocks}\n</think>\n\n${s.text}` : `<think>\n${blocks}\n</think>\n\n${s.text}`;
  }),
  "arguments-malformed": fault("call", "The arguments of the first call are no JSON: a key has lost its quotes.", (s) =>
    withCalls(
      s,
      s.calls.map((call, index) =>
        index > 0 ? call : { ...call, json: call.json === "{}" ? "{x: 1}" : call.json.replace(/^\{"([^"]*)"/, "{$1") },
      ),
    ),
  ),
  "arguments-truncated": fault("call", "The arguments of the last call end halfway, then the call is closed.", (s) =>
    withCalls(
      s,
      s.calls.map((call, index) => (index < s.calls.length - 1 ? call : { ...call, json: half(call.json) })),
    ),
  ),
  "unknown-tool": fault(
    "call",
    "The first call names a tool that was not offered: Read, known from other harnesses.",
    (s) =>
      withCalls(
        s,
        s.calls.map((call, index) => (index > 0 ? call : { ...call, name: "Read" })),
      ),
  ),
  "closing-tag-in-argument": fault(
    "call",
    "An argument string of the first call contains `</tool_call>`, which ends the call for some parsers.",
    (s) =>
      withCalls(
        s,
        s.calls.map((call, index) => (index > 0 ? call : { ...call, json: withClosingTag(call) })),
      ),
  ),
  "call-twice": fault("call", "The first call is made twice in one answer, with the same arguments.", (s) =>
    withCalls(s, [...s.calls.slice(0, 1), ...s.calls]),
  ),
  "endless-call": fault(
    "any",
    "Every step makes the same call again, the first of the turn, whatever came back; without a first there is none.",
    (s) => (s.repeatable === null ? s.raw : withCalls({ ...s, text: "" }, [s.repeatable])),
  ),
  "empty-answer": fault("text", "The final answer is empty but for the newlines after the think block.", (s) =>
    withCalls({ ...s, text: "" }, []),
  ),
  "length-mid-think": fault(
    "think",
    "The tokens run out halfway through the thinking: no content, finish length.",
    (s) => ({ raw: half(s.think), cut: true }),
  ),
  "length-mid-text": fault("text", "The tokens run out halfway through the final text.", (s) => ({
    raw: withCalls({ ...s, text: half(s.text) }, []),
    cut: true,
  })),
  "length-mid-call": fault("call", "The tokens run out inside the arguments of the last call.", (s) => {
    const last = s.calls.at(-1)?.json ?? "";
    const cutOff = last.length - half(last).length + "}</tool_call>".length;
    return { raw: s.raw.slice(0, -cutOff), cut: true };
  }),
} as const satisfies Record<string, RawFault>;

function callBlock({ name, json }: SpokenCall): string {
  return `<tool_call>{"name": ${JSON.stringify(name)}, "arguments": ${json}}</tool_call>`;
}

function withClosingTag(call: SpokenCall): string {
  const args = argumentsOf(call);
  const key = Object.keys(args).find((name) => typeof args[name] === "string") ?? "note";
  return pythonJson({ ...args, [key]: `${typeof args[key] === "string" ? args[key] : ""}</tool_call>` });
}
