import { ConnectionError, type ErrorContext, errorOf, MaruError, TimeoutError } from "./errors.ts";
import { OPERATIONS, type Operations, type Problem } from "./generated.ts";
import type { CallOptions, ClientOptions, Input, OperationId } from "./options.ts";
import { pause, retryAfterMs, retryDelayMs } from "./retry.ts";

const TIMEOUT_MS = 30_000;
const RETRIES = 2;

/** An operation as it is called. */
export interface Traits {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly group: string;
  readonly name: string;
  readonly body?: true;
  readonly query?: true;
  readonly list?: true;
  readonly bytes?: true;
  readonly keyed?: true;
  readonly replies?: readonly number[];
}
export const traitsOf = (operation: OperationId): Traits => OPERATIONS[operation];

/** Any operation's input. */
export interface AnyInput extends CallOptions {
  readonly params?: object;
  readonly query?: object | undefined;
  readonly body?: unknown;
}

export interface Transport {
  /** @throws MaruError, ConnectionError, and the reason of the caller's signal */
  request<Op extends OperationId>(operation: Op, input: Input<Op>): Promise<Response>;
  /** @throws MaruError, ConnectionError, and the reason of the caller's signal */
  call<Op extends OperationId>(operation: Op, input: Input<Op>): Promise<Operations[Op]["reply"]>;
  /** As both, for whoever knows the operation at run time only. */
  send<T>(operation: OperationId, input: AnyInput, read: (response: Response) => Promise<T>): Promise<T>;
}

/** Sends calls: credentials, timeouts, attempts, and errors of one kind whatever went wrong. */
export function createTransport(options: ClientOptions): Transport {
  const { apiKey, timeoutMs = TIMEOUT_MS, retries = RETRIES, headers: own = {} } = options;
  const send = options.fetch ?? globalThis.fetch.bind(globalThis);
  const base = options.baseUrl.replace(/\/+$/, "");

  async function attempt<T>(
    operation: OperationId,
    input: AnyInput,
    key: string | undefined,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const { method, replies } = traitsOf(operation);
    const { signal, ifMatch, body } = input;
    const text = typeof body === "string";
    const token = typeof apiKey === "function" ? await apiKey() : apiKey;
    const headers = new Headers({
      accept: "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": text ? "application/yaml" : "application/json" }),
      ...(key === undefined ? {} : { "idempotency-key": key }),
      ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
    });
    for (const [name, value] of [...Object.entries(own), ...Object.entries(input.headers ?? {})])
      headers.set(name, value);
    const url = urlOf(base, operation, input);
    const payload = body === undefined ? {} : { body: text ? body : JSON.stringify(body) };
    const limitMs = (input.timeoutMs ?? timeoutMs) + waitedMs(headers.get("prefer"));

    signal?.throwIfAborted();
    const controller = new AbortController();
    const onAbort = () => controller.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const late = new TimeoutError(`No reply came within ${limitMs} ms`, { operation, requestId: null });
    const timer = setTimeout(() => controller.abort(late), limitMs);
    let context: ErrorContext = { operation, requestId: null };
    /** Whether the body is still to be read: the caller's signal must end that too. */
    let open = false;
    try {
      const response = await send(url, {
        method,
        headers,
        signal: controller.signal,
        ...payload,
      });
      context = { operation, requestId: response.headers.get("x-request-id") };
      if (response.ok || replies?.includes(response.status)) {
        const result = await read(response);
        open = (result as unknown) === response;
        return result;
      }
      throw await failure(response, context);
    } catch (error) {
      if (controller.signal.aborted) throw controller.signal.reason;
      if (error instanceof MaruError || error instanceof ConnectionError) throw error;
      throw new ConnectionError(`No reply came: ${inWords(error)}`, context, { cause: error });
    } finally {
      clearTimeout(timer);
      if (!open) signal?.removeEventListener("abort", onAbort);
    }
  }

  const transport: Transport = {
    async send(operation, input, read) {
      const { method, keyed } = traitsOf(operation);
      // Made once, so that every attempt is the same request.
      const key = input.idempotencyKey ?? (keyed ? newKey() : undefined);
      const repeatable = method === "GET" || method === "PUT" || method === "DELETE" || (keyed && key !== undefined);
      const attempts = repeatable ? (input.retries ?? retries) : 0;
      for (let tried = 0; ; tried++) {
        try {
          return await attempt(operation, input, key, read);
        } catch (error) {
          input.signal?.throwIfAborted();
          const delay = tried < attempts ? retryDelayMs(error, tried) : null;
          if (delay === null) throw error;
          await pause(delay, input.signal);
        }
      }
    },
    request: (operation, input) => transport.send(operation, input as AnyInput, async (response) => response),
    call: (operation, input) => transport.send(operation, input as AnyInput, (response) => json(response, operation)),
  };
  return transport;
}

async function failure(response: Response, context: ErrorContext): Promise<Error> {
  const waitMs = retryAfterMs(response.headers);
  const text = await response.text();
  const problem = parsed(text) as Partial<Problem> | null;
  if (typeof problem?.code === "string" && typeof problem.title === "string" && typeof problem.status === "number")
    return errorOf(problem as Problem, context, waitMs);
  return new ConnectionError(`The reply ${response.status} is none of Maru's: ${text.slice(0, 200)}`, context, {
    status: response.status,
    retryAfterMs: waitMs,
  });
}

/** The reply's JSON; undefined where there is no content. @throws ConnectionError for what is no JSON */
export async function json<Op extends OperationId>(
  response: Response,
  operation: Op,
): Promise<Operations[Op]["reply"]> {
  const text = await response.text();
  if (text === "") return undefined as Operations[Op]["reply"];
  const value = parsed(text);
  if (value !== null) return value as Operations[Op]["reply"];
  const context = { operation, requestId: response.headers.get("x-request-id") };
  throw new ConnectionError(`The reply is none of Maru's: ${text.slice(0, 200)}`, context, { status: response.status });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function urlOf(base: string, operation: OperationId, input: AnyInput): string {
  const params = (input.params ?? {}) as Readonly<Record<string, unknown>>;
  const path = traitsOf(operation).path.replace(/\{([^}]+)\}/g, (_, name: string) => {
    const value = params[name];
    // An empty one would name the list instead.
    if (value === undefined || value === null || value === "") throw new TypeError(`${operation} needs ${name}`);
    return encodeURIComponent(String(value));
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(input.query ?? {}))
    if (value !== undefined && value !== null) search.set(name, String(value));
  const query = search.toString();
  return `${base}${path}${query === "" ? "" : `?${query}`}`;
}

/** What `Prefer: wait=N` lets the gateway take before it answers. */
const waitedMs = (prefer: string | null): number => 1_000 * Number(/\bwait=(\d{1,2})\b/.exec(prefer ?? "")?.[1] ?? 0);

/** 128 random bits. (`crypto.randomUUID` is not there on pages that came over plain HTTP.) */
export const newKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
}
