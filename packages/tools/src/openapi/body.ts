import { createHash } from "node:crypto";
import type { PinnedBody } from "@maru/contract";
import { inQuery } from "./serialise.ts";

/** The body's argument as bytes to send, and their Content-Type. */
export function bodyOf({ kind, mediaType, fields = {} }: PinnedBody, value: unknown): { type: string; text: string } {
  if (kind === "json") return { type: mediaType, text: JSON.stringify(value) };
  if (kind === "text") return { type: mediaType, text: asText(value) };
  const entries = Object.entries(Object(value)).filter(([, item]) => item !== null && item !== undefined);
  if (kind === "multipart") return multipart(mediaType, entries);
  const pairs = entries.flatMap(([name, item]) => {
    const rule = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return inQuery({ name, style: "form", explode: true, ...(rule ?? (isObject(item) ? JSON_FIELD : {})) }, item);
  });
  // application/x-www-form-urlencoded writes a space as +, and readers take both.
  return { type: mediaType, text: pairs.map(([name, item]) => `${name}=${item}`).join("&") };
}

/** What an object is in a form when nothing else is said of it (OpenAPI 3.1 §4.8.15.1.1). */
const JSON_FIELD = { style: "json", explode: false } as const;

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);
const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

/** RFC 7578. A list is a part for each of its items. */
function multipart(mediaType: string, fields: readonly [string, unknown][]): { type: string; text: string } {
  // A hash of all the parts stands in none of them; and the same call has the same body on every attempt.
  const boundary = `maru-${createHash("sha256").update(JSON.stringify(fields)).digest("hex").slice(0, 40)}`;
  const parts = fields.flatMap(([name, value]) =>
    [value].flat().map((item) => {
      const type = isObject(item) ? "Content-Type: application/json\r\n" : "";
      return `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n${type}\r\n${asText(item)}\r\n`;
    }),
  );
  return { type: `${mediaType}; boundary=${boundary}`, text: `${parts.join("")}--${boundary}--\r\n` };
}

/** As browsers write a name (WHATWG HTML, multipart form data). */
const quoted = (name: string): string => name.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
