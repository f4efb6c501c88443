/** The value, or nothing where it is what a manifest that does not name it gets. */
export function without<Value, Shown = Value>(
  byDefault: NoInfer<Value> | undefined,
  value: Value | undefined,
  show: (value: Value) => Shown = (same) => same as unknown as Shown,
): Shown | undefined {
  return value === undefined || value === byDefault ? undefined : show(value);
}

type Fields<Given> = { readonly [Name in keyof Given]: Exclude<Given[Name], undefined> };

/** The fields that are there. */
export const fields = <Given extends object>(given: Given): Fields<Given> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Fields<Given>;

/** The same, or nothing when none is. */
export function anyOf<Given extends object>(given: Given): Fields<Given> | undefined {
  return filled(fields(given));
}

/** A map or list that has something in it, else nothing. */
export const filled = <Value extends object>(value: Value): Value | undefined =>
  Object.keys(value).length === 0 ? undefined : value;
