import type { Readable } from "node:stream";
import type { PolicyRules } from "@maru/contract";
import { allowsHost } from "@maru/domain";
import { buildConnector, type Dispatcher } from "undici";
import { guardConnect } from "./connect.ts";
import { ACCEPTED_ENCODINGS, type Decompress, decompressed, encodingOf } from "./decompress.ts";
import { EgressBlocked, PolicyDenied, RedirectFailed } from "./errors.ts";
import { meteredAgent } from "./meter.ts";
import { overhear } from "./overhear.ts";
import { connectThrough } from "./proxy.ts";
import { followed, type Hop, type Redirects } from "./redirect.ts";
import { createResolve, RESOLVE_MS, type Resolve } from "./resolve.ts";
import { createSlots, type Release } from "./slots.ts";
import { type AddressRanges, mayReach, urlRefusal } from "./verdict.ts";

export type { Decompress } from "./decompress.ts";
export {
  blockedBy,
  DecompressionLimit,
  EgressBlocked,
  EncodingRefused,
  OverheadLimit,
  PolicyDenied,
  RedirectFailed,
  RedirectRefused,
} from "./errors.ts";
export { egressFetch } from "./fetch.ts";
export type { Redirects } from "./redirect.ts";
export { createResolve, type Resolve } from "./resolve.ts";

export interface EgressOptions {
  /** A workspace's policy as it is now; asked for every request and every redirect. */
  readonly policy: (workspaceId: string) => Promise<PolicyRules>;
  /** Names the operator lets tools reach although they are private: host[:port] as written in URLs → origin. */
  readonly allow?: Readonly<Record<string, string>>;
  /** Addresses that are not connected to although they are public. This machine's own never are. */
  readonly deny?: AddressRanges;
  /** All addresses of a name. Default: from DNS. */
  readonly resolve?: Resolve;
  /** An http or https proxy through which public addresses are reached. */
  readonly proxy?: URL | null;
  /** Requests of a workspace to one origin at a time; others wait. Default 32. */
  readonly perHost?: number;
  readonly resolveMs?: number;
  readonly connectTimeoutMs?: number;
  /** How long a body may pause. Default 30 s. */
  readonly bodyIdleMs?: number;
}

export interface EgressRequest extends Hop {
  readonly signal: AbortSignal;
  /** How long the answer's head may take. Default 10 s. */
  readonly headersTimeoutMs?: number;
  /** `allowed`: the body may pause for as long as the signal lets it. */
  readonly silence?: "allowed";
  /** Not there: a redirect is an answer like others. */
  readonly redirects?: Redirects;
  /** Another limit holds how many there are at a time: nothing waits for a place here. */
  readonly unlimited?: true;
}

export interface EgressResponse extends Dispatcher.ResponseData {
  /** Where the answer is from, after redirects. */
  readonly finalUrl: string;
}
/** An answer whose body is not compressed any more, and says so in its headers. */
export interface DecompressedResponse extends Omit<EgressResponse, "body"> {
  readonly body: Readable;
}

/** The one way out for everything a workspace's users can address, under the policy of that workspace. */
export interface Egress {
  /**
   * The body must be read to its end or destroyed.
   * @throws EgressBlocked (PolicyDenied where the workspace itself forbids it), RedirectRefused, RedirectFailed, EncodingRefused,
   * or whatever the connection fails with
   */
  request(request: EgressRequest): Promise<EgressResponse>;
  /** The same of a body that may come compressed; it ends with DecompressionLimit when it grows too large. */
  request(request: EgressRequest & { readonly decompress: Decompress }): Promise<DecompressedResponse>;
}

export interface EgressGate {
  forWorkspace(workspaceId: string): Egress;
  close(): Promise<void>;
}

export const EGRESS_PER_HOST = 32;
const HEADER_BYTES = 16_384;

/**
 * Requests to public addresses only (connect.ts), but for the operator's `allow` list, whose names lead to their origins
 * and nowhere else. Proxies of the environment are not used. HTTP/1.1 only: over HTTP/2 a connection would be shared between
 * names.
 */
