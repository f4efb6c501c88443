import { closest, distance } from "fastest-levenshtein";
import { Temporal } from "temporal-polyfill";
import { Refusal } from "./builtin.ts";

/** Names people use for zones that have others. Short names that stand for several zones are left out. */
const KNOWN_AS: Readonly<Record<string, string>> = {
  kst: "Asia/Seoul",
  jst: "Asia/Tokyo",
  edt: "America/New_York",
  cdt: "America/Chicago",
  pdt: "America/Los_Angeles",
  pst: "America/Los_Angeles",
  korea: "Asia/Seoul",
  서울: "Asia/Seoul",
  한국: "Asia/Seoul",
};

const plain = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
const placeOf = (name: string): string => plain(name.split("/").at(-1) ?? "");

/** The zone of a tool that is told none. */
export const HOME_ZONE = "Asia/Seoul";

/**
 * A moment as clocks and calendars in a zone have it.
 * @throws Refusal with the zone that is perhaps meant
 */
export function momentIn(zone: string, at: Date): Temporal.ZonedDateTime {
  try {
    return Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(zone);
  } catch {
    const meant = zoneLike(zone);
    throw new Refusal(`There is no time zone ${zone}.${meant === null ? "" : ` Did you mean ${meant}?`}`);
  }
}

/** RFC 3339, to the second, with the zone's offset. */
export const written = (moment: Temporal.ZonedDateTime): string =>
  moment.toString({ timeZoneName: "never", smallestUnit: "second" });

const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] as const;
export const weekdayOf = ({ dayOfWeek }: { readonly dayOfWeek: number }): string => WEEKDAYS[dayOfWeek - 1] as string;

/** The zone that is perhaps meant by a name no zone has. */
function zoneLike(name: string): string | null {
  const meant = plain(name);
  if (Object.hasOwn(KNOWN_AS, meant)) return KNOWN_AS[meant] ?? null;
  const zones = Intl.supportedValuesOf("timeZone");
  const ofPlace = zones.find((zone) => placeOf(zone) === placeOf(name) || placeOf(zone) === meant);
  if (ofPlace !== undefined) return ofPlace;
  const near = closest(name, zones);
  return distance(name, near) <= 2 ? near : null;
}
