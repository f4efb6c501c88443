import { hash, verify } from "@node-rs/argon2";

/** argon2id with OWASP's minimum (19 MiB, 2 passes, 1 lane); the parameters are in the hash, so they can rise later. */
const OPTIONS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

export const hashPassword = (password: string): Promise<string> => hash(password, OPTIONS);

let nobody: Promise<string> | null = null;

/** Whether the password fits; for an unknown account does the same work and answers no, so time tells nothing. */
export async function checkPassword(password: string, stored: string | null): Promise<boolean> {
  nobody ??= hashPassword("no account has this password");
  const fits = await verify(stored ?? (await nobody), password);
  return fits && stored !== null;
}
