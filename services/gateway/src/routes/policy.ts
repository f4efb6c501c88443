import { type PolicyRules, Problem, type ProblemDetail, TOOL_KINDS } from "@maru/contract";
import { hostPattern } from "@maru/domain";
import type { Policies } from "@maru/store";
import { hostProblems } from "@maru/tools";
import type { Handlers } from "../http/bind.ts";
import { ifMatch } from "./deployments.ts";

export function policyRoutes({ policies }: { readonly policies: Policies }) {
  return {
    getPolicy: async ({ caller }) => {
      const { policy, version } = await policies.read(caller.workspaceId);
      return { status: 200, headers: { etag: `"${version}"` }, body: policy };
    },

    putPolicy: async ({ caller, body, request }) => {
      const rules = normalised(body);
      const tag = ifMatch(request.headers["if-match"]);
      // A tag that is no version is that of no policy there ever was.
      const ifVersion = tag === null ? null : /^\d{1,9}$/.test(tag) ? Number(tag) : -1;
      const { policy, version } = await policies.put(caller.workspaceId, rules, ifVersion);
      return { status: 200, headers: { etag: `"${version}"` }, body: policy };
    },
  } satisfies Partial<Handlers>;
}

/** A policy with its hosts as they are compared. @throws Problem validation_failed with every entry that is none */
function normalised({ egress, tools }: PolicyRules): PolicyRules {
  const errors: ProblemDetail[] = [];
  const report = (pointer: string, detail: string) => void errors.push({ pointer, code: "validation_failed", detail });
  const hosts = (list: readonly string[], pointer: string): string[] =>
    list.flatMap((text, index) => {
      const pattern = hostPattern(text);
      if (pattern === null)
        report(
          `${pointer}/${index}`,
          "must be a host alone, without scheme, port, path or dot at the end: api.example.com, *.example.com, or an address ([…] for IPv6)",
        );
      return pattern ?? [];
    });
  const allow = egress.allow === null ? null : [...new Set(hosts(egress.allow, "/egress/allow"))];
  const deny = [...new Set(hosts(egress.deny, "/egress/deny"))];
  for (const [index, pattern] of tools.deny.entries())
    if (pattern.startsWith("kind:") && !TOOL_KINDS.includes(pattern.slice(5)))
      report(`/tools/deny/${index}`, `there is no such kind of tools: ${TOOL_KINDS.join(", ")}`);
  const [first] = errors;
  if (first !== undefined) throw new Problem("validation_failed", `${first.pointer} ${first.detail}.`, { errors });
  return { egress: { allow, deny }, tools: { deny: [...new Set(tools.deny)] } };
}

/** @throws Problem host_denied when the workspace's policy does not allow a URL's host */
export async function refuseDenied(
  policies: Policies,
  workspaceId: string,
  pointer: string,
  url: string,
): Promise<void> {
  const { policy } = await policies.read(workspaceId);
  const errors = hostProblems(url, pointer, policy);
  const [problem] = errors;
  if (problem !== undefined) throw new Problem("host_denied", problem.detail, { errors });
}
