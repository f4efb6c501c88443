import { createHmac, timingSafeEqual } from "node:crypto";
import { Problem } from "@maru/contract";

interface Place {
  /** Which list, filters included: a cursor of one is none of another. */
  readonly list: string;
  readonly workspace: string;
}

/** Signs a position in a list; what comes back can only be what was given out, in that list, to that workspace. */
export function encodeCursor(
  { list, workspace, position }: Place & { readonly position: string },
  key: Uint8Array,
): string {
  return `${Buffer.from(position).toString("base64url")}.${sign(list, workspace, position, key).toString("base64url")}`;
}

/** The position of a cursor. @throws Problem invalid_cursor */
export function decodeCursor(text: string, { list, workspace }: Place, key: Uint8Array): string {
  const match = /^([\w-]{1,2400})\.([\w-]{22})$/.exec(text);
  const position = Buffer.from(match?.[1] ?? "", "base64url").toString("utf8");
  const given = Buffer.from(match?.[2] ?? "", "base64url");
  const wanted = sign(list, workspace, position, key);
  if (match === null || given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new Problem("invalid_cursor", "Pass `next` of the page before, unchanged, with the same filters.", {
      errors: [{ pointer: "?after", code: "invalid_cursor", detail: "is not a cursor of this list" }],
    });
  }
  return position;
}

const sign = (list: string, workspace: string, position: string, key: Uint8Array): Buffer =>
  createHmac("sha256", key)
    .update(JSON.stringify([list, workspace, position]))
    .digest()
    .subarray(0, 16);
