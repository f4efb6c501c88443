import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";

/** Public-range addresses that are a cloud's inside: Azure's wire server, Alibaba's and Oracle's metadata, EC2's on IPv6. */
const METADATA = new Set(["168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]);

/**
 * Whether an address may be connected to: public unicast only. Judged on bytes, since textual lists have fallen to hex
 * and octal spellings, IPv4 inside IPv6, and translation prefixes time and again.
 */
export function isPublicAddress(address: string): boolean {
  const parsed = parsedAddress(address);
  if (parsed === null || METADATA.has(parsed.toString())) return false;
  // Global unicast is 2000::/3; within it 6to4, Teredo, documentation and ORCHID have names of their own.
  return parsed.range() === "unicast" && (parsed.kind() === "ipv4" || parsed.match(GLOBAL_UNICAST, 3));
}

const GLOBAL_UNICAST = ipaddr.IPv6.parse("2000::");

/** An address in its one textual form, IPv4 out of IPv6; null for other spellings, which only a URL parser may read. */
function parsedAddress(address: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  // A zone names one of this machine's interfaces.
  if (isIP(address) === 0 || address.includes("%")) return null;
  return ipaddr.process(address);
}

/** Ranges of addresses, as `parseEgressDeny` reads them. */
export type AddressRanges = readonly (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[];

/**
 * Reads an operator's list of addresses and CIDR ranges that are never connected to, e.g. `198.35.26.0/24,2620:0:862::/48`: the
 * installation's own public ones, where its services answer.
 * @throws Error naming the entry that is not one
 */
export function parseEgressDeny(text: string): AddressRanges {
  const entries = text
    .split(",")
    .map((entry) => entry.trim())
    .filter(Boolean);
  return entries.map((entry) => {
    const [address = "", bits, more] = entry.split("/");
    const parsed = parsedAddress(address);
    const most = parsed?.kind() === "ipv4" ? 32 : 128;
    const length = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (parsed === null || more !== undefined || !(length <= most))
      throw new Error(`EGRESS_DENY: ${entry} is neither an address nor a CIDR range`);
    return [parsed, length];
  });
}

/** Whether an address may be connected to by an installation: neither denied nor one of this machine's own. */
export function mayReach(address: string, denied: AddressRanges, own: readonly string[] = ownAddresses()): boolean {
  const parsed = parsedAddress(address);
  if (parsed === null || !isPublicAddress(address)) return false;
  if (denied.some(([range, bits]) => range.kind() === parsed.kind() && parsed.match(range, bits))) return false;
  return !own.some((item) => parsedAddress(item)?.toString() === parsed.toString());
}

/** Read each time: addresses come and go, and a connection takes far longer. */
const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));

/** Top-level domains that are no public one and that networks use inside (RFC 6761, RFC 6762, RFC 7686, ICANN's .internal). */
const PRIVATE_DOMAINS: ReadonlySet<string> = new Set(
  "localhost local internal localdomain lan home corp intranet private svc onion".split(" "),
);

const BLOCKED_PORTS = new Set([
  0, 19, 21, 22, 23, 25, 53, 110, 111, 135, 139, 143, 389, 445, 465, 587, 993, 995, 1433, 1521, 2049, 2375, 2376, 2379,
  3306, 3389, 4222, 5432, 5672, 5900, 6379, 6443, 8500, 9042, 9092, 9200, 10250, 11211, 15672, 27017,
]);

const ALLOWING = "; an operator can allow it (EGRESS_ALLOW)";

/** Why a URL must not be used at all, whatever its name resolves to; null when nothing is wrong with it. */
export function urlRefusal(text: string, allowed: readonly string[]): string | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return "is not a URL";
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return "must begin with https:// or http://";
  if (url.username !== "" || url.password !== "") return "must not hold a user or password";
  if (text.includes("#")) return "must not have a fragment";
  if (text.includes("\\")) return "must not have a backslash";
  // The parser drops tabs and line ends without a word, so the host it sees is not the one a reader sees.
  if (/[\s\p{Cc}]/u.test(text)) return "must not have spaces or control characters";
  // Other scripts have letters that look like a-z, and digits that are read as 0-9.
  if (!/^https?:\/\/[\x21-\x7e]+$/i.test(text.split(/(?<=[^:/])[/?]/, 1)[0] as string))
    return "must have its host in ASCII (xn--… for other scripts)";
  if (allowed.some((name) => name.toLowerCase() === url.host)) return null;
  if (url.port !== "" && BLOCKED_PORTS.has(Number(url.port))) return `uses port ${url.port}, which is not allowed`;
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (host.endsWith(".")) return "must have its host without a dot at the end";
  if (host === "" || host.length > 253) return "has no usable host";
  if (isIP(host) !== 0) return isPublicAddress(host) ? null : `names an address that is not public${ALLOWING}`;
  return !host.includes(".") ||
    PRIVATE_DOMAINS.has(host.slice(host.lastIndexOf(".") + 1)) ||
    host.endsWith(".home.arpa")
    ? `names a host that is not public${ALLOWING}`
    : null;
}
