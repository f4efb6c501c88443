import Type from "typebox";
import { type IdKind, idPattern } from "./ids.ts";

/** Building blocks of every API schema. Objects are closed: an unknown field is an error in requests, a bug in replies. */
export const closed = { additionalProperties: false } as const;

export const Id = (kind: IdKind) => Type.String({ pattern: idPattern(kind) });
export const Instant = Type.String({ format: "date-time", description: "RFC 3339, UTC" });
export const Nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
export const Count = Type.Integer({ minimum: 0 });

/** Free text of a person or a model: bounded, and without NUL, which Postgres cannot store. */
export const Text = (maxLength: number, minLength = 0) =>
  Type.String({ minLength, maxLength, pattern: "^[^\\u0000]*$" });

export const Metadata = Type.Record(
  Type.String({ pattern: "^[A-Za-z0-9_.-]{1,64}$" }),
  Type.String({ maxLength: 512, pattern: "^[^\\u0000]*$" }),
  { ...closed, maxProperties: 16, description: "Up to 16 string pairs of your own, returned as given" },
);

/** A page of a list: `next` goes back as `?after=`, null at the end. */
export const Page = <T extends Type.TSchema>(item: T) =>
  Type.Object({ data: Type.Array(item), next: Nullable(Type.String()) }, closed);

export const PageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  after: Type.Optional(Type.String({ minLength: 1, maxLength: 2_500, description: "`next` of the page before" })),
};
