import { lookup } from "node:dns/promises";
import { isIP, type Socket } from "node:net";
import { Agent, buildConnector, type Dispatcher } from "undici";
import { isPublicAddress, urlRefusal } from "./verdict.ts";

export interface EgressOptions {
  /** Names the operator lets tools reach although they are private: host[:port] as written in URLs → origin. */
  readonly allow?: Readonly<Record<string, string>>;
  /** All addresses of a name. Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly { readonly address: string }[]>;
  readonly connectTimeoutMs?: number;
  readonly headersTimeoutMs?: number;
}

export interface EgressRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly signal: AbortSignal;
}

/** The one way out for everything a user's manifest can address. */
export interface Egress {
  /** @throws EgressBlocked, or whatever the connection fails with */
  request(request: EgressRequest): Promise<Dispatcher.ResponseData>;
  close(): Promise<void>;
}

/** The destination is not one that users' requests may reach. Says no more: an address would map the inside. */
export class EgressBlocked extends Error {
  constructor() {
    super("The destination is not allowed.");
    this.name = "EgressBlocked";
  }
}

const HEADER_BYTES = 16_384;
const MAX_ADDRESSES = 16;

/**
 * Requests to public addresses only. A `lookup` hook alone is no guard (it is never asked about IP literals), so the
 * connection itself is made here: every address of the name is judged, one is pinned, the socket's real peer is judged
 * again. Redirects are not followed, proxies of the environment are not used, HTTP/1.1 only (no coalescing).
 */
export function createEgress(options: EgressOptions = {}): Egress {
  const allow = new Map(Object.entries(options.allow ?? {}));
  const resolve = options.resolve ?? ((host: string) => lookup(host, { all: true, verbatim: true }));
  const connect = buildConnector({ timeout: options.connectTimeoutMs ?? 3_000, allowH2: false });

  const guarded: buildConnector.connector = (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, "");
    const pin = async (): Promise<string> => {
      if (isIP(host) !== 0) {
        if (!isPublicAddress(host)) throw new EgressBlocked();
        return host;
      }
      const addresses = (await resolve(host)).slice(0, MAX_ADDRESSES);
      // One private address among public ones is a rebinding attempt or a mistake; either way none is used.
      if (addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address)))
        throw new EgressBlocked();
      return (addresses[0] as { address: string }).address;
    };
    pin().then(
      (address) =>
        connect(
          { ...target, hostname: address, host: address, servername: isIP(host) === 0 ? host : "" },
          (...result) => {
            const [error, socket] = result;
            if (error !== null) return callback(error, null);
            if (!isPublicAddress((socket as Socket).remoteAddress ?? "")) {
              (socket as Socket).destroy();
              return callback(new EgressBlocked(), null);
            }
            callback(null, socket);
          },
        ),
      (error: Error) => callback(error, null),
    );
  };
  const limits = {
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: options.headersTimeoutMs ?? 300_000,
    bodyTimeout: 30_000,
    allowH2: false,
    pipelining: 1,
  };
  const outside = new Agent({ ...limits, connect: guarded });
  const inside = new Agent({ ...limits, connect: { timeout: options.connectTimeoutMs ?? 3_000 } });

  return {
    async request({ method, url, headers, body, signal }) {
      const parsed = new URL(url);
      const origin = allow.get(parsed.host);
      if (origin === undefined && urlRefusal(url, []) !== null) throw new EgressBlocked();
      return (origin === undefined ? outside : inside).request({
        origin: origin ?? parsed.origin,
        path: `${parsed.pathname}${parsed.search}`,
        method: method as Dispatcher.HttpMethod,
        headers: { ...headers, host: parsed.host },
        body,
        signal,
      });
    },
    async close() {
      await Promise.all([outside.destroy(), inside.destroy()]);
    },
  };
}

/**
 * Reads an operator's list `name=origin,name=origin`, e.g. `weather.maru.internal=http://127.0.0.1:8081`.
 * @throws Error naming the entry that is not one
 */
export function parseEgressAllow(text: string): Record<string, string> {
  const entries = text
    .split(",")
    .map((entry) => entry.trim())
    .filter(Boolean);
  return Object.fromEntries(
    entries.map((entry): [string, string] => {
      const at = entry.indexOf("=");
      const origin = entry.slice(at + 1);
      if (at < 1 || !URL.canParse(origin)) throw new Error(`EGRESS_ALLOW: ${entry} is not name=origin`);
      return [entry.slice(0, at), new URL(origin).origin];
    }),
  );
}
