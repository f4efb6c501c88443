import { isIP, type Socket } from "node:net";
import type { buildConnector } from "undici";
import { EgressBlocked } from "./errors.ts";
import { type Resolve, resolveInTime } from "./resolve.ts";

export interface GuardOptions {
  /** Connects to the address it is given and resolves nothing. */
  readonly connect: buildConnector.connector;
  readonly resolve: Resolve;
  readonly resolveMs: number;
  /** Whether an address may be connected to. */
  readonly mayReach: (address: string) => boolean;
  /** The connection is a proxy's: its peer is the proxy, and the address it was asked for is all that can be judged. */
  readonly proxied?: boolean;
}

const MAX_ADDRESSES = 16;

/**
 * A connector that reaches public addresses only. A `lookup` hook alone is no guard (it is never asked about IP
 * literals), so the connection itself is made here: literals are judged, a name is resolved once and all its addresses
 * are judged, one is pinned (`connect` gets the address, so nothing resolves again), and the socket's real peer is
 * judged before a byte of the request goes out.
 */
export function guardConnect(options: GuardOptions): buildConnector.connector {
  const { connect, mayReach, proxied = false } = options;
  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, "");
    pinAddress(host, options).then(
      (address) =>
        connect(
          { ...target, hostname: address, host: address, servername: isIP(host) === 0 ? host : "" },
          (...[error, socket]) => {
            if (error !== null) return callback(error, null);
            if (proxied || mayReach((socket as Socket).remoteAddress ?? "")) return callback(null, socket);
            (socket as Socket).destroy();
            callback(new EgressBlocked(), null);
          },
        ),
      (error: Error) => callback(error, null),
    );
  };
}

async function pinAddress(host: string, { resolve, resolveMs, mayReach }: GuardOptions): Promise<string> {
  const addresses = isIP(host) === 0 ? await resolveInTime(resolve, host, resolveMs) : [{ address: host }];
  const [first] = addresses;
  // One private address among public ones is a rebinding attempt or a mistake; either way none is used.
  if (first === undefined || addresses.length > MAX_ADDRESSES || !addresses.every(({ address }) => mayReach(address)))
    throw new EgressBlocked();
  return first.address;
}