export function createEgress(options: EgressOptions): EgressGate {
  const allow = new Map(Object.entries(options.allow ?? {}).map(([host, origin]) => [host.toLowerCase(), origin]));
  const connectTimeoutMs = options.connectTimeoutMs ?? 3_000;
  const connect = buildConnector({ timeout: connectTimeoutMs, allowH2: false });
  const proxy = options.proxy ? connectThrough(options.proxy, connect, connectTimeoutMs) : null;
  const slots = createSlots(options.perHost ?? EGRESS_PER_HOST);

  const limits = {
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: 10_000,
    bodyTimeout: options.bodyIdleMs ?? 30_000,
    allowH2: false,
    pipelining: 1,
  };
  const outside = meteredAgent({
    ...limits,
    connect: guardConnect({
      connect: proxy?.connect ?? connect,
      resolve: options.resolve ?? createResolve(),
      resolveMs: options.resolveMs ?? RESOLVE_MS,
      mayReach: (address) => mayReach(address, options.deny ?? []),
      proxied: proxy !== null,
    }),
  });
  const inside = meteredAgent({ ...limits, connect });

  /** One request to one place, after everything about the place was judged. */
  const send = async (workspaceId: string, hop: Hop, request: EgressRequest): Promise<Dispatcher.ResponseData> => {
    const { method, url, headers, body } = hop;
    if (urlRefusal(url, [...allow.keys()]) !== null) throw new EgressBlocked();
    const parsed = new URL(url);
    if (!allowsHost(await options.policy(workspaceId), parsed.hostname)) throw new PolicyDenied();
    const origin = allow.get(parsed.host);
    const { signal, silence, headersTimeoutMs, unlimited } = request;
    const release = unlimited ? () => {} : await slots.take(`${workspaceId} ${parsed.origin}`, signal);
    try {
      const response = await (origin === undefined ? outside : inside).compose(releasing(release)).request({
        origin: origin ?? parsed.origin,
        path: `${parsed.pathname}${parsed.search}`,
        method: method as Dispatcher.HttpMethod,
        headers: { ...headers, host: parsed.host },
        body,
        signal,
        ...(headersTimeoutMs === undefined ? {} : { headersTimeout: headersTimeoutMs }),
        ...(silence === "allowed" ? { bodyTimeout: 0 } : {}),
      });
      // One that ends early while nobody reads it would end the process: whoever reads hears of it anyway.
      response.body.on("error", () => {});
      return response;
    } catch (error) {
      release();
      throw error;
    }
  };

  /** Sends, and goes where redirects lead. */
  const arrive = async (workspaceId: string, request: EgressRequest): Promise<EgressResponse> => {
    let hop: Hop = request;
    for (let hops = 0; ; hops++) {
      const response = await send(workspaceId, hop, request).catch((error: unknown) => {
        if (hops === 0 || request.signal.aborted) throw error;
        if (!(error instanceof EgressBlocked)) throw new RedirectFailed(error);
        error.afterRedirect = true;
        throw error;
      });
      let next: Hop | null = null;
      try {
        if (request.redirects !== undefined) next = followed(hop, response, request.redirects, hops);
      } catch (error) {
        response.body.destroy();
        throw error;
      }
      if (next === null) return Object.assign(response, { finalUrl: hop.url });
      response.body.destroy();
      hop = next;
    }
  };

  const forWorkspace = (workspaceId: string): Egress => ({
    request: async (request: EgressRequest & { readonly decompress?: Decompress }) => {
      const { decompress } = request;
      if (decompress === undefined) return arrive(workspaceId, request);
      const headers = { ...request.headers, "accept-encoding": ACCEPTED_ENCODINGS };
      const response = await arrive(workspaceId, { ...request, headers });
      return withoutEncoding(response, decompress) as never;
    },
  });

  return {
    forWorkspace,
    async close() {
      await Promise.all([outside.destroy(), inside.destroy(), proxy?.close()]);
    },
  };
}

/** @throws EncodingRefused */
function withoutEncoding(response: EgressResponse, caps: Decompress): DecompressedResponse {
  const { "content-encoding": coding, "content-length": _length, ...headers } = response.headers;
  try {
    const encoding = encodingOf(coding);
    if (encoding === null) return response;
    return Object.assign(response, { headers, body: decompressed(response.body, encoding, caps) });
  } catch (error) {
    response.body.destroy();
    throw error;
  }
}

/** Gives a request's place back when its answer is complete, or broke off. */
const releasing =
  (release: Release): Dispatcher.DispatcherComposeInterceptor =>
  (dispatch) =>
  (options, handler) =>
    dispatch(options, overhear(handler, { onEnd: release }));

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
