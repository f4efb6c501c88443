import { urlRefusal } from "../egress/verdict.ts";
import { isObject, type Json, listOf, objectOf, own } from "./document.ts";
import type { Operation } from "./select.ts";

/** Where an operation's calls go, without a slash at the end; or why there is no such place. */
export function serverOf(
  root: Json,
  { node, item }: Operation,
  context: {
    readonly server: string | undefined;
    readonly documentUrl: string | undefined;
    readonly allowedHosts: readonly string[];
  },
): { readonly server: string } | { readonly refusal: string } {
  const refusal = (detail: string) => ({ refusal: `${detail} Write the address of the API in server.` });
  let text = context.server;
  if (text === undefined) {
    const first = [node.servers, item.servers, root.servers].map((servers) => listOf(servers)[0]).find(isObject);
    const written = typeof first?.url === "string" ? first.url : "/";
    const variables = objectOf(first?.variables);
    const missing: string[] = [];
    const filled = written.replace(/\{([^{}]*)\}/g, (_whole, name: string) => {
      const value = objectOf(own(variables, name)).default;
      if (typeof value === "string" || typeof value === "number") return String(value);
      missing.push(name);
      return "";
    });
    if (missing.length > 0)
      return refusal(`The document's server ${written} has no default for ${missing.join(", ")}.`);
    if (!/^[a-z][a-z0-9+.-]*:/i.test(filled)) {
      if (context.documentUrl === undefined)
        return refusal(`The document's server is ${filled}, which is no whole URL.`);
      text = URL.canParse(filled, context.documentUrl) ? new URL(filled, context.documentUrl).href : filled;
    } else text = filled;
  }
  const wrong = text.includes("?") ? "must not have a query" : urlRefusal(text, context.allowedHosts);
  if (wrong !== null) return refusal(`The server's URL ${text.slice(0, 200)} ${wrong}.`);
  return { server: text.replace(/\/+$/, "") };
}
