import type { ProblemDetail } from "@maru/contract";
import { escapePointer } from "../canonical.ts";
import { CODE } from "./secret-places.ts";

/**
 * What a client puts in before it sends a manifest: `${env.NAME}` and files. Whatever of it arrives here was sent without a
 * client. `$${env.NAME}` is that text itself, wherever it is read.
 */
const REFERENCE = /(?<!\$)\$\{env\.([^}]*)/;
const LITERAL = /\$(\$+\{env\.)/g;
const FILE = /^\/spec\/(?:instructions|tools\/\d+\/(?:source|document))$/;

/** Every place of a manifest that only a client can fill in. */
export function unresolved(manifest: unknown): ProblemDetail[] {
  const errors: ProblemDetail[] = [];
  const report = (pointer: string, what: string) =>
    errors.push({
      pointer,
      code: "unresolved_reference",
      detail: `${what} is put in by the client before it sends the manifest: deploy with maru deploy, or resolve it with the SDK.`,
    });
  walk(manifest, (value, pointer) => {
    if (typeof value === "string") {
      const name = REFERENCE.exec(value)?.[1];
      if (name !== undefined) report(pointer, `\${env.${name.slice(0, 64)}}`);
    } else if (FILE.test(pointer) && typeof value === "object" && value !== null && "file" in value)
      report(pointer, `A file${typeof value.file === "string" ? ` (${value.file.slice(0, 200)})` : ""}`);
  });
  return errors;
}

/** `$${env.NAME}` as the text it stands for. */
export const readLiterals = (manifest: unknown): unknown =>
  rewritten(manifest, "", (text) => text.replace(LITERAL, "$1"));

/** A text as a manifest has to write it, so that nobody takes it for a reference. */
export const writeLiterals = <Manifest>(manifest: Manifest): Manifest =>
  rewritten(manifest, "", (text) => text.replace(/\$+(?=\{env\.)/g, "$$$&")) as Manifest;

function walk(value: unknown, visit: (value: unknown, pointer: string) => void, pointer = ""): void {
  visit(value, pointer);
  if (typeof value !== "object" || value === null || CODE.test(pointer)) return;
  for (const [key, item] of Object.entries(value)) {
    const place = `${pointer}/${escapePointer(key)}`;
    if (!(typeof item === "string" && CODE.test(place))) walk(item, visit, place);
  }
}

function rewritten(value: unknown, pointer: string, change: (text: string) => string): unknown {
  if (CODE.test(pointer)) return value;
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item, index) => rewritten(item, `${pointer}/${index}`, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, rewritten(item, `${pointer}/${escapePointer(key)}`, change)]),
  );
}
