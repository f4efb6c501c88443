import type { HttpToolSpec, ProblemDetail } from "@maru/contract";
import { escapePointer } from "@maru/domain";
import { urlRefusal } from "../egress/verdict.ts";
import { checkSecrets, type Report } from "../secrets/check.ts";
import { mentionsSecret } from "../secrets/reference.ts";
import { headerRefusal } from "./header.ts";
import { parseTemplate, placesOf, type Template } from "./template.ts";
import { parseUrlTemplate, type UrlTemplate } from "./url.ts";

const templatesOf = ({ segments, query }: UrlTemplate): Template => [
  ...segments.flat(),
  ...query.flatMap(({ value }) => value),
];

/** A URL without the values of its query. */
function outsideQueryValues(url: string): string {
  const at = url.indexOf("?");
  return at < 0 ? url : `${url.slice(0, at)}${url.slice(at).replace(/=[^&]*/g, "=")}`;
}

function checkPagination({ pagination, response, effect, request }: HttpToolSpec, report: Report): void {
  if (pagination === undefined) return;
  if (effect !== "safe" || request.method !== "GET")
    report(
      "/pagination",
      "effect_class_invalid",
      "Only a GET may be asked for further pages: a call that may change something is sent once.",
    );
  if (pagination.next === "link" && pagination.as !== "url")
    report(
      "/pagination/as",
      "validation_failed",
      "A Link header has URLs: leave as out, or give a JSON pointer in next.",
    );
  if (response?.type === "text")
    report("/response/type", "validation_failed", "Pages are JSON: leave type out, or pagination.");
}

/** What is wrong with an HTTP tool beyond its shape. */
export function checkHttpTool(
  spec: HttpToolSpec,
  pointer: string,
  allowedHosts: readonly string[],
  hasSecret: (name: string) => boolean,
): ProblemDetail[] {
  const errors: ProblemDetail[] = [];
  const report: Report = (place, code, detail) => void errors.push({ pointer: `${pointer}${place}`, code, detail });
  const known = new Set(Object.keys((spec.parameters.properties as object | undefined) ?? {}));
  const places = (place: string, read: () => Template) => {
    try {
      const template = read();
      for (const name of placesOf(template)) {
        if (!known.has(name))
          report(place, "template_error", `{${name}} has no parameter of that name in parameters.properties.`);
      }
      checkSecrets(template, place, hasSecret, report);
    } catch (error) {
      report(place, "template_error", `The template ${error instanceof Error ? error.message : "is not valid"}.`);
    }
  };

  const { request, effect } = spec;
  const refusal = urlRefusal(request.url.replace(/\{[^}]*\}/g, "x"), allowedHosts);
  if (mentionsSecret(outsideQueryValues(request.url)))
    report("/request/url", "secret_not_allowed_here", "Of a URL only the query's values may have a secret.");
  else if (refusal !== null) report("/request/url", "url_not_allowed", `The URL ${refusal}.`);
  else places("/request/url", () => templatesOf(parseUrlTemplate(request.url)));
  for (const [key, value] of Object.entries(request.query))
    places(`/request/query/${escapePointer(key)}`, () => parseTemplate(value));
  for (const [name, value] of Object.entries(request.headers)) {
    const place = `/request/headers/${escapePointer(name)}`;
    const wrong = headerRefusal(name, value);
    if (wrong !== null) report(place, "header_not_allowed", wrong);
    else places(place, () => parseTemplate(value));
  }
  const body = (value: unknown, place: string): void => {
    if (typeof value === "string") places(place, () => parseTemplate(value));
    else if (typeof value === "object" && value !== null)
      for (const [key, item] of Object.entries(value)) body(item, `${place}/${escapePointer(key)}`);
  };
  body(request.body, "/request/body");
  for (const [key, values] of Object.entries(request.form ?? {})) {
    const place = `/request/form/${escapePointer(key)}`;
    if (typeof values === "string") places(place, () => parseTemplate(values));
    else for (const [index, value] of values.entries()) places(`${place}/${index}`, () => parseTemplate(value));
  }
  const reads = request.method === "GET" || request.method === "HEAD";
  if (reads && effect !== "safe")
    report(
      "/effect",
      "effect_class_invalid",
      `${request.method} is safe by definition (RFC 9110 §9.2.1): leave effect out, or use another method.`,
    );
  if (!reads && effect === "safe")
    report(
      "/effect",
      "effect_class_invalid",
      `${request.method} may change something: use idempotent or at_most_once.`,
    );
  for (const part of ["body", "form"] as const)
    if (reads && (request[part] ?? null) !== null)
      report(`/request/${part}`, "template_error", `${request.method} has no body.`);
  if (request.form !== undefined && request.body !== null)
    report("/request/form", "template_error", "A request has one body: give body (JSON) or form, not both.");
  if (spec.response?.select !== undefined && spec.response.type === "text")
    report("/response/type", "validation_failed", "Parts are selected of JSON only: leave type out, or select.");
  checkPagination(spec, report);
  if (spec.retries !== undefined && effect === "at_most_once")
    report(
      "/retries",
      "effect_class_invalid",
      "A call that is at_most_once is never sent again: leave retries out, or say that it is idempotent.",
    );
  return errors;
}
