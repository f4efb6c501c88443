import { EGRESS_PER_HOST } from "./index.ts";
import { type AddressRanges, parseEgressDeny } from "./verdict.ts";

/** What an operator says of the way out, beside the private hosts that are allowed. */
export interface EgressLimits {
  /** Public addresses that nobody may reach. */
  readonly deny: AddressRanges;
  /** Requests of a workspace to one origin at a time, in one process. */
  readonly perHost: number;
  readonly proxy: URL | null;
}

/**
 * From EGRESS_DENY, EGRESS_PER_HOST and EGRESS_PROXY.
 * @throws Error naming the variable that is wrong
 */
export function egressLimits(env: Readonly<Record<string, string | undefined>>): EgressLimits {
  const perHost = Number(env.EGRESS_PER_HOST || EGRESS_PER_HOST);
  if (!Number.isInteger(perHost) || perHost < 1)
    throw new Error(`EGRESS_PER_HOST must be a whole number of at least 1, not ${env.EGRESS_PER_HOST}`);
  return {
    deny: parseEgressDeny(env.EGRESS_DENY ?? ""),
    perHost,
    proxy: proxyOf(env.EGRESS_PROXY ?? ""),
  };
}

function proxyOf(text: string): URL | null {
  if (text === "") return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  // The text may hold a password.
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "")
    throw new Error("EGRESS_PROXY must be http://host:port or https://host:port");
  return url;
}
