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

/** An instant to the second as a zone's clocks show it, with how far they are ahead: 2026-11-26T09:00:00+09:00. */
export function instantIn(text: string, zone: string): string {
  const at = Date.parse(text);
  const offset = offsetMs(new Date(at), zone);
  const two = (count: number) => String(count).padStart(2, "0");
  const minutes = Math.abs(Math.round(offset / 60_000));
  const ahead = `${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  return `${new Date(at + offset).toISOString().slice(0, 19)}${ahead}`;
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
