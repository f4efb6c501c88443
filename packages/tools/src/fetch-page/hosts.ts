import type { ProblemDetail } from "@maru/contract";
import { urlRefusal } from "../egress/verdict.ts";

/** Judges where a page may be read from. */
export type HostRule = (url: URL) => boolean;

/**
 * Hosts as a manifest lists them: a name, with its port where that is not the scheme's own, or `*.` and a name for its
 * subdomains. Without a list every public host; names that only the operator's list makes reachable have to stand in the
 * manifest, for it is the model that chooses the URL.
 */
export function hostRule(hosts: readonly string[] | undefined): HostRule {
  const exact = new Set(hosts);
  const endings = (hosts ?? []).filter((host) => host.startsWith("*.")).map((host) => host.slice(1));
  return (url) =>
    exact.has(url.host) ||
    (urlRefusal(url.href, []) === null &&
      (hosts === undefined || endings.some((ending) => url.host.endsWith(ending) && url.host.length > ending.length)));
}

/** What is wrong with a manifest's list of hosts. */
export function fetchHostProblems(
  hosts: readonly string[] | undefined,
  pointer: string,
  allowedHosts: readonly string[],
): ProblemDetail[] {
  return (hosts ?? []).flatMap((host, index): ProblemDetail[] => {
    const detail = refusalOf(host, allowedHosts);
    return detail === null ? [] : [{ pointer: `${pointer}/hosts/${index}`, code: "url_not_allowed", detail }];
  });
}

function refusalOf(host: string, allowedHosts: readonly string[]): string | null {
  const wild = host.startsWith("*.");
  const name = wild ? host.slice(2) : host;
  if (/[*/?#@\\\s]/.test(name)) return "Write a host: example.com, example.com:8443, or *.example.com.";
  if (wild && !name.includes(".")) return "*. needs two labels behind it at least: *.example.com.";
  const refusal = urlRefusal(`https://${name}/`, wild ? [] : allowedHosts);
  if (refusal !== null) return `The host ${refusal.replace(/^names (?:a host|an address)/, "is one")}.`;
  const canonical = new URL(`https://${name}/`).host;
  return canonical === name ? null : `Write this host as ${wild ? "*." : ""}${canonical}.`;
}
