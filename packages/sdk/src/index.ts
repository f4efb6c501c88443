import {
  type BodyOf,
  type OperationId,
  type ParamsOf,
  type ProblemDocument,
  type QueryOf,
  type ReplyOf,
  type RouteContract,
  type Routes,
  type RunEvent,
  routes,
} from "@maru/contract";
import { EventSourceParserStream } from "eventsource-parser/stream";

export interface ClientOptions {
  /** Where the gateway is, e.g. http://127.0.0.1:8080 */
  readonly baseUrl: string;
  /** An API key or an access token; none for the public calls. */
  readonly apiKey?: string;
  readonly fetch?: typeof fetch;
}

/** A problem the API answered (RFC 9457). */
export class MaruError extends Error {
  readonly problem: ProblemDocument;
  constructor(problem: ProblemDocument) {
    super(`${problem.title}${problem.detail === undefined ? "" : `: ${problem.detail}`}`);
    this.name = "MaruError";
    this.problem = problem;
  }
}

type Input<R extends RouteContract> = {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
} & (R["params"] extends object ? { readonly params: ParamsOf<R> } : object) &
  (R["query"] extends object ? { readonly query?: QueryOf<R> } : object) &
  (R["body"] extends object ? { readonly body: BodyOf<R> } : object);

/** A client whose calls are the operations of the contract. */
export function createClient(options: ClientOptions) {
  const { baseUrl, apiKey, fetch: send = fetch } = options;

  const request = async (
    operation: OperationId,
    input: {
      params?: object;
      query?: object;
      body?: unknown;
      headers?: Readonly<Record<string, string>>;
      signal?: AbortSignal;
    },
  ): Promise<Response> => {
    const route: RouteContract = routes[operation];
    const path = route.path.replace(/\{([^}]+)\}/g, (_, name: string) =>
      encodeURIComponent(String((input.params as Record<string, unknown>)[name])),
    );
    const url = new URL(path, baseUrl);
    for (const [name, value] of Object.entries(input.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const text = typeof input.body === "string";
    const response = await send(url, {
      method: route.method,
      headers: {
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
        ...(input.body === undefined ? {} : { "content-type": text ? "application/yaml" : "application/json" }),
        ...input.headers,
      },
      ...(input.body === undefined ? {} : { body: text ? (input.body as string) : JSON.stringify(input.body) }),
      ...(input.signal === undefined ? {} : { signal: input.signal }),
    });
    if (response.ok) return response;
    throw new MaruError((await response.json()) as ProblemDocument);
  };

  return {
    /** Calls an operation. @throws MaruError */
    async call<Op extends OperationId>(operation: Op, input: Input<Routes[Op]>): Promise<ReplyOf<Routes[Op]>> {
      const response = await request(operation, input as never);
      return (response.status === 204 ? undefined : await response.json()) as ReplyOf<Routes[Op]>;
    },

    /** Starts a run and yields its events as they come, until it ends. @throws MaruError */
    async *run(
      body: BodyOf<Routes["createRun"]>,
      input: { signal?: AbortSignal } = {},
    ): AsyncGenerator<RunEvent, void> {
      const response = await request("createRun", { body, headers: { accept: "text/event-stream" }, ...input });
      yield* events(response);
    },

    /** Events of a run after a sequence number. @throws MaruError */
    async *events(runId: string, afterSeq = 0): AsyncGenerator<RunEvent, void> {
      const response = await request("listRunEvents", {
        params: { run: runId },
        headers: { accept: "text/event-stream", "last-event-id": String(afterSeq) },
      });
      yield* events(response);
    },
  };
}
export type Client = ReturnType<typeof createClient>;

async function* events(response: Response): AsyncGenerator<RunEvent, void> {
  if (response.body === null) return;
  const stream = response.body
    .pipeThrough(new TextDecoderStream() as never)
    .pipeThrough(new EventSourceParserStream() as never) as unknown as AsyncIterable<{ data: string }>;
  for await (const { data } of stream) yield JSON.parse(data) as RunEvent;
}
