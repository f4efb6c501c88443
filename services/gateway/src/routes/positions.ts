import { type IdKind, uuidOf } from "@maru/contract";

/** A list's position: the bare UUID of the item the page ended with. */
export const uuidPosition =
  (kind: IdKind) =>
  ({ id }: { readonly id: string }): string =>
    uuidOf(kind, id) as string;
