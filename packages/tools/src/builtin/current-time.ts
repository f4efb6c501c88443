import { type Builtin, Refusal } from "./builtin.ts";
import { clockIn, isZone, zoneLike } from "./zone.ts";

export const currentTime: Builtin = {
  description:
    "The current date and time in a time zone, with the weekday, the ISO week and Unix seconds. Example: Asia/Seoul",
  parameters: {
    type: "object",
    properties: {
      timezone: { type: "string", description: "IANA name, for example Asia/Seoul (the default)", maxLength: 64 },
    },
    additionalProperties: false,
  },
  run({ timezone = "Asia/Seoul" }, now) {
    const zone = String(timezone);
    if (!isZone(zone)) {
      const meant = zoneLike(zone);
      throw new Refusal(`There is no time zone ${zone}.${meant === null ? "" : ` Did you mean ${meant}?`}`);
    }
    const { iso, weekday, week } = clockIn(zone, now);
    return JSON.stringify({ iso, timezone, weekday, week, unix: Math.floor(now.getTime() / 1_000) });
  },
};
