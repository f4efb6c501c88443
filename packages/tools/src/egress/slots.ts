/** Gives a place back; again does nothing. */
export type Release = () => void;

interface Host {
  busy: number;
  /** In the order in which they came. */
  readonly waiting: Set<() => void>;
}

/** Places for requests, so many of each key at a time. Who came first is first, and waits as long as its signal lets it. */
export function createSlots(perKey: number) {
  const hosts = new Map<string, Host>();

  const releaseOf = (key: string, host: Host): Release => {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const [next] = host.waiting;
      if (next !== undefined) return next();
      host.busy--;
      if (host.busy === 0) hosts.delete(key);
    };
  };

  return {
    /** @throws the signal's reason when it aborts first */
    take(key: string, signal: AbortSignal): Promise<Release> {
      signal.throwIfAborted();
      const host = hosts.get(key) ?? { busy: 0, waiting: new Set() };
      hosts.set(key, host);
      if (host.busy < perKey) {
        host.busy++;
        return Promise.resolve(releaseOf(key, host));
      }
      return new Promise((resolve, reject) => {
        const leave = () => {
          host.waiting.delete(enter);
          reject(signal.reason);
        };
        const enter = () => {
          host.waiting.delete(enter);
          signal.removeEventListener("abort", leave);
          resolve(releaseOf(key, host));
        };
        host.waiting.add(enter);
        signal.addEventListener("abort", leave, { once: true });
      });
    },
  };
}
