import {
  type AgentToolSpec,
  type ApprovalSpec,
  type BuiltinToolSpec,
  type ClientToolSpec,
  type CodeToolSpec,
  durationText,
  type FunctionToolSpec,
  type HttpToolSpec,
  LIMITS,
  type MemoryToolSpec,
  type OnUnknown,
  sizeText,
  type ToolSpec,
} from "@maru/contract";
import { canonicalJson } from "../canonical.ts";
import { defaultEffect, NO_PARAMETERS } from "./tool.ts";
import { fields, filled, without } from "./written.ts";

/** A tool as a person writes it: what the normaliser makes this spec of. */
export function writtenTool(spec: ToolSpec): object {
  switch (spec.type) {
    case "agent":
      return agent(spec);
    case "builtin":
      return builtin(spec);
    case "client":
      return client(spec);
    case "code":
      return code(spec);
    case "function":
      return func(spec);
    case "http":
      return http(spec);
    case "memory":
      return memory(spec);
  }
}

const head = ({ name, type, description }: { name: string; type: string; description?: string }) => ({
  name,
  type,
  description,
});
const parameters = (schema: object): object | undefined =>
  canonicalJson(schema) === canonicalJson(NO_PARAMETERS) ? undefined : schema;
const approvals = ({ approval, onUnknown }: { approval?: ApprovalSpec; onUnknown?: OnUnknown }) => ({
  approval,
  on_unknown: onUnknown,
});
const toolTimeout = (ms: number) => without(LIMITS.toolTimeoutMs.default, ms, durationText);
const codeLimits = ({ timeoutMs, memoryBytes }: CodeToolSpec | FunctionToolSpec) => ({
  timeout: without(LIMITS.codeTimeoutMs.default, timeoutMs, durationText),
  memory: without(LIMITS.codeMemoryBytes.default, memoryBytes, sizeText),
});

const agent = (spec: AgentToolSpec) =>
  fields({
    ...head(spec),
    deployment: spec.deployment,
    parameters: spec.parameters,
    budget: spec.maxTokens === undefined ? undefined : { tokens: spec.maxTokens },
    ...approvals(spec),
  });

const builtin = (spec: BuiltinToolSpec) => fields({ ...head(spec), ...approvals(spec) });

const client = (spec: ClientToolSpec) => fields({ ...head(spec), parameters: parameters(spec.parameters) });

const code = (spec: CodeToolSpec) => fields({ ...head(spec), ...codeLimits(spec), ...approvals(spec) });

const func = (spec: FunctionToolSpec) =>
  fields({
    ...head(spec),
    parameters: parameters(spec.parameters),
    source: spec.source,
    ...codeLimits(spec),
    ...approvals(spec),
  });

const http = (spec: HttpToolSpec) =>
  fields({
    ...head(spec),
    parameters: parameters(spec.parameters),
    request: fields({
      method: without("GET", spec.request.method),
      url: spec.request.url,
      headers: filled(spec.request.headers),
      query: filled(spec.request.query),
      body: spec.request.body ?? undefined,
    }),
    timeout: toolTimeout(spec.timeoutMs),
    effect: without(defaultEffect(spec.request.method), spec.effect),
    ...approvals(spec),
  });

const memory = (spec: MemoryToolSpec) =>
  fields({
    ...head(spec),
    scope: spec.scope,
    mode: without("readwrite", spec.mode),
    maxResults: without(LIMITS.memoryResults.default, spec.maxResults),
    ttl: without(undefined, spec.ttlMs, durationText),
    ...approvals(spec),
  });
