import Type, { type Static } from "typebox";
import { closed, Instant, Nullable } from "./schema.ts";
import { TOOL_NAME_PATTERN, ToolManifest } from "./tools.ts";

/** The kinds of tools a manifest can have. */
export const TOOL_KINDS: readonly string[] = ToolManifest.anyOf.map(({ properties }) => properties.type.const);

export const POLICY_LIMITS = { hosts: 256, tools: 128 } as const;

const Host = Type.String({
  minLength: 1,
  maxLength: 253,
  description: "A host as in a URL, without port; or *.example.com for every host below example.com",
});
const Hosts = Type.Array(Host, { maxItems: POLICY_LIMITS.hosts });
const ToolPattern = Type.String({
  pattern: `^(?:kind:[a-z]{1,32}|[A-Za-z0-9_-]{0,63}\\*|${TOOL_NAME_PATTERN.slice(1, -1)})$`,
  description: `A tool's name; the beginning of one and *; or kind: and one of ${TOOL_KINDS.join(", ")}`,
});

const rules = {
  egress: Type.Object(
    {
      allow: Nullable(
        Type.Array(Host, {
          maxItems: POLICY_LIMITS.hosts,
          description: "The only hosts that may be reached; null = every public one",
        }),
      ),
      deny: Hosts,
    },
    {
      ...closed,
      description: "Hosts of tools, webhooks and endpoints. What is in deny is denied, also where allow has it",
    },
  ),
  tools: Type.Object({ deny: Type.Array(ToolPattern, { maxItems: POLICY_LIMITS.tools }) }, closed),
};

export const PolicyRules = Type.Object(rules, closed);
/** What a workspace lets its agents do. */
export type PolicyRules = Static<typeof PolicyRules>;

export const WorkspacePolicy = Type.Object(
  { ...rules, updated_at: Nullable(Instant) },
  { ...closed, description: "updated_at is null where nobody has set a policy: then it allows everything" },
);
export type WorkspacePolicy = Static<typeof WorkspacePolicy>;
