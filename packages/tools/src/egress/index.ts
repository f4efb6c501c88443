import { lookup } from "node:dns/promises";
import { Agent, buildConnector, type Dispatcher } from "undici";
import { EgressBlocked, guardConnect, type Resolve } from "./connect.ts";
import { urlRefusal } from "./verdict.ts";

export { EgressBlocked } from "./connect.ts";
export { egressFetch } from "./fetch.ts";

export interface EgressOptions {
  /** Names the operator lets tools reach although they are private: host[:port] as written in URLs → origin. */
  readonly allow?: Readonly<Record<string, string>>;
  /** All addresses of a name. Default: the system's resolver. */
  readonly resolve?: Resolve;
  readonly connectTimeoutMs?: number;
  readonly headersTimeoutMs?: number;
}

export interface EgressRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly signal: AbortSignal;
  /** `allowed`: the body may pause for as long as the signal lets it. By default a pause of 30 s ends it. */
  readonly silence?: "allowed";
}

/** The one way out for everything a user's manifest can address. */
export interface Egress {
  /** @throws EgressBlocked, or whatever the connection fails with */
  request(request: EgressRequest): Promise<Dispatcher.ResponseData>;
  close(): Promise<void>;
}

const HEADER_BYTES = 16_384;

/**
 * Requests to public addresses only (connect.ts), but for the operator's `allow` list, whose names lead to their origins
 * and nowhere else. Redirects are not followed, proxies of the environment are not used, HTTP/1.1 only (over HTTP/2 a
 * connection would be shared between names).
 */
export function createEgress(options: EgressOptions = {}): Egress {
  const allow = new Map(Object.entries(options.allow ?? {}).map(([host, origin]) => [host.toLowerCase(), origin]));
  const resolve: Resolve = options.resolve ?? ((host) => lookup(host, { all: true, verbatim: true }));
  const connect = buildConnector({ timeout: options.connectTimeoutMs ?? 3_000, allowH2: false });

  const limits = {
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: options.headersTimeoutMs ?? 300_000,
    bodyTimeout: 30_000,
    allowH2: false,
    pipelining: 1,
  };
  const outside = new Agent({ ...limits, connect: guardConnect(connect, resolve) });
  const inside = new Agent({ ...limits, connect });

  return {
    async request({ method, url, headers, body, signal, silence }) {
      if (urlRefusal(url, [...allow.keys()]) !== null) throw new EgressBlocked();
      const parsed = new URL(url);
      const origin = allow.get(parsed.host);
      return (origin === undefined ? outside : inside).request({
        origin: origin ?? parsed.origin,
        path: `${parsed.pathname}${parsed.search}`,
        method: method as Dispatcher.HttpMethod,
        headers: { ...headers, host: parsed.host },
        body,
        signal,
        ...(silence === "allowed" ? { bodyTimeout: 0 } : {}),
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
