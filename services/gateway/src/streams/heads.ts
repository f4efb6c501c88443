import type { Store } from "@maru/store";

const LOOK_MS = 2_000;
/** Runs asked for in one statement. */
const BATCH = 1_000;

/**
 * Looks from time to time where the runs stand that somebody watches, in one statement for all of them, so that a lost message
 * delays an event by two seconds at most and a thousand quiet streams cost one statement.
 */
export function createHeads(store: Pick<Store["runs"], "heads">) {
  const watched = new Map<string, Set<{ readonly seen: () => number; readonly behind: () => void }>>();
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const look = async () => {
    const ids = [...watched.keys()];
    try {
      for (let from = 0; from < ids.length; from += BATCH) {
        for (const [runId, lastSeq] of await store.heads(ids.slice(from, from + BATCH)))
          for (const watcher of watched.get(runId) ?? []) if (watcher.seen() < lastSeq) watcher.behind();
      }
    } catch {
      // The database is away: the next look finds what was missed.
    }
    timer = null;
    schedule();
  };
  const schedule = () => {
    if (timer === null && watched.size > 0 && !closed) timer = setTimeout(() => void look(), LOOK_MS);
  };

  return {
    /** Calls `behind` when the run has events after the last one `seen`. Answers how to stop. */
    watch(runId: string, seen: () => number, behind: () => void): () => void {
      const watcher = { seen, behind };
      const set = watched.get(runId) ?? new Set();
      watched.set(runId, set.add(watcher));
      schedule();
      return () => {
        set.delete(watcher);
        if (set.size === 0 && watched.get(runId) === set) watched.delete(runId);
      };
    },
    close(): void {
      closed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
export type Heads = ReturnType<typeof createHeads>;
