import type { Operations } from "./generated.ts";

export interface ClientOptions {
  /** Where the gateway is, e.g. https://maru.example.com; a path is kept. */
  readonly baseUrl: string;
  /** An API key or an access token, or what answers one: it is asked before every attempt. None for the public calls. */
  readonly apiKey?: string | (() => string | Promise<string>) | undefined;
  /** Instead of the global one. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /**
   * Milliseconds one attempt may take until its reply is there, 30,000 unless told; what `Prefer: wait` asks for is added.
   * A stream may then go on for as long as it says something.
   */
  readonly timeoutMs?: number | undefined;
  /** Attempts after the first one, 2 unless told; 0 for none. */
  readonly retries?: number | undefined;
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What every call takes beside what it is about. */
export interface CallOptions {
  /** Ends the call at once, waits between attempts included: it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** As the client's, for this call. */
  readonly timeoutMs?: number | undefined;
  readonly retries?: number | undefined;
  /** Of a POST that honours keys: the same key with the same body has an effect once. One is made up when there is none. */
  readonly idempotencyKey?: string | undefined;
  /** An ETag: the call has an effect only on what has it still, and is else a `Conflict` with `precondition_failed`. */
  readonly ifMatch?: string | undefined;
}

export type OperationId = keyof Operations;

/** What a call of an operation takes: its path's parameters, its query and its body, as far as it has them. */
export type Input<Op extends OperationId> = CallOptions &
  (Operations[Op]["params"] extends null ? object : { readonly params: Operations[Op]["params"] }) &
  (Operations[Op]["query"] extends null ? object : { readonly query?: Operations[Op]["query"] | undefined }) &
  (Operations[Op]["body"] extends null ? object : { readonly body: Operations[Op]["body"] });
