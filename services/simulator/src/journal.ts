import { parseJson } from "./python-json.ts";

/** One chat call as it came and went. */
export interface JournalEntry {
  /** Counts from 1, over all calls since the start or the last reset. */
  readonly number: number;
  /** ISO 8601, by the simulator's clock. */
  readonly at: string;
  readonly dialect: string | null;
  /** The body as JSON; the text itself when it is none. */
  readonly body: unknown;
  /** Identifies the request: the same for each try. Null when it was refused before it was read. */
  readonly digest: string | null;
  readonly status: number;
  /** The fault the answer had. */
  readonly fault: string | null;
}

export interface Journal {
  note(entry: Omit<JournalEntry, "number" | "body"> & { readonly text: string }): void;
  entries(): JournalEntry[];
  clear(): void;
}

/** The newest are kept: at most this many calls, and this many characters of bodies. */
const MAX_ENTRIES = 1_000;
const MAX_CHARACTERS = 16_000_000;

export function createJournal(): Journal {
  let kept: (Omit<JournalEntry, "body"> & { readonly text: string })[] = [];
  let characters = 0;
  let number = 0;
  return {
    note(entry) {
      kept.push({ ...entry, number: ++number });
      characters += entry.text.length;
      while (kept.length > MAX_ENTRIES || characters > MAX_CHARACTERS) characters -= kept.shift()?.text.length ?? 0;
    },
    // Bodies are parsed only when somebody looks: benches make thousands of calls and never do.
    entries: () => kept.map(({ text, ...entry }) => ({ ...entry, body: parseJson(text) ?? text })),
    clear() {
      kept = [];
      characters = 0;
      number = 0;
    },
  };
}
