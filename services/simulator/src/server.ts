import Fastify, { type FastifyInstance } from "fastify";
import { JSON_TYPE } from "./delivery.ts";
import { errorBody } from "./http-error.ts";

/** Bodies larger than this are refused with 413: 8 MiB. */
const BODY_LIMIT = 8 * 1_024 * 1_024;

/** A server whose bodies are text, whatever they call themselves: bad JSON gets the host's reply and not Fastify's. */
export function createServer(onError: (error: unknown) => void): FastifyInstance {
  const app = Fastify({ bodyLimit: BODY_LIMIT, forceCloseConnections: true, logger: false });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ detail: "Not Found" }));
  app.setErrorHandler((error: { statusCode?: number; message: string }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) onError(error);
    return reply
      .code(status)
      .type(JSON_TYPE)
      .send(errorBody(status, status >= 500 ? "Internal error" : error.message));
  });
  return app;
}
