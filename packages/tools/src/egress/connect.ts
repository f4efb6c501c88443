import { isIP, type Socket } from "node:net";
import type { buildConnector } from "undici";
import { isPublicAddress } from "./verdict.ts";

/** All addresses of a name. */
export type Resolve = (host: string) => Promise<readonly { readonly address: string }[]>;

/** The destination is not one that users' requests may reach. Says no more: an address would map the inside. */
export class EgressBlocked extends Error {
  constructor() {
    super("The destination is not allowed.");
    this.name = "EgressBlocked";
  }
}

const MAX_ADDRESSES = 16;

/**
 * A connector that reaches public addresses only. A `lookup` hook alone is no guard (it is never asked about IP
 * literals), so the connection itself is made here: literals are judged, a name is resolved once and all its addresses
 * are judged, one is pinned (`connect` gets the address, so nothing resolves again), and the socket's real peer is
 * judged before a byte of the request goes out.
 */
export function guardConnect(connect: buildConnector.connector, resolve: Resolve): buildConnector.connector {
  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, "");
    pinAddress(host, resolve).then(
      (address) =>
        connect(
          { ...target, hostname: address, host: address, servername: isIP(host) === 0 ? host : "" },
          (...[error, socket]) => {
            if (error !== null) return callback(error, null);
            if (isPublicAddress((socket as Socket).remoteAddress ?? "")) return callback(null, socket);
            (socket as Socket).destroy();
            callback(new EgressBlocked(), null);
          },
        ),
      (error: Error) => callback(error, null),
    );
  };
}

async function pinAddress(host: string, resolve: Resolve): Promise<string> {
  const addresses = isIP(host) === 0 ? await resolve(host) : [{ address: host }];
  const [first] = addresses;
  // One private address among public ones is a rebinding attempt or a mistake; either way none is used.
  if (
    first === undefined ||
    addresses.length > MAX_ADDRESSES ||
    !addresses.every(({ address }) => isPublicAddress(address))
  )
    throw new EgressBlocked();
  return first.address;
}
