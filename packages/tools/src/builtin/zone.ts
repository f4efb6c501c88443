import { closest, distance } from "fastest-levenshtein";

/** Names people use for zones that have others. Short names that stand for several zones are left out. */
const KNOWN_AS: Readonly<Record<string, string>> = {
  kst: "Asia/Seoul",
  jst: "Asia/Tokyo",
  edt: "America/New_York",
  cdt: "America/Chicago",
  pdt: "America/Los_Angeles",
  korea: "Asia/Seoul",
  서울: "Asia/Seoul",
  한국: "Asia/Seoul",
};

const plain = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
const placeOf = (name: string): string => plain(name.split("/").at(-1) ?? "");

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** The zone that is perhaps meant by a name no zone has. */
export function zoneLike(name: string): string | null {
  const meant = plain(name);
  if (Object.hasOwn(KNOWN_AS, meant)) return KNOWN_AS[meant] ?? null;
  const zones = Intl.supportedValuesOf("timeZone");
  const ofPlace = zones.find((zone) => placeOf(zone) === placeOf(name) || placeOf(zone) === meant);
  if (ofPlace !== undefined) return ofPlace;
  const near = closest(name, zones);
  return distance(name, near) <= 2 ? near : null;
}

/** What a clock and a calendar in a valid zone show. `iso` is RFC 3339 with the zone's offset, `week` an ISO 8601 week. */
export function clockIn(timeZone: string, at: Date): { iso: string; weekday: string; week: string } {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      weekday: "long",
      timeZoneName: "longOffset",
    })
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  );
  const offset = parts.timeZoneName === "GMT" ? "+00:00" : String(parts.timeZoneName).replace("GMT", "");
  return {
    iso: `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}:${parts.second}${offset}`,
    weekday: String(parts.weekday),
    week: weekOf(Date.UTC(Number(parts.year), Number(parts.month) - 1, Number(parts.day))),
  };
}

const DAY_MS = 86_400_000;

/** A week belongs to the year its Thursday is in (ISO 8601). */
function weekOf(midnight: number): string {
  const thursday = new Date(midnight + (4 - (new Date(midnight).getUTCDay() || 7)) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const number = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / DAY_MS / 7) + 1;
  return `${year}-W${String(number).padStart(2, "0")}`;
}
