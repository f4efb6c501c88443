import type { PolicyRules, ProblemDetail, ToolSpec } from "@maru/contract";
import { allowsHost, deniesTool } from "@maru/domain";
import { failed, type PreparedTool } from "./kind.ts";
import { namesOf } from "./pin.ts";

/** What a workspace lets its tools do, at this moment. Rejects when that can't be read. */
export type ToolPolicy = () => Promise<PolicyRules>;

/** A tool under its workspace's policy, whatever was allowed when its revision was deployed. */
export function underPolicy(tool: PreparedTool, kind: ToolSpec["type"], policy: ToolPolicy): PreparedTool {
  const denied = async () => deniesTool(await policy(), kind, tool.declaration.name);
  return { ...tool, denied, call: async (args, context) => ((await denied()) ? DENIED : tool.call(args, context)) };
}

const DENIED = failed("policy_denied", "The workspace's policy does not allow this tool.");

/** What a policy does not allow of one entry of a manifest. */
export function policyProblems(spec: ToolSpec, pointer: string, policy: PolicyRules): ProblemDetail[] {
  const denied = namesOf(spec).filter((name) => deniesTool(policy, spec.type, name));
  return [
    ...(denied.length === 0
      ? []
      : [
          {
            pointer,
            code: "tool_denied",
            detail: `The workspace's policy does not allow ${denied.join(", ")} (kind:${spec.type}): see GET /v1/policy.`,
          },
        ]),
    ...destinationsOf(spec).flatMap(({ place, url }) => hostProblems(url, `${pointer}${place}`, policy)),
  ];
}

/** What a policy says against the host of a URL; nothing of what is no URL. */
export function hostProblems(url: string, pointer: string, policy: PolicyRules): ProblemDetail[] {
  if (!URL.canParse(url)) return [];
  const { hostname } = new URL(url);
  if (allowsHost(policy, hostname)) return [];
  const detail = `The workspace's policy does not allow the host ${hostname}: see GET /v1/policy.`;
  return [{ pointer, code: "host_denied", detail }];
}

/** The URLs a tool goes to, with their places in its entry. */
function destinationsOf(spec: ToolSpec): { readonly place: string; readonly url: string }[] {
  switch (spec.type) {
    case "http":
      return [{ place: "/request/url", url: spec.request.url.replace(/\{[^}]*\}/g, "x") }];
    case "builtin":
      return (spec.hosts ?? []).flatMap((host, index) =>
        host.startsWith("*.") ? [] : [{ place: `/hosts/${index}`, url: `https://${host}/` }],
      );
    case "openapi":
      return [
        ...(spec.document.url === undefined ? [] : [{ place: "/document/url", url: spec.document.url }]),
        ...(spec.server === undefined ? [] : [{ place: "/server", url: spec.server }]),
        ...(spec.server === undefined
          ? [...new Set(Object.values(spec.pinned?.operations ?? {}).map(({ server }) => server))].map((url) => ({
              place: "/document",
              url,
            }))
          : []),
      ];
    case "mcp":
      return "url" in spec.server ? [{ place: "/url", url: spec.server.url }] : [];
    case "agent":
    case "client":
    case "code":
    case "function":
    case "memory":
      return [];
  }
}
