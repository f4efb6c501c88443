import { parseJson } from "../python-json.ts";
import { isObject } from "../validation-error.ts";
import type { StreamItem, WireObject } from "../wire/envelope.ts";
import { callsOf, choiceOf, chunk, gatherCalls, inTheMiddle, type Part, partsOf, withoutFinish } from "./chunks.ts";
import type { WireFault } from "./fault.ts";

const fault = (
  streams: WireFault["streams"],
  on: WireFault["on"],
  summary: string,
  change: Pick<WireFault, "parsers" | "body" | "items">,
): WireFault => ({ layer: "wire", streams, on, summary, ...change });

/** The same change to each call of a body and to each part of a call in a stream. */
function onCalls(change: (part: Part, index: number) => void): Pick<WireFault, "body" | "items"> {
  return {
    body(body) {
      callsOf(body).forEach(change);
      return body;
    },
    items(items) {
      for (const item of items) for (const part of partsOf(item)) change(part, part.index ?? 0);
      return items;
    },
  };
}
const onParts = (change: (part: Part) => void): Pick<WireFault, "items"> => ({
  items: onCalls(change).items as NonNullable<WireFault["items"]>,
});

/** The finish reason of the answer, replaced. */
function finishAs(finish: unknown): Pick<WireFault, "body" | "items"> {
  return {
    body(body) {
      const choice = choiceOf(body);
      if (choice !== undefined) choice.finish_reason = finish;
      return body;
    },
    items(items) {
      for (const choice of items.map(choiceOf)) if (choice?.finish_reason != null) choice.finish_reason = finish;
      return items;
    },
  };
}

/** Arguments replaced as a whole: in a stream they come with the name, and no parts follow. */
function argumentsAs(value: (text: string) => unknown): Pick<WireFault, "body" | "items"> {
  return {
    body(body) {
      for (const call of callsOf(body)) call.function.arguments = value(String(call.function.arguments));
      return body;
    },
    items: (items) =>
      gatherCalls(items, (calls, put) => {
        for (const call of calls)
          put([{ ...call, function: { ...call.function, arguments: value(String(call.function.arguments)) } }]);
      }),
  };
}

function hermes(calls: readonly Part[]): string {
  return calls
    .map(
      ({ function: fn }) => `<tool_call>{"name": ${JSON.stringify(fn.name)}, "arguments": ${fn.arguments}}</tool_call>`,
    )
    .join("\n");
}

const IN_STREAM_429 = { error: { message: "Too many requests", type: "rate_limit", code: "429", status: 429 } };

