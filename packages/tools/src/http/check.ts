import { type HttpToolSpec, LIMITS, type ProblemCode, type ProblemDetail } from "@maru/contract";
import { urlRefusal } from "../egress/verdict.ts";
import { CONTROL_CHARACTERS } from "./index.ts";
import { parseTemplate, placesOf } from "./template.ts";
import { parseUrlTemplate } from "./url.ts";

/** Headers that are Maru's or the connection's own. */
const OWN_HEADERS = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "proxy-authorization",
  "proxy-connection",
  "accept-encoding",
  "idempotency-key",
  "x-run-epoch",
  "user-agent",
]);

const escapePointer = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1");

/** What is wrong with an HTTP tool beyond its shape. */
export function checkHttpTool(spec: HttpToolSpec, pointer: string, allowedHosts: readonly string[]): ProblemDetail[] {
  const errors: ProblemDetail[] = [];
  const report = (place: string, code: ProblemCode, detail: string) =>
    errors.push({ pointer: `${pointer}${place}`, code, detail });
  const known = new Set(Object.keys((spec.parameters.properties as object | undefined) ?? {}));
  const places = (place: string, read: () => readonly string[]) => {
    try {
      for (const name of read()) {
        if (!known.has(name))
          report(place, "template_error", `{${name}} has no parameter of that name in parameters.properties.`);
      }
    } catch (error) {
      report(place, "template_error", `The template ${error instanceof Error ? error.message : "is not valid"}.`);
    }
  };

  const { request, effect } = spec;
  const refusal = urlRefusal(request.url.replace(/\{[^}]*\}/g, "x"), allowedHosts);
  if (refusal !== null) report("/request/url", "url_not_allowed", `The URL ${refusal}.`);
  else places("/request/url", () => parseUrlTemplate(request.url).places);
  for (const [key, value] of Object.entries(request.query))
    places(`/request/query/${escapePointer(key)}`, () => placesOf(parseTemplate(value)));
  for (const [name, value] of Object.entries(request.headers)) {
    const place = `/request/headers/${escapePointer(name)}`;
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(name))
      report(place, "header_not_allowed", "This is not the name of a header.");
    else if (OWN_HEADERS.has(name.toLowerCase())) report(place, "header_not_allowed", "Maru sets this header itself.");
    else if (CONTROL_CHARACTERS.test(value)) report(place, "header_not_allowed", "A header's value must be one line.");
    else places(place, () => placesOf(parseTemplate(value)));
  }
  const body = (value: unknown, place: string): void => {
    if (typeof value === "string") places(place, () => placesOf(parseTemplate(value)));
    else if (typeof value === "object" && value !== null)
      for (const [key, item] of Object.entries(value)) body(item, `${place}/${escapePointer(key)}`);
  };
  body(request.body, "/request/body");
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
  if (reads && request.body !== null) report("/request/body", "template_error", `${request.method} has no body.`);
  if (spec.timeoutMs > LIMITS.toolTimeoutMs.max)
    report("/timeout", "limit_out_of_range", `At most ${LIMITS.toolTimeoutMs.max} ms.`);
  return errors;
}
