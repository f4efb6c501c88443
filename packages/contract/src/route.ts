import type { Static, TSchema } from "typebox";
import type { Scope } from "./objects.ts";
import type { ProblemCode } from "./problem.ts";

/** What a request must show: nothing, a signed-in person, credentials with a scope (a person has them all), or the operator's token. */
export type Access = "public" | "user" | "operator" | Scope;

/** One call of the API: everything the gateway enforces, the OpenAPI document says and the SDK types. */
export interface RouteContract {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly access: Access;
  readonly params?: TSchema;
  readonly query?: TSchema;
  readonly headers?: TSchema;
  readonly body?: TSchema;
  /** Content types read besides `application/json`; the body is then handed over as text. */
  readonly bodyTypes?: readonly string[];
  readonly replies: { readonly [status: number]: TSchema | null };
  /** The most a body may have, where that is not the server's own limit. */
  readonly bodyBytes?: number;
  /** Set when `Accept: text/event-stream` answers the events of the run instead. */
  readonly events?: TSchema;
  /** Set when `Accept: text/csv` answers the same as a table. */
  readonly csv?: true;
  /** What a success may be instead of JSON of `replies`, by media type. */
  readonly alternatives?: { readonly [mediaType: string]: TSchema };
  /** Set when the reply of 200 is bytes, of whatever type it says. */
  readonly bytes?: true;
  /** Problems beyond those every call can answer. */
  readonly problems?: readonly ProblemCode[];
  /** Set when a POST honours `Idempotency-Key`. */
  readonly idempotent?: boolean;
}

type Part<T> = T extends TSchema ? Static<T> : Record<string, never>;

export type ParamsOf<R extends RouteContract> = Part<R["params"]>;
export type QueryOf<R extends RouteContract> = Part<R["query"]>;
export type BodyOf<R extends RouteContract> = R["bodyTypes"] extends readonly string[]
  ? Part<R["body"]> | string
  : Part<R["body"]>;
export type ReplyOf<R extends RouteContract> = {
  [S in keyof R["replies"]]: R["replies"][S] extends TSchema ? Static<R["replies"][S]> : undefined;
}[keyof R["replies"]];
