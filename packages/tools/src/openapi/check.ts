import type { OpenApiToolSpec, ProblemDetail } from "@maru/contract";
import { escapePointer } from "@maru/domain";
import { urlRefusal } from "../egress/verdict.ts";
import { headerRefusal } from "../http/header.ts";
import { checkSecretText, type Report } from "../secrets/check.ts";

/** What is wrong with an entry before its document is fetched. */
export function checkOpenApiTool(
  { document: { url }, server, headers, query, auth }: OpenApiToolSpec,
  pointer: string,
  allowedHosts: readonly string[],
  hasSecret: (name: string) => boolean,
): ProblemDetail[] {
  const errors: ProblemDetail[] = [];
  const report: Report = (place, code, detail) => void errors.push({ pointer: `${pointer}${place}`, code, detail });
  const text = (place: string, value: string) => checkSecretText(value, place, hasSecret, report);
  for (const [place, address] of [
    ["/document/url", url],
    ["/server", server],
  ] as const) {
    const wrong = address === undefined ? null : urlRefusal(address, allowedHosts);
    if (wrong !== null) report(place, "url_not_allowed", `The URL ${wrong}.`);
  }
  for (const [name, value] of Object.entries(headers)) {
    const place = `/headers/${escapePointer(name)}`;
    const wrong = headerRefusal(name, value);
    if (wrong !== null) report(place, "header_not_allowed", wrong);
    else text(place, value);
  }
  for (const [name, value] of Object.entries(query)) text(`/query/${escapePointer(name)}`, value);
  for (const [name, credential] of Object.entries(auth)) {
    const place = `/auth/${escapePointer(name)}`;
    if (typeof credential === "string") text(place, credential);
    else for (const [field, value] of Object.entries(credential)) text(`${place}/${field}`, value);
  }
  return errors;
}
