import fc from "fast-check";
import { expect, test } from "vitest";
import { instantIn, startOfDay } from "./dates.ts";

/** Zones whose clocks change at midnight, by half hours, or not at all. */
const ZONES = [
  "Asia/Seoul",
  "UTC",
  "Europe/Paris",
  "America/New_York",
  "America/Havana",
  "Asia/Beirut",
  "Africa/Cairo",
  "Pacific/Auckland",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "America/St_Johns",
  "Pacific/Kiritimati",
];
const dayOf = (at: number, zone: string): string =>
  new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" }).format(at);

test("a day begins with its first instant, in every zone and on days whose clocks change", () => {
  const day = fc.integer({ min: 0, max: 3_652 }).map((days) => Date.UTC(2_020, 0, 1) + days * 86_400_000);
  const changes = ["2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24", "2026-10-30", "2026-11-01"].map((date) =>
    Date.parse(date),
  );
  fc.assert(
    fc.property(fc.constantFrom(...ZONES), fc.oneof(day, fc.constantFrom(...changes)), (zone, midnight) => {
      const date = new Date(midnight).toISOString().slice(0, 10);
      const start = startOfDay(date, zone)?.getTime() ?? Number.NaN;
      expect(dayOf(start, zone)).toBe(date);
      expect(dayOf(start - 1, zone) < date).toBe(true);
      expect(startOfDay(date, zone, 1)?.getTime()).toBeGreaterThan(start);
    }),
    { numRuns: 500 },
  );
});

test("an instant is shown as a zone's clocks show it, and is the same instant", () => {
  expect(instantIn("2026-11-26T00:00:00.123Z", "Asia/Seoul")).toBe("2026-11-26T09:00:00+09:00");
  expect(instantIn("2026-11-26T00:00:00Z", "America/St_Johns")).toBe("2026-11-25T20:30:00-03:30");
  expect(instantIn("2026-11-26T00:00:00Z", "UTC")).toBe("2026-11-26T00:00:00+00:00");
  const second = fc.integer({ min: Date.UTC(2_020, 0, 1) / 1_000, max: Date.UTC(2_030, 0, 1) / 1_000 });
  fc.assert(
    fc.property(fc.constantFrom(...ZONES), second, (zone, at) => {
      expect(Date.parse(instantIn(new Date(at * 1_000).toISOString(), zone))).toBe(at * 1_000);
    }),
  );
});

test("what is no day has no beginning", () => {
  for (const date of ["2026-02-30", "2026-13-01", "soon"]) expect(startOfDay(date, "UTC")).toBeNull();
});
