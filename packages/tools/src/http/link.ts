/** One link and its parameters (RFC 8288 §3). Parameters are told from each other by their first character: no backtracking. */
const LINK = /[\s,]*<([^>]*)>((?:[^",]|"(?:[^"\\]|\\.)*")*)/y;
const PARAMETER = /;\s*([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/g;

/** Where the header Link says the next page is; null when it does not. Links of another context (`anchor`) are not ours. */
export function nextLink(header: string | string[] | undefined): string | null {
  const text = [header ?? []].flat().join(",");
  LINK.lastIndex = 0;
  for (let match = LINK.exec(text); match !== null; match = LINK.exec(text)) {
    const [, target = "", rest = ""] = match;
    const parameters = new Map<string, string>();
    for (const [, name = "", quoted, token = ""] of rest.matchAll(PARAMETER)) {
      const key = name.toLowerCase();
      // Of a parameter that stands twice the first counts (§3.3).
      if (!parameters.has(key)) parameters.set(key, quoted?.replace(/\\(.)/g, "$1") ?? token);
    }
    const relations = (parameters.get("rel") ?? "").toLowerCase().split(/\s+/);
    if (relations.includes("next") && !parameters.has("anchor")) return target;
  }
  return null;
}
