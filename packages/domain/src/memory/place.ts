import { idPattern, MEMORY_KEY_PATTERN, MEMORY_LIMITS, type MemoryScope, Problem } from "@maru/contract";

/** A namespace of memory in a workspace. Who is not named by its scope is null. */
export interface MemoryPlace {
  readonly scope: MemoryScope;
  readonly agent: string | null;
  /** A thread's id or an end user. */
  readonly subject: string | null;
}

const THREAD = new RegExp(idPattern("thread"));
const KEY = new RegExp(MEMORY_KEY_PATTERN, "u");

const refuse = (pointer: string, detail: string) =>
  new Problem("validation_failed", detail, { errors: [{ pointer, code: "validation_failed", detail }] });

interface Named {
  readonly scope: MemoryScope;
  readonly agent?: string;
  readonly subject?: string;
}

/** The one namespace a call names. @throws Problem validation_failed when it names too little for its scope, or too much */
export function memoryPlace(named: Named): MemoryPlace {
  const place = memoryPlaces(named);
  if (named.scope !== "workspace" && place.agent === null)
    throw refuse("?agent", `Name the agent: ${named.scope} memory belongs to one.`);
  return place;
}

/** As `memoryPlace`, but of a thread or an end user also what all agents keep, when no agent is named. @throws Problem */
export function memoryPlaces({ scope, agent, subject }: Named): MemoryPlace {
  if (scope === "workspace" && agent !== undefined) throw refuse("?agent", "workspace memory belongs to no agent.");
  if (scope === "agent" && agent === undefined) throw refuse("?agent", "Name the agent.");
  const ofSubject = scope === "thread" || scope === "user";
  if (!ofSubject && subject !== undefined) throw refuse("?subject", `${scope} memory has no subject.`);
  if (ofSubject && subject === undefined)
    throw refuse("?subject", scope === "thread" ? "Name the thread's id." : "Name the end user, as in metadata.user.");
  if (scope === "thread" && !THREAD.test(subject as string))
    throw refuse("?subject", "Must be the id of a thread (thr_…).");
  return { scope, agent: agent ?? null, subject: subject ?? null };
}

/** The key as it is stored: composed, so that the same letters are the same key. Null when no item can have it. */
export function memoryKey(text: string): string | null {
  const key = text.normalize("NFC");
  return KEY.test(key) && key.length <= MEMORY_LIMITS.keyLength ? key : null;
}
