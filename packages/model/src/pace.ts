import { randomUUID } from "node:crypto";
import type { ModelClock } from "./clock.ts";

/** What an upstream key may do; null = no limit known. */
export interface UpstreamLimits {
  /** Calls in a minute. Stay below the host's published figure: it counts by its own clock. */
  readonly callsPerMinute: number | null;
  /** Calls at once. */
  readonly inFlight: number | null;
}

/** Limits as the generic cell rate algorithm (ITU-T I.371) counts them. */
export interface SlotTerms {
  /** Even distance of calls in ms; null = no limit. */
  readonly everyMs: number | null;
  /** How far ahead of the even pace calls may run. */
  readonly toleranceMs: number;
  readonly inFlight: number | null;
}

/**
 * The slots of upstream keys. One installation has one set of them for each key, whatever number of processes call with
 * it: hosts count by key and team, over all models.
 */
export interface UpstreamSlots {
  /**
   * Takes a slot. `waitMs` 0: it is ours until `give`, at most for `leaseMs`. Else nothing was taken, and that is how long
   * it takes at least until there is one.
   */
  take(key: string, terms: SlotTerms, lease: { readonly id: string; readonly ms: number }): Promise<{ waitMs: number }>;
  give(key: string, leaseId: string): Promise<void>;
  /** The host asked for a pause: nobody gets a slot for that long. */
  pause(key: string, ms: number): Promise<void>;
}

const MINUTE_MS = 60_000;
/** A slot that nobody gives back (its process died) is free again after this; longer than any call. */
const LEASE_MS = 900_000;
/** How long a waiting process goes at most without looking again: another process may have given a slot back. */
const LOOK_MS = 250;

/** Slots of this process alone. */
export function createLocalSlots(clock: Pick<ModelClock, "now">): UpstreamSlots {
  const states = new Map<string, { due: number; pausedUntil: number; leases: Map<string, number> }>();
  const stateOf = (key: string) => {
    let state = states.get(key);
    if (state === undefined) {
      state = { due: 0, pausedUntil: 0, leases: new Map() };
      states.set(key, state);
    }
    return state;
  };
  return {
    async take(key, { everyMs, toleranceMs, inFlight }, lease) {
      const state = stateOf(key);
      const now = clock.now();
      if (state.pausedUntil > now) return { waitMs: state.pausedUntil - now };
      if (inFlight !== null) {
        for (const [id, until] of state.leases) if (until <= now) state.leases.delete(id);
        if (state.leases.size >= inFlight) return { waitMs: LOOK_MS };
      }
      if (everyMs !== null) {
        const due = Math.max(state.due, now);
        if (due - now > toleranceMs) return { waitMs: due - now - toleranceMs };
        state.due = due + everyMs;
      }
      if (inFlight !== null) state.leases.set(lease.id, now + lease.ms);
      return { waitMs: 0 };
    },
    async give(key, id) {
      stateOf(key).leases.delete(id);
    },
    async pause(key, ms) {
      const state = stateOf(key);
      state.pausedUntil = Math.max(state.pausedUntil, clock.now() + ms);
    },
  };
}

/** A tenth of a minute's calls may come at once, then one every 60 s / limit. */
export function slotTerms({ callsPerMinute, inFlight }: UpstreamLimits): SlotTerms {
  if (callsPerMinute === null) return { everyMs: null, toleranceMs: 0, inFlight };
  const everyMs = MINUTE_MS / callsPerMinute;
  return { everyMs, toleranceMs: everyMs * (Math.max(1, Math.floor(callsPerMinute / 10)) - 1), inFlight };
}

export interface Pacer {
  /** Waits for a turn, in the order of asking; resolves with what ends it. @throws the signal's reason */
  turn(signal: AbortSignal): Promise<() => void>;
  /** The host asked everybody to wait. */
  pause(ms: number): void;
}

/**
 * Gives calls of one upstream key their turns: it makes them wait, and never fails them. Within a process the first to ask
 * is the first to go, and only it looks for a slot, so a thousand waiting runs ask the shared slots no more than one does.
 * Slots that can't be reached (their store is away) are replaced by the process's own until they can.
 */
export function createPacer(deps: {
  readonly slots: UpstreamSlots;
  readonly key: string;
  readonly limits: UpstreamLimits;
  readonly clock: ModelClock;
  readonly random: () => number;
}): Pacer {
  const { slots, key, limits, clock, random } = deps;
  const own = createLocalSlots(clock);
  const terms = slotTerms(limits);
  const limited = limits.callsPerMinute !== null || limits.inFlight !== null;
  let last: Promise<unknown> = Promise.resolve();
  let pausedUntil = 0;
  /** Wakes the one that waits for a slot: this process has just given one back. */
  let wake = new AbortController();

  const takeOne = async (signal: AbortSignal): Promise<() => void> => {
    for (;;) {
      signal.throwIfAborted();
      const here = pausedUntil - clock.now();
      let waitMs = Math.max(here, 0);
      if (waitMs === 0 && !limited) return () => {};
      if (waitMs === 0) {
        const lease = { id: randomUUID(), ms: LEASE_MS };
        let from = slots;
        try {
          waitMs = (await from.take(key, terms, lease)).waitMs;
        } catch {
          from = own;
          waitMs = (await from.take(key, terms, lease)).waitMs;
        }
        if (waitMs === 0)
          return () =>
            void from
              .give(key, lease.id)
              .catch(() => {})
              .then(() => {
                wake.abort();
                wake = new AbortController();
              });
        // Another process may give a slot back sooner; and not all are to look at the same instant.
        waitMs = Math.min(waitMs, LOOK_MS) * (0.75 + random() / 2);
      }
      await clock.sleep(Math.max(1, waitMs), AbortSignal.any([signal, wake.signal])).catch(() => {});
    }
  };

  return {
    async turn(signal) {
      if (!limited && pausedUntil <= clock.now()) return () => {};
      const before = last;
      const mine = Promise.resolve(before).then(() => takeOne(signal));
      last = mine.then(
        () => {},
        () => {},
      );
      return mine;
    },
    pause(ms) {
      pausedUntil = Math.max(pausedUntil, clock.now() + ms);
      if (limited) void slots.pause(key, ms).catch(() => {});
    },
  };
}
