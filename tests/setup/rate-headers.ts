import { parseList } from "structured-headers";

export interface RateHeaders {
  /** RateLimit-Policy: how many calls at once, and in how many seconds they are whole again. */
  readonly policies: Readonly<Record<string, { q: number; w: number }>>;
  /** RateLimit: how many are left, and in how many seconds there is one more. */
  readonly limits: Readonly<Record<string, { r: number; t?: number }>>;
}

/**
 * Reads both headers as draft-ietf-httpapi-ratelimit-headers-10 defines them (§3, §4), with a parser of structured fields.
 * @throws Error when one is missing, is no list of strings, or has a parameter that is none
 */
export function readLimits(headers: Headers): RateHeaders {
  const read = (name: string) => {
    const text = headers.get(name);
    if (text === null) throw new Error(`there is no ${name}`);
    const items = parseList(text).map(([item, parameters]): [string, Record<string, number>] => {
      if (typeof item !== "string") throw new Error(`${name}: ${text}: a policy's name is a string`);
      for (const value of parameters.values())
        if (!Number.isSafeInteger(value) || Number(value) < 0) throw new Error(`${name}: ${text}: not a whole number`);
      return [item, Object.fromEntries(parameters) as Record<string, number>];
    });
    if (items.length === 0) throw new Error(`${name} is empty`);
    return Object.fromEntries(items);
  };
  const policies = read("ratelimit-policy");
  const limits = read("ratelimit");
  for (const [name, { q, w }] of Object.entries(policies))
    if (q === undefined || w === undefined || w < 1) throw new Error(`policy ${name} lacks its quota or window`);
  for (const [name, { r }] of Object.entries(limits)) {
    if (r === undefined) throw new Error(`limit ${name} does not say what is left`);
    if (r > (policies[name]?.q ?? -1)) throw new Error(`limit ${name} has more left than its policy gives`);
  }
  return { policies, limits } as RateHeaders;
}
