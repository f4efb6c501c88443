import type { Builtin } from "./builtin.ts";
import { HOME_ZONE, momentIn, weekdayOf, written } from "./zone.ts";

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
  run({ timezone = HOME_ZONE }, now) {
    const moment = momentIn(String(timezone), now);
    return JSON.stringify({
      iso: written(moment),
      timezone,
      weekday: weekdayOf(moment),
      // A week belongs to the year its Thursday is in (ISO 8601).
      week: `${moment.yearOfWeek}-W${String(moment.weekOfYear).padStart(2, "0")}`,
      unix: Math.floor(now.getTime() / 1_000),
    });
  },
};
