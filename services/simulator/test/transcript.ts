import { readFileSync } from "node:fs";
import type { ChatMessage, RecordedCall, ToolDefinition } from "../src/request.ts";

/**
 * LG AI Research's published example of an agent's whole prompt (`examples/example_output_search.txt` of
 * github.com/LG-AI-EXAONE/K-EXAONE): two tools, nine assistant turns, no generation prompt at its end.
 */
export const TRANSCRIPT = readFileSync(new URL("data/k-exaone-search-transcript.txt", import.meta.url), "utf8");

/** The messages and tools a transcript was rendered from. */
export function parseTranscript(text: string): { tools: ToolDefinition[]; messages: ChatMessage[] } {
  const tools: ToolDefinition[] = [];
  const messages: ChatMessage[] = [];
  for (const turn of text.split(/<\|endofturn\|>\n?/).filter((piece) => piece !== "")) {
    const [, role = "", body = ""] = /^<\|([a-z_]+)\|>\n([\s\S]*)$/.exec(turn) ?? [];
    if (role === "tool_declare") {
      tools.push(...[...body.matchAll(/^<tool>(.*)<\/tool>$/gm)].map(([, json = ""]) => JSON.parse(json)));
    } else if (role === "system" || role === "user") messages.push({ role, content: body });
    else if (role === "assistant") messages.push(assistant(body));
    else if (role === "tool") {
      for (const [, content = ""] of body.matchAll(/<tool_result>([\s\S]*?)<\/tool_result>/g)) {
        messages.push({ role, content, toolCallId: `call_${messages.length}` });
      }
    } else throw new Error(`unknown turn: ${turn.slice(0, 40)}`);
  }
  return { tools, messages };
}

function assistant(body: string): ChatMessage {
  const [, reasoning = "", answer = ""] = /^<think>\n([\s\S]*?)\n<\/think>\n\n([\s\S]*)$/.exec(body) ?? [];
  const calls = [...answer.matchAll(/<tool_call>\{"name": "([^"]+)", "arguments": (.*)\}<\/tool_call>/g)];
  const content = calls[0] === undefined ? answer : answer.slice(0, calls[0].index);
  return {
    role: "assistant",
    content,
    reasoning,
    calls: calls.map(
      ([, name = "", args = ""], index): RecordedCall => ({ id: `call_${index}`, name, arguments: args }),
    ),
  };
}
