import { Agent, type buildConnector, Client, Pool } from "undici";
import { OverheadLimit } from "./errors.ts";
import { overhear } from "./overhear.ts";

/** Bytes an answer may have beside its body: heads, the sizes of chunks and what may stand beside them, trailers. */
const FREE_BYTES = 1 << 20;
/** And so many for each byte of the body: a chunk of one byte has five others. */
const PER_BODY_BYTE = 8;

/**
 * An agent whose connections end with OverheadLimit when an answer is something else than its body for too long. The parser
 * passes over such bytes without a word, as fast as they come: limits of bodies do not see them.
 */
export const meteredAgent = (options: Agent.Options): Agent =>
  new Agent({
    ...options,
    factory: (origin, pool: Pool.Options) =>
      new Pool(origin, { ...pool, factory: (target, client) => meteredClient(target, client as Client.Options) }),
  });

/** A client has one connection, and one request on it, at a time. */
function meteredClient(origin: URL, options: Client.Options): Client {
  let read = 0;
  let body = 0;
  const connect = options.connect as buildConnector.connector;
  const client = new Client(origin, {
    ...options,
    connect: (target, callback) =>
      connect(target, (...[error, socket]) => {
        if (error !== null) return callback(error, null);
        const take = socket.read.bind(socket);
        socket.read = (size) => {
          const chunk = take(size);
          read += chunk?.length ?? 0;
          if (read - body <= FREE_BYTES + PER_BODY_BYTE * body) return chunk;
          socket.destroy(new OverheadLimit());
          return null;
        };
        callback(null, socket);
      }),
  });
  const dispatch = client.dispatch.bind(client);
  client.dispatch = (request, handler) =>
    dispatch(
      request,
      overhear(handler, {
        onStart() {
          read = 0;
          body = 0;
        },
        onBody(bytes) {
          body += bytes;
        },
      }),
    );
  return client;
}
