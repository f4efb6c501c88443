import type { Socket } from "node:net";
import {
  API_KEY_PATTERN,
  MODEL_NAME_PATTERN,
  NAME_PATTERN,
  Problem,
  type ProblemCode,
  type ProblemDetail,
  routes,
} from "@maru/contract";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/** The problem an error of Fastify itself stands for. */
const FASTIFY_CODES: Record<string, ProblemCode> = {
  FST_ERR_CTP_EMPTY_JSON_BODY: "empty_body",
  FST_ERR_CTP_INVALID_JSON_BODY: "invalid_json",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "unsupported_media_type",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "invalid_header",
  FST_ERR_CTP_BODY_TOO_LARGE: "body_too_large",
  FST_ERR_BAD_URL: "not_found",
  FST_ERR_MAX_PARAM_LENGTH: "not_found",
  FST_ERR_ASYNC_CONSTRAINT: "not_found",
};

/** One place renders every failure as RFC 9457; what is not a caller's doing becomes `internal` with no detail. */
export function installProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError | Problem, request, reply) => {
    const problem = toProblem(error);
    if (problem.status >= 500) request.log.error({ err: error }, "request failed");
    return sendProblem(reply, problem, request);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0] ?? "";
    const allowed = allowedMethods(path);
    if (allowed.length === 0)
      return sendProblem(reply, new Problem("not_found", "There is nothing at this path."), request);
    reply.header("allow", allowed.join(", "));
    return sendProblem(reply, new Problem("method_not_allowed", `This path answers ${allowed.join(", ")}.`), request);
  });
}

export function sendProblem(reply: FastifyReply, problem: Problem, request: FastifyRequest): FastifyReply {
  if (problem.status === 401) reply.header("www-authenticate", 'Bearer realm="maru"');
  const { retryAfterMs, resetsAt } = problem.extras;
  if (retryAfterMs !== undefined) reply.header("retry-after", Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  else if (resetsAt !== undefined)
    reply.header("retry-after", Math.max(1, Math.ceil((resetsAt.getTime() - Date.now()) / 1_000)));
  else if (problem.status === 503) reply.header("retry-after", 5);
  // The serializers of the route's success schemas must not touch a problem.
  reply.serializer((body: unknown) => JSON.stringify(body));
  return reply
    .code(problem.status)
    .type("application/problem+json; charset=utf-8")
    .send(problem.toDocument(request.id));
}

function toProblem(error: FastifyError | Problem): Problem {
  if (error instanceof Problem) return error;
  if (error.validation !== undefined) return validationProblem(error);
  const known = FASTIFY_CODES[error.code];
  if (known !== undefined) return new Problem(known, error.message);
  if (error instanceof SyntaxError) return new Problem("invalid_json", error.message);
  if (isConnectionLoss(error))
    return new Problem(
      "unavailable",
      "The database does not answer. The call had no effect or can be repeated with the same Idempotency-Key.",
    );
  return new Problem("internal");
}

/** Postgres is starting, stopping or away (SQLSTATE classes 08 and 57, and the socket's own errors). */
function isConnectionLoss(error: Error & { code?: unknown }): boolean {
  return (
    (typeof error.code === "string" &&
      /^(?:08...|57P0[123]|53300|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|P1001|P1002|P1017|P2024|P2028)$/.test(
        error.code,
      )) ||
    /Connection terminated|timeout exceeded when trying to connect|not currently accepting connections/.test(
      error.message,
    )
  );
}

function validationProblem(error: FastifyError): Problem {
  const place =
    { body: "", querystring: "?", params: "path:", headers: "header:" }[error.validationContext ?? "body"] ?? "";
  const details = (error.validation ?? []).slice(0, 50).map((item): ProblemDetail => {
    const inside = place === "" ? item.instancePath : item.instancePath.slice(1);
    const extra = (item.params as { additionalProperty?: string; missingProperty?: string }) ?? {};
    const child = extra.additionalProperty ?? extra.missingProperty;
    const pointer = `${place}${inside}${child === undefined ? "" : place === "" ? `/${child}` : child}`;
    const code =
      item.keyword === "additionalProperties" || item.keyword === "unevaluatedProperties"
        ? "unknown_field"
        : "validation_failed";
    return { pointer, code, detail: inWords(item) };
  });
  // An id that cannot exist names nothing: the same answer as one that does not.
  if (error.validationContext === "params") return new Problem("not_found", "There is nothing at this path.");
  const unknown = details.length > 0 && details.every(({ code }) => code === "unknown_field");
  return new Problem(unknown ? "unknown_field" : "validation_failed", details[0]?.detail, { errors: details });
}

/** Patterns as people say them. */
const PATTERNS: Readonly<Record<string, string>> = {
  [API_KEY_PATTERN]: "must be printable ASCII characters without spaces or line ends",
  [NAME_PATTERN]: "must be lower-case letters, digits and hyphens, 1 to 63, and begin and end with a letter or digit",
  [MODEL_NAME_PATTERN]:
    "must be lower-case letters, digits, dots, hyphens and underscores, 1 to 63, and begin with a letter or digit",
};

function inWords({ keyword, message, params }: NonNullable<FastifyError["validation"]>[number]): string {
  const { allowedValues, pattern } = params as { allowedValues?: unknown; pattern?: string };
  if (keyword === "enum" && Array.isArray(allowedValues)) return `must be one of ${allowedValues.join(", ")}`;
  return (pattern === undefined ? undefined : PATTERNS[pattern]) ?? message ?? "is not valid";
}

/** What the HTTP parser refused never became a request: answered on the socket itself. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return;
  const code: ProblemCode =
    error.code === "HPE_HEADER_OVERFLOW"
      ? "headers_too_large"
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "request_timeout"
        : "invalid_header";
  const problem = new Problem(code);
  const body = JSON.stringify(problem.toDocument("-"));
  socket.end(
    `HTTP/1.1 ${problem.status} ${code}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

const PATHS = Object.values(routes).map(({ method, path }) => ({
  method,
  pattern: new RegExp(`^${path.replaceAll(".", "\\.").replace(/\{[^}]+\}/g, "[^/]+")}$`),
}));
const allowedMethods = (path: string): string[] => [
  ...new Set(PATHS.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)),
];
