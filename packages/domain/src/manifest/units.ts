const DURATION_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_BYTES: Record<string, number> = { B: 1, KB: 1_000, KiB: 1_024, MB: 1_000_000, MiB: 1_048_576 };

/** Milliseconds of `500ms`, `1.5s`, `10m`, `1h`, `7d`; NaN for anything else. */
export function durationMs(text: string): number {
  return scaled(/^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text), DURATION_MS);
}

/** Whole milliseconds as `durationMs` reads them, in the largest unit that divides them: `90m`, `1h`, `1500ms`. */
export function durationText(ms: number): string {
  const [unit, size] = Object.entries(DURATION_MS).findLast(([, size]) => ms > 0 && ms % size === 0) ?? ["s", 1_000];
  return `${ms / size}${unit}`;
}

/** Bytes of `64KiB`, `1MB`, or a plain number; NaN for anything else. */
export function byteSize(value: string | number): number {
  return typeof value === "number" ? value : scaled(/^(\d+(?:\.\d+)?)(B|KB|KiB|MB|MiB)$/.exec(value), SIZE_BYTES);
}

const scaled = (match: RegExpExecArray | null, units: Record<string, number>): number =>
  match === null ? Number.NaN : Math.round(Number(match[1]) * (units[match[2] as string] as number));
