/** Runs a job `count` times, `concurrency` at a time. Times in milliseconds, sorted. */
export async function load(
  count: number,
  concurrency: number,
  job: () => Promise<void>,
): Promise<{ perSecond: number; times: number[] }> {
  const times: number[] = [];
  let left = count;
  const began = performance.now();
  const lane = async () => {
    while (left-- > 0) {
      const start = performance.now();
      await job();
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return { perSecond: (count * 1_000) / (performance.now() - began), times: times.sort((a, b) => a - b) };
}

export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
export const median = (values: readonly number[]): number =>
  percentile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
