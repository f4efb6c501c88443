import ipaddr from "ipaddr.js";

/** Public-range addresses that are a cloud's inside: Azure's wire server, Alibaba's and Oracle's metadata, EC2's on IPv6. */
const METADATA = new Set(["168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]);

/**
 * Whether an address may be connected to: public unicast only. Judged on bytes, since textual lists have fallen to hex
 * and octal spellings, IPv4 inside IPv6, and translation prefixes time and again.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.kind() === "ipv6") {
    const v6 = parsed as ipaddr.IPv6;
    if (v6.isIPv4MappedAddress()) return isPublicV4(v6.toIPv4Address());
    // Global unicast is 2000::/3; within it 6to4, Teredo, documentation and ORCHID have names of their own.
    return v6.match(ipaddr.IPv6.parse("2000::"), 3) && v6.range() === "unicast" && !METADATA.has(v6.toString());
  }
  return isPublicV4(parsed as ipaddr.IPv4);
}

const isPublicV4 = (address: ipaddr.IPv4): boolean =>
  address.range() === "unicast" && !METADATA.has(address.toString());

const BLOCKED_PORTS = new Set([
  0, 19, 21, 22, 23, 25, 53, 110, 111, 135, 139, 143, 389, 445, 465, 587, 993, 995, 1433, 1521, 2049, 2375, 2376, 2379,
  3306, 3389, 4222, 5432, 5672, 5900, 6379, 6443, 8500, 9042, 9092, 9200, 10250, 11211, 15672, 27017,
]);

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
  if (ipaddr.isValid(host)) return isPublicAddress(host) ? null : "names an address that is not public";
  if (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host.endsWith(".local") ||
    host.endsWith(".internal") ||
    !host.includes(".")
  ) {
    return "names a host that is not public";
  }
  return null;
}