export const WIRE_FAULTS = {
  "think-leak-bare-close": fault(
    "both",
    "think",
    "The reasoning parser is off: reasoning stands in the content, ended by a bare `</think>`.",
    { parsers: (context) => ({ ...context, reasoningParserOff: true }) },
  ),
  "call-as-text-hermes": fault(
    "both",
    "call",
    "The tool parser is off: the calls are `<tool_call>` text in the content, and the finish is stop.",
    { parsers: (context) => ({ ...context, toolChoice: "none" }) },
  ),
  "reasoning-renamed": fault("both", "think", "Reasoning comes under the other of its two names.", {
    body(body) {
      rename(choiceOf(body)?.message);
      return body;
    },
    items(items) {
      for (const choice of items.map(choiceOf)) rename(choice?.delta ?? undefined);
      return items;
    },
  }),
  "duplicate-text-and-call": fault(
    "both",
    "call",
    "The calls come twice: as calls, and as `<tool_call>` text in the content.",
    {
      body(body) {
        const message = choiceOf(body)?.message;
        if (message !== undefined) message.content = `${message.content ?? ""}${hermes(callsOf(body))}`;
        return body;
      },
      items: (items) =>
        gatherCalls(items, (calls, put) => {
          for (const call of calls) put([call]);
        }).flatMap((item, index, all) => {
          const first = all.findIndex((one) => partsOf(one).length > 0);
          return index === first ? [chunk({ content: hermes(all.flatMap(partsOf)) }), item] : [item];
        }),
    },
  ),
  "arguments-object": fault(
    "both",
    "call",
    "The arguments are a JSON object instead of its text.",
    argumentsAs((text) => parseJson(text) ?? {}),
  ),
  "arguments-null": fault(
    "both",
    "call",
    "The arguments are null.",
    argumentsAs(() => null),
  ),
  "arguments-empty": fault(
    "both",
    "call",
    "The arguments are an empty string.",
    argumentsAs(() => ""),
  ),
  "id-missing": fault(
    "both",
    "call",
    "The calls have no id.",
    onCalls((part) => void delete part.id),
  ),
  "id-twice": fault(
    "both",
    "call",
    "All calls of the answer have the same id.",
    onCalls((part) => {
      if (part.id) part.id = "call_0";
    }),
  ),
  "id-per-delta": fault("stream", "call", "Every part of a call has another id; only the first has a name.", {
    items(items) {
      const parts = items.flatMap(partsOf);
      for (const [index, part] of parts.entries()) part.id = `call_${index.toString(16).padStart(10, "0")}`;
      return items;
    },
  }),
  "index-missing": fault(
    "stream",
    "call",
    "The parts of calls have no index.",
    onParts((part) => void delete part.index),
  ),
  "index-always-zero": fault(
    "stream",
    "call",
    "Every part of every call has index 0.",
    onParts((part) => {
      part.index = 0;
    }),
  ),
  "name-twice": fault("stream", "call", "Every part of a call says the name again.", {
    items(items) {
      let name: string | null | undefined;
      for (const part of items.flatMap(partsOf)) {
        name = part.function.name ?? name;
        part.function.name = name;
      }
      return items;
    },
  }),
  "two-calls-in-one-chunk": fault("stream", "call", "All calls come complete in one chunk.", {
    items: (items) => gatherCalls(items, (calls, put) => put([...calls])),
  }),
  "tool-delta-before-reasoning": fault("stream", "call", "The parts of calls come before reasoning and text.", {
    items(items) {
      const separate = items.flatMap(withoutFinish);
      const isCall = (item: StreamItem): boolean => partsOf(item).length > 0;
      return [...separate.filter(isCall), ...separate.filter((item) => !isCall(item))];
    },
  }),
  "delta-null": fault("stream", "any", "One chunk has delta: null.", {
    items: (items) => inTheMiddle(items, chunk(null)),
  }),
  "choices-missing": fault("stream", "any", "One chunk has no choices at all.", {
    items: (items) => inTheMiddle(items, { object: "chat.completion.chunk" }),
  }),
  "finish-twice": fault("stream", "any", "The chunk with the finish reason comes twice.", {
    items: (items) => {
      const separate = items.flatMap(withoutFinish);
      return separate.flatMap((item) =>
        choiceOf(item)?.finish_reason != null ? [item, structuredClone(item)] : [item],
      );
    },
  }),
  "finish-missing": fault("both", "any", "The finish reason stays null to the end.", finishAs(null)),
  "finish-null-string": fault("both", "any", 'The finish reason is the string "null".', finishAs("null")),
  "finish-abort": fault(
    "both",
    "any",
    "The finish reason is abort, as when the engine drops a request.",
    finishAs("abort"),
  ),
  "finish-content-filter": fault("both", "any", "The finish reason is content_filter.", finishAs("content_filter")),
  "stop-with-calls": fault("both", "call", "The finish reason is stop though there are calls.", finishAs("stop")),
  "tool-calls-without-calls": fault(
    "both",
    "text",
    "The finish reason is tool_calls though there are none.",
    finishAs("tool_calls"),
  ),
  "length-with-calls": fault(
    "both",
    "call",
    "The finish reason is length though the calls are complete.",
    finishAs("length"),
  ),
  "usage-missing": fault("both", "any", "No token counts, though a stream asked for them.", {
    body({ usage: _dropped, ...body }) {
      return body;
    },
    items: (items) => items.filter((item) => item === "[DONE]" || !isObject(item.usage)),
  }),
  "usage-every-chunk": fault("stream", "any", "Every chunk has token counts, growing to the final ones.", {
    items: everyUsage,
  }),
  "usage-null-details": fault("both", "any", "The details of the token counts are null.", {
    body(body) {
      nullDetails(body);
      return body;
    },
    items(items) {
      for (const item of items) if (item !== "[DONE]") nullDetails(item);
      return items;
    },
  }),
  "error-429-in-stream": fault(
    "stream",
    "any",
    "Halfway through a stream with status 200 comes an error object with status 429.",
    {
      items: (items) => [...items.slice(0, Math.floor(items.length / 2)), IN_STREAM_429, "[DONE]"],
    },
  ),
  "error-500-in-stream": fault("stream", "any", "The first event of a stream with status 200 is an error object.", {
    items: () => [{ error: { message: "Internal server error", type: "server_error", code: 500 } }, "[DONE]"],
  }),
} as const satisfies Record<string, WireFault>;

function rename(holder: Record<string, unknown> | undefined): void {
  if (holder === undefined) return;
  const [from, to] = "reasoning" in holder ? ["reasoning", "reasoning_content"] : ["reasoning_content", "reasoning"];
  if (!(from in holder)) return;
  holder[to] = holder[from];
  delete holder[from];
}

function nullDetails(holder: WireObject): void {
  if (!isObject(holder.usage)) return;
  for (const name of Object.keys(holder.usage)) if (name.endsWith("_details")) holder.usage[name] = null;
}

function everyUsage(items: StreamItem[]): StreamItem[] {
  const total = items.findLast((item) => item !== "[DONE]" && isObject(item.usage));
  const counts = total === undefined || total === "[DONE]" ? {} : (total.usage as Record<string, unknown>);
  const prompt = typeof counts.prompt_tokens === "number" ? counts.prompt_tokens : 0;
  return items.map((item, index) => {
    if (item === "[DONE]" || item === total) return item;
    const completion = Math.min(
      index + 1,
      typeof counts.completion_tokens === "number" ? counts.completion_tokens : index + 1,
    );
    return {
      ...item,
      usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
    };
  });
}
