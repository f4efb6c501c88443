import { isIPv6 } from "node:net";
import { Agent, type buildConnector } from "undici";

/**
 * Connects by asking a proxy to CONNECT to the address it is given, for http as for https: the guard has judged that address,
 * and a proxy that is asked for an address has nothing to look up. TLS is with the destination, through the tunnel.
 */
export function connectThrough(
  proxy: URL,
  connect: buildConnector.connector,
  timeoutMs: number,
): { readonly connect: buildConnector.connector; close(): Promise<void> } {
  const proxies = new Agent({ connect: { timeout: timeoutMs, allowH2: false }, headersTimeout: timeoutMs });
  const headers = proxy.username === "" ? {} : { "proxy-authorization": `Basic ${credentials(proxy)}` };
  return {
    connect: (target, callback) => {
      const { hostname: address, protocol } = target;
      const port = target.port || (protocol === "https:" ? "443" : "80");
      const path = `${isIPv6(address) ? `[${address}]` : address}:${port}`;
      const signal = AbortSignal.timeout(timeoutMs);
      proxies.connect({ origin: proxy.origin, path, headers: { ...headers, host: path }, signal }).then(
        ({ socket, statusCode }) => {
          if (statusCode !== 200) {
            socket.on("error", () => {}).destroy();
            return callback(new ProxyRefused(statusCode), null);
          }
          if (protocol !== "https:") return callback(null, socket as never);
          connect({ ...target, httpSocket: socket as never }, callback);
        },
        (error: Error) => callback(error, null),
      );
    },
    close: () => proxies.destroy(),
  };
}

/** Nothing was sent to the destination. */
class ProxyRefused extends Error {
  readonly code = "ECONNREFUSED";
  constructor(status: number) {
    super(`The proxy answered CONNECT with ${status}`);
    this.name = "ProxyRefused";
  }
}

const credentials = ({ username, password }: URL): string =>
  Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
