import { parseObject, pythonJson } from "./python-json.ts";
import type { ChatMessage, ToolDefinition } from "./request.ts";

const END = "<|endofturn|>\n";

/**
 * The prompt K-EXAONE sees after its tool turn `toolTurn` (see `renderToolTurn`), byte for byte as its chat template renders it.
 *
 * - Tools are the first turn, before the system turn, so another tool set shares no cached prefix.
 * - Every assistant turn has a think block, filled only after the last user message (interleaved thinking).
 * - Results of one batch share one tool turn and carry neither id nor name: the model pairs them with the calls by order.
 * - The text ends inside an open think block; without thinking the block is closed and empty.
 */
export function renderPrompt(toolTurn: string, messages: readonly ChatMessage[], thinking: boolean): string {
  let text = toolTurn;
  const lastUser = messages.findLastIndex((message) => message.role === "user");
  messages.forEach((message, index) => {
    switch (message.role) {
      case "system":
      case "user":
        text += `<|${message.role}|>\n${message.content}${END}`;
        break;
      case "assistant": {
        const reasoning = index > lastUser ? message.reasoning.trim() : "";
        const parts = message.calls.map((call) => {
          // The model's own text goes back as it was written; a host has no use for arguments that are no object.
          const args = parseObject(call.arguments) === null ? "{}" : call.arguments;
          return `<tool_call>{"name": ${JSON.stringify(call.name)}, "arguments": ${args}}</tool_call>`;
        });
        const content = message.content.trim();
        if (content !== "") parts.unshift(content);
        text += `<|assistant|>\n<think>\n${reasoning}\n</think>\n\n${parts.join("\n")}${END}`;
        break;
      }
      case "tool":
        text += messages[index - 1]?.role === "tool" ? "\n" : "<|tool|>\n";
        text += `<tool_result>${message.content}</tool_result>`;
        if (messages[index + 1]?.role !== "tool") text += END;
        break;
    }
  });
  return `${text}<|assistant|>\n<think>\n${thinking ? "" : "\n</think>\n\n"}`;
}

/** The turn that declares the tools; empty without tools. */
export function renderToolTurn(tools: readonly ToolDefinition[]): string {
  if (tools.length === 0) return "";
  const lines = tools.map((tool) => `<tool>${pythonJson(tool)}</tool>\n`);
  return `<|tool_declare|>\n# Tools\n${lines.join("")}${END}`;
}
