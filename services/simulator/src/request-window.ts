import { numbersFrom } from "./seeded.ts";

const WINDOW_MS = 60_000;
/** Keys remembered; the one unused for longest is forgotten. */
const MAX_KEYS = 256;
/** Of four calls at tier 0, one is refused. */
const ADAPTIVE_ODDS = 4;

export interface RequestWindow {
  /**
   * Seconds after which the key has room again, or null when the call may pass, which counts it. The window slides over
   * the last minute.
   */
  refuses(key: string, requestsPerMinute: number, nowMs: number): number | null;
  clear(): void;
}

export function createRequestWindow(): RequestWindow {
  const calls = new Map<string, number[]>();
  return {
    refuses(key, requestsPerMinute, nowMs) {
      const recent = (calls.get(key) ?? []).filter((at) => at > nowMs - WINDOW_MS && at <= nowMs);
      calls.delete(key);
      calls.set(key, recent);
      if (calls.size > MAX_KEYS) for (const oldest of calls.keys()) if (calls.delete(oldest)) break;
      if (recent.length < requestsPerMinute) {
        recent.push(nowMs);
        return null;
      }
      return Math.max(1, Math.ceil(((recent[0] ?? nowMs) + WINDOW_MS - nowMs) / 1_000));
    },
    clear: () => calls.clear(),
  };
}

/**
 * Whether the lowest tier's adaptive limit refuses this request: its digest decides, so the same request of the same
 * seed always has the same fate. The host's own rule is not known.
 */
export function adaptiveRefusal(digest: string): boolean {
  return numbersFrom(digest.slice(8))(1, ADAPTIVE_ODDS) === 1;
}
