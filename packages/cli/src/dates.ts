/** The first instant of a day in a time zone, or of one so many days later; null for what is no day. */
export function startOfDay(date: string, zone: string, later = 0): Date | null {
  const midnight = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== date) return null;
  const local = midnight + later * 86_400_000;
  // The offset at a guess, then at what that makes of it: a change of the clocks may lie between.
  const guess = local - offsetMs(new Date(local), zone);
  const start = local - offsetMs(new Date(guess), zone);
  const exists = start + offsetMs(new Date(start), zone) === local;
  // Where the clocks leave midnight out the day begins with their change.
  return new Date(exists ? start : Math.max(guess, start));
}

/** How far a zone's clocks are ahead of UTC at an instant. */
function offsetMs(at: Date, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(at);
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value);
  return (
    Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute"), of("second")) -
    Math.floor(at.getTime() / 1_000) * 1_000
  );
}
