import { deeperThan } from "./python-json.ts";
import type { ToolChoice, ToolDefinition } from "./request.ts";
import { type Fail, isObject, type Loc, MAX_SCHEMA_DEPTH } from "./validation-error.ts";

const TOOL_NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** Reads `tools`. Unknown keys are refused: platform metadata in a tool would become part of the prompt. */
export function readTools(value: unknown, fail: Fail): ToolDefinition[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    fail(["tools"], "list_type", "Input should be a valid list");
    return [];
  }
  for (const [index, tool] of value.entries()) checkTool(tool, ["tools", index], fail);
  return value as ToolDefinition[];
}

function checkTool(tool: unknown, loc: Loc, fail: Fail): void {
  if (!isObject(tool)) {
    fail(loc, "model_attributes_type", "Input should be a valid dictionary or object");
    return;
  }
  if (tool.type !== "function") fail([...loc, "type"], "literal_error", "Input should be 'function'");
  const fn = tool.function;
  if (!isObject(fn)) {
    fail([...loc, "function"], "missing", "Field required");
    return;
  }
  for (const key of Object.keys(tool)) {
    if (key !== "type" && key !== "function") fail([...loc, key], "extra_forbidden", "Extra inputs are not permitted");
  }
  for (const key of Object.keys(fn)) {
    if (key !== "name" && key !== "description" && key !== "parameters") {
      fail([...loc, "function", key], "extra_forbidden", "Extra inputs are not permitted");
    }
  }
  const { name, description, parameters } = fn;
  if (name === undefined) fail([...loc, "function", "name"], "missing", "Field required");
  else if (typeof name !== "string" || !TOOL_NAME.test(name)) {
    fail([...loc, "function", "name"], "string_pattern_mismatch", `String should match pattern '${TOOL_NAME.source}'`);
  }
  if (description !== undefined && description !== null && typeof description !== "string") {
    fail([...loc, "function", "description"], "string_type", "Input should be a valid string");
  }
  if (parameters === undefined) fail([...loc, "function", "parameters"], "missing", "Field required");
  else if (!isObject(parameters))
    fail([...loc, "function", "parameters"], "dict_type", "Input should be a valid dictionary");
  else if (deeperThan(parameters, MAX_SCHEMA_DEPTH)) {
    fail([...loc, "function", "parameters"], "value_error", "Value error, the schema is nested too deeply");
  }
}

/** Reads `tool_choice`; a named tool must be one of `tools`. */
export function readToolChoice(value: unknown, tools: readonly ToolDefinition[], fail: Fail): ToolChoice {
  if (value === undefined || value === null || value === "auto" || value === "none") return value ?? "auto";
  if (value === "required") {
    if (tools.length === 0) fail(["tool_choice"], "value_error", "Value error, tool_choice needs tools");
    return "required";
  }
  const fn = isObject(value) && value.type === "function" ? value.function : undefined;
  const name = isObject(fn) ? fn.name : undefined;
  if (typeof name !== "string") {
    fail(["tool_choice"], "literal_error", "Input should be 'none', 'auto', 'required' or a function");
  } else if (!tools.some((tool) => isObject(tool) && isObject(tool.function) && tool.function.name === name)) {
    fail(
      ["tool_choice", "function", "name"],
      "value_error",
      "Value error, tool_choice names a tool that is not offered",
    );
  } else return { name };
  return "auto";
}
