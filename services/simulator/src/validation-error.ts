/** One entry of a 422 body, in the form FastAPI gives it. */
export interface ValidationError {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
}

export type Json = Record<string, unknown>;
export type Loc = readonly (string | number)[];
/** Notes one error; `loc` is relative to the body. */
export type Fail = (loc: Loc, type: string, msg: string) => void;

/** Deeper schemas are refused, so that nothing after validation can overflow the stack. */
export const MAX_SCHEMA_DEPTH = 64;

export function isObject(value: unknown): value is Json {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
