import { createHash } from "node:crypto";
import {
  type BodyOf,
  type OperationId,
  type ParamsOf,
  Problem,
  type QueryOf,
  type ReplyOf,
  type RouteContract,
  type Routes,
  routes,
} from "@maru/contract";
import { canonicalJson, deeperThan } from "@maru/domain";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { type Authenticator, allow, type Caller } from "../auth/authenticate.ts";
import type { RateLimits } from "../rates/callers.ts";
import type { IdempotentReplies } from "./idempotency.ts";
import { refuseUnstorable, utf8 } from "./strings.ts";

/** One request as a handler sees it: everything is checked. `caller` is null on public routes and operators' ones. */
export interface Call<R extends RouteContract> {
  readonly params: ParamsOf<R>;
  readonly query: QueryOf<R>;
  readonly body: BodyOf<R>;
  readonly caller: R["access"] extends "public" | "operator" ? null : Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Set when the caller sent one and the route carries it in a row of its own. */
  readonly idempotency: { readonly key: string; readonly requestHash: Buffer } | null;
}

export interface Answer<R extends RouteContract> {
  readonly status: keyof R["replies"] & number;
  readonly body?: ReplyOf<R>;
  /** Instead of JSON of the reply's schema: one of the route's `alternatives`, or JSON as it is. */
  readonly other?: { readonly type: string; readonly body: string };
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answered by a handler that has taken over the socket (an event stream). */
export const STREAMED: unique symbol = Symbol("streamed");
export type Streamed = typeof STREAMED;

export type Handler<R extends RouteContract> = (call: Call<R>) => Promise<Answer<R> | typeof STREAMED>;
/** Every operation of the contract has exactly one handler: leaving one out is a type error. */
export type Handlers = { readonly [Op in OperationId]: Handler<Routes[Op]> };

/** Runs carry their key in their own row, in the transaction that makes them. */
const OWN_IDEMPOTENCY: ReadonlySet<string> = new Set(["createRun"]);
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;

export function bindRoutes(
  app: FastifyInstance,
  handlers: Handlers,
  deps: { authenticator: Authenticator; rateLimits: RateLimits; replies: IdempotentReplies },
): void {
  const { authenticator, rateLimits, replies } = deps;

  for (const [operationId, contract] of Object.entries(routes) as [OperationId, RouteContract][]) {
    const handler = handlers[operationId] as unknown as Handler<RouteContract>;
    app.route({
      method: contract.method,
      ...(contract.bodyBytes === undefined ? {} : { bodyLimit: contract.bodyBytes }),
      url: contract.path.replace(/\{([^}]+)\}/g, ":$1"),
      schema: {
        ...(contract.params === undefined ? {} : { params: contract.params }),
        ...(contract.query === undefined ? {} : { querystring: contract.query }),
        ...(contract.headers === undefined ? {} : { headers: contract.headers }),
        // YAML arrives as text and is checked by the manifest parser, JSON manifests too: one place, one wording.
        ...(contract.body === undefined || contract.bodyTypes !== undefined ? {} : { body: contract.body }),
        response: Object.fromEntries(Object.entries(contract.replies).filter(([, schema]) => schema !== null)),
      },
      config: {
        operationId,
        bodyTypes: contract.bodyTypes ?? [],
        csv: contract.csv ?? false,
        bytes: contract.bytes ?? false,
        alternatives: Object.keys(contract.alternatives ?? {}),
      },
      onRequest: async (request, reply) => {
        const { access } = contract;
        if (access === "public" || access === "operator") {
          if (contract.tag !== "operations") rateLimits.takeAddress(reply, request);
          if (access === "operator") authenticator.authenticateOperator(request);
          return;
        }
        const caller = await authenticator.authenticate(request).catch((error) => {
          // Who has no credentials that hold is limited as who brings none.
          rateLimits.takeAddress(reply, request);
          throw error;
        });
        request.caller = caller;
        await rateLimits.takeCaller(reply, caller);
        allow(caller, access);
      },
      handler: async (request, reply) => {
        const { caller } = request;
        const given = request.headers["idempotency-key"];
        const key = contract.idempotent && given !== undefined ? idempotencyKey(given) : null;
        const requestHash = key === null ? null : hashRequest(operationId, request);
        const own = OWN_IDEMPOTENCY.has(operationId);
        const call = {
          params: request.params,
          query: request.query,
          body: request.body,
          caller,
          request,
          reply,
          idempotency: own && key !== null ? { key, requestHash } : null,
        } as Call<RouteContract>;
        const run = async () => handler(call);
        const answer =
          key === null || requestHash === null || own || caller === null
            ? await run()
            : await replies.once({ workspaceId: caller.workspaceId, operation: operationId, key, requestHash }, run);
        if (answer === STREAMED) return reply;
        reply.code(answer.status);
        if (answer.headers !== undefined) reply.headers(answer.headers);
        const { other } = answer;
        if (other !== undefined)
          return reply
            .type(`${other.type}; charset=utf-8`)
            .serializer((text: string) => text)
            .send(other.body);
        if (answer.body === undefined) return reply.send();
        return reply.send(answer.body);
      },
    });
  }
}

