import { Resolver } from "node:dns/promises";
import { NameNotResolved } from "./errors.ts";

/** All addresses of a name. @throws NameNotResolved */
export type Resolve = (host: string) => Promise<readonly { readonly address: string }[]>;

/** Time a name has to be looked up. */
export const RESOLVE_MS = 2_000;

/** Answers of a name that has no address of a family. */
const NOTHING: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

/**
 * Looks names up in DNS alone, IPv4 addresses first. Not by the system's `getaddrinfo`: that has four threads for the whole
 * process, which one slow name server could hold, and it knows names of the machine's own (hosts file, search domains).
 */
export function createResolve(resolver: Resolver = new Resolver({ timeout: 900, tries: 2 })): Resolve {
  return async (host) => {
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (addresses.length > 0) return addresses.map((address) => ({ address }));
    const isGone = answers.every((answer) => answer.status === "fulfilled" || NOTHING.has(answer.reason?.code));
    throw new NameNotResolved(host, isGone ? "ENOTFOUND" : "EAI_AGAIN");
  };
}

/** A lookup that ends in time, whoever does it. @throws NameNotResolved */
export async function resolveInTime(resolve: Resolve, host: string, ms: number): ReturnType<Resolve> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NameNotResolved(host, "EAI_AGAIN")), ms);
  });
  try {
    return await Promise.race([resolve(host), late]);
  } finally {
    clearTimeout(timer);
  }
}
