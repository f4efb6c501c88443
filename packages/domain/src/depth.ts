/**
 * Whether a JSON value is nested deeper than so many levels. Walks with a stack of its own: the values it is to find would
 * overflow the call stack of whatever walks them by recursion.
 */
export function deeperThan(value: unknown, most: number): boolean {
  const open: [unknown, number][] = [[value, 1]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [node, depth] = next;
    if (typeof node !== "object" || node === null) continue;
    if (depth > most) return true;
    for (const child of Object.values(node)) open.push([child, depth + 1]);
  }
  return false;
}