declare module "fastify" {
  interface FastifyRequest {
    caller: Caller | null;
  }
  interface FastifyContextConfig {
    operationId?: string;
    bodyTypes?: readonly string[];
    csv?: boolean;
    bytes?: boolean;
    alternatives?: readonly string[];
  }
}

function idempotencyKey(given: string | string[]): string {
  if (typeof given !== "string" || !IDEMPOTENCY_KEY.test(given)) {
    throw new Problem("invalid_header", "Idempotency-Key must be 1 to 255 printable ASCII characters without spaces.", {
      errors: [
        { pointer: "header:Idempotency-Key", code: "invalid_header", detail: "1 to 255 printable ASCII characters" },
      ],
    });
  }
  return given;
}

const hashRequest = (operationId: string, request: FastifyRequest): Buffer =>
  createHash("sha256")
    .update(`${operationId}\n${request.url}\n${request.headers["if-match"] ?? ""}\n`)
    .update(typeof request.body === "string" ? request.body : canonicalJson(request.body ?? null))
    .digest();

/** Far more than any body has, and far less than would overflow the stack of what walks it. */
export const BODY_DEPTH = 64;

/** Fastify's parser says of a forbidden key only that the body is no JSON. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Reads JSON strictly, and the other types a route names as text; everything else is 415. */
export function installBodyParsers(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  type Parser = (request: FastifyRequest, text: string, done: (error: Error | null, value?: unknown) => void) => void;
  // Read as bytes, since a decoder that is not asked replaces what it can't read.
  const ofBytes =
    (parse: Parser) =>
    (request: FastifyRequest, bytes: Buffer, done: (error: Error | null, value?: unknown) => void): void => {
      let text: string;
      try {
        text = utf8(bytes);
      } catch (problem) {
        done(problem as Error);
        return;
      }
      parse(request, text, done);
    };
  const json: Parser = (request, text, done) => {
    const charset = /charset\s*=\s*"?([^;"\s]+)/i.exec(request.headers["content-type"] ?? "")?.[1];
    if (charset !== undefined && charset.toLowerCase() !== "utf-8")
      return done(new Problem("unsupported_media_type", "JSON is read as UTF-8 only."));
    // A manifest keeps its text: its parser reports line, column and duplicate keys, which a JSON tree has lost.
    if ((request.routeOptions.config.bodyTypes ?? []).length > 0) return done(null, text);
    // A call that takes no body may be sent with none, whatever its content type says.
    if (text.trim() === "") {
      return request.routeOptions.schema?.body === undefined
        ? done(null, undefined)
        : done(new Problem("empty_body", "Send a JSON object."));
    }
    parseJson(request, text, (error, value) => {
      if (error !== null)
        return done(
          isJson(text) ? new Problem("forbidden_key", "The keys __proto__ and constructor are never allowed.") : error,
        );
      try {
        if (deeperThan(value, BODY_DEPTH))
          throw new Problem("body_too_deep", `JSON here may be nested ${BODY_DEPTH} levels deep.`);
        refuseUnstorable(text, value);
        done(null, value);
      } catch (problem) {
        done(problem as Error);
      }
    });
  };
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, ofBytes(json));
  app.addContentTypeParser(
    ["application/yaml", "application/x-yaml", "text/yaml"],
    { parseAs: "buffer" },
    ofBytes((request, text, done) => {
      if (!(request.routeOptions.config.bodyTypes ?? []).some((type) => type.endsWith("yaml")))
        return done(new Problem("unsupported_media_type", "Send application/json."));
      done(null, text);
    }),
  );
  app.addHook("onRequest", async (request) => {
    if (request.headers["content-encoding"] !== undefined && request.headers["content-encoding"] !== "identity") {
      throw new Problem("unsupported_media_type", "Send the body without Content-Encoding.");
    }
  });
  app.addHook("preValidation", async (request) => {
    const expects =
      request.routeOptions.schema?.body !== undefined || (request.routeOptions.config.bodyTypes ?? []).length > 0;
    if (!expects) return;
    if (request.headers["content-type"] === undefined)
      throw new Problem("unsupported_media_type", "Send Content-Type: application/json.");
    if (request.body === undefined || request.body === "") throw new Problem("empty_body", "The call needs a body.");
  });
}
