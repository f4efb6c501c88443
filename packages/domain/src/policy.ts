import type { PolicyRules } from "@maru/contract";

/** The policy of a workspace that has set none. */
export const OPEN_POLICY: PolicyRules = { egress: { allow: null, deny: [] }, tools: { deny: [] } };

/**
 * A host of a policy as it is compared: as the URL parser writes a host (small letters, `xn--` for other scripts, addresses in
 * their one form), with `*.` before it where it stands for all hosts below. Null when it is no host.
 */
export function hostPattern(text: string): string | null {
  const below = text.startsWith("*.");
  const name = below ? text.slice(2) : text;
  // What would be no longer a host alone, and what the parser would drop without a word.
  if (/[\s\p{Cc}/?#@\\*]/u.test(name) || name.endsWith(".") || !URL.canParse(`http://${name}`)) return null;
  const { hostname, host } = new URL(`http://${name}`);
  const isAddress = hostname.startsWith("[") || /^[\d.]+$/.test(hostname);
  if (host !== hostname || hostname === "" || /:\d*$/.test(name.replace(/^\[[^\]]*\]/, "")) || (below && isAddress))
    return null;
  return `${below ? "*." : ""}${hostname}`;
}

const matches = (pattern: string, host: string): boolean =>
  pattern.startsWith("*.") ? host.endsWith(pattern.slice(1)) && host.length >= pattern.length : pattern === host;

/** Whether a host may be reached; it is written as `URL.hostname` writes it. Deny goes before allow. */
export const allowsHost = ({ egress }: PolicyRules, host: string): boolean =>
  !egress.deny.some((pattern) => matches(pattern, host)) &&
  (egress.allow === null || egress.allow.some((pattern) => matches(pattern, host)));

/** Whether a tool must not be used, by its kind or its name. */
export const deniesTool = ({ tools }: PolicyRules, kind: string, name: string): boolean =>
  tools.deny.some((pattern) => {
    if (pattern.startsWith("kind:")) return pattern === `kind:${kind}`;
    return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
  });
