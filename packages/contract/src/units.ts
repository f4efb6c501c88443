/** Lengths of time and sizes as a manifest writes them, the largest unit last. */
const DURATIONS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZES = { B: 1, KB: 1_000, KiB: 1_024, MB: 1_000_000, MiB: 1_048_576 } as const;

/** Milliseconds of `500ms`, `1.5s`, `10m`, `1h`, `7d`; NaN for anything else. */
export const durationMs = (text: string): number => scaled(/^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text), DURATIONS);

/** Bytes of `64KiB`, `1MB`, or a plain number; NaN for anything else. */
export const byteSize = (value: string | number): number =>
  typeof value === "number" ? value : scaled(/^(\d+(?:\.\d+)?)(B|KB|KiB|MB|MiB)$/.exec(value), SIZES);

/** The shortest text of whole milliseconds that `durationMs` reads as the same: `90s`, `10m`. */
export const durationText = (ms: number): string => written(ms, DURATIONS, ["d", "h", "m", "s", "ms"]);

/** The text of whole bytes that `byteSize` reads as the same: `64KiB`, `1000B`. */
export const sizeText = (bytes: number): string => written(bytes, SIZES, ["MiB", "KiB", "B"]);

const scaled = (match: RegExpExecArray | null, units: Readonly<Record<string, number>>): number =>
  match === null ? Number.NaN : Math.round(Number(match[1]) * (units[match[2] as string] as number));

function written<Unit extends string>(
  value: number,
  units: Readonly<Record<Unit, number>>,
  largestFirst: readonly Unit[],
): string {
  const unit = largestFirst.find((name) => value >= units[name] && value % units[name] === 0);
  return unit === undefined ? `${value}${largestFirst.at(-1)}` : `${value / units[unit]}${unit}`;
}
