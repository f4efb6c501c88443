import { compactJson, createPicker, parsePointer } from "./json-text.ts";

/** What of a reply the model reads. */
export interface Selection {
  /** Of a whole reply; what is not there is said in words. */
  ofReply(json: string): string;
  /** Of an item of a list, as JSON: what is not there is null, or not in the object. */
  ofItem(json: string): string;
}

export function createSelection(select: string | Readonly<Record<string, string>> | undefined): Selection {
  if (select === undefined) return { ofReply: compactJson, ofItem: compactJson };
  if (typeof select === "string") {
    const parts = createPicker([parsePointer(select)]);
    const pick = (json: string): string | null => {
      const [part = null] = parts(json);
      return part === null ? null : compactJson(part);
    };
    return {
      ofReply: (json) => pick(json) ?? `(the reply has nothing at ${select})`,
      ofItem: (json) => pick(json) ?? "null",
    };
  }
  const names = Object.keys(select);
  const partsOf = createPicker(names.map((name) => parsePointer(select[name] as string)));
  const pick = (json: string): { object: string; missing: string[] } => {
    const parts = partsOf(json);
    const there = names.flatMap((name, index) => {
      const part = parts[index] ?? null;
      return part === null ? [] : [`${JSON.stringify(name)}:${compactJson(part)}`];
    });
    return { object: `{${there.join(",")}}`, missing: names.filter((_name, index) => parts[index] === null) };
  };
  return {
    ofReply(json) {
      const { object, missing } = pick(json);
      const words = missing.map((name) => `(the reply has nothing at ${select[name]}, so there is no ${name})`);
      return [object, ...words].join("\n");
    },
    ofItem: (json) => pick(json).object,
  };
}
