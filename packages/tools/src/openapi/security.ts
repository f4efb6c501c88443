import type { OpenApiToolSpec, PinnedScheme } from "@maru/contract";
import { isOwnHeader, isToken } from "../http/header.ts";
import { type Json, listOf, objectOf, own, resolved, Unmakeable } from "./document.ts";
import type { Operation } from "./select.ts";

/** HTTP authentication that is a conversation, not a credential. */
const CONVERSATIONS = new Set([
  "digest",
  "negotiate",
  "ntlm",
  "hoba",
  "mutual",
  "scram-sha-1",
  "scram-sha-256",
  "dpop",
]);

/** The schemes a document defines, by name; null for one that Maru has no way to satisfy. */
export function schemesOf(root: Json): ReadonlyMap<string, PinnedScheme | null> {
  const written = objectOf(objectOf(root.components).securitySchemes);
  return new Map(
    Object.keys(written).map((name) => {
      try {
        return [name, schemeOf(resolved(root, own(written, name)))];
      } catch (error) {
        if (error instanceof Unmakeable) return [name, null];
        throw error;
      }
    }),
  );
}

function schemeOf({ type, in: place, name, scheme }: Json): PinnedScheme | null {
  if (type === "oauth2" || type === "openIdConnect") return { in: "header", name: "authorization", prefix: "Bearer " };
  if (type === "apiKey" && typeof name === "string" && name !== "") {
    if (place === "query") return { in: "query", name, prefix: "" };
    if (place === "cookie" && isToken(name)) return { in: "cookie", name, prefix: "" };
    if (place === "header" && isToken(name) && !isOwnHeader(name))
      return { in: "header", name: name.toLowerCase(), prefix: "" };
  }
  if (type === "http" && typeof scheme === "string" && isToken(scheme)) {
    const kind = scheme.toLowerCase();
    const header = { in: "header", name: "authorization" } as const;
    if (kind === "basic") return { ...header, prefix: "Basic ", basic: true };
    if (kind === "bearer") return { ...header, prefix: "Bearer " };
    if (!CONVERSATIONS.has(kind)) return { ...header, prefix: `${scheme} ` };
  }
  return null;
}

/**
 * The schemes that go with an operation: of the alternatives the document gives, the first that the manifest has credentials for.
 * A header or query parameter that the manifest sends with every call counts as well.
 * @returns names, or what is missing, as words
 */
export function chooseSchemes(
  root: Json,
  { node }: Operation,
  schemes: ReadonlyMap<string, PinnedScheme | null>,
  spec: Pick<OpenApiToolSpec, "auth" | "headers" | "query">,
): { readonly names: readonly string[] } | { readonly missing: string } {
  const alternatives = listOf(node.security ?? root.security).map((requirement) => Object.keys(objectOf(requirement)));
  if (alternatives.length === 0) return { names: [] };
  const headers = new Set(Object.keys(spec.headers).map((name) => name.toLowerCase()));
  const sentAnyway = (name: string): boolean => {
    const scheme = schemes.get(name);
    return (
      (scheme?.in === "header" && headers.has(scheme.name)) ||
      (scheme?.in === "query" && Object.hasOwn(spec.query, scheme.name))
    );
  };
  const given = (name: string) => Object.hasOwn(spec.auth, name) && schemes.get(name) != null;
  const satisfied = alternatives.filter((names) => names.every((name) => given(name) || sentAnyway(name)));
  // Without credentials is the last choice: who gives some wants to be known.
  const chosen = satisfied.find((names) => names.length > 0) ?? satisfied[0];
  if (chosen === undefined) return { missing: alternatives.map(listed).join(", or ") };
  const names = chosen.filter(given);
  const places = names.map((name) => `${schemes.get(name)?.in} ${schemes.get(name)?.name}`);
  if (new Set(places).size < places.length) throw new Unmakeable(`${listed(names)} would be sent in the same place.`);
  return { names };
}

const listed = (names: readonly string[]): string => names.join(" and ");
