import { isObject, type Json, listOf, objectOf, resolved, Unmakeable } from "./document.ts";

export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const;

/** An operation of a document, unread. */
export interface Operation {
  readonly method: (typeof METHODS)[number];
  readonly path: string;
  /** `GET /pets`: no two operations of a document have the same. */
  readonly key: string;
  readonly id: string | null;
  readonly tags: readonly string[];
  readonly node: Json;
  /** What all operations of the path share. */
  readonly item: Json;
}

/** All operations of a document that could be tools, and why others of its paths can't be read. */
export function operationsOf(root: Json): { operations: Operation[]; unreadable: string[] } {
  const operations: Operation[] = [];
  const unreadable: string[] = [];
  for (const [path, written] of Object.entries(objectOf(root.paths))) {
    if (!path.startsWith("/")) continue;
    let item: Json;
    try {
      item = resolved(root, written);
    } catch (error) {
      if (!(error instanceof Unmakeable)) throw error;
      unreadable.push(`${path}: ${error.message}`);
      continue;
    }
    for (const method of METHODS) {
      const node = item[method.toLowerCase()];
      if (!isObject(node)) continue;
      const { operationId: id } = node;
      operations.push({
        method,
        path,
        key: `${method} ${path}`,
        id: typeof id === "string" && id !== "" ? id : null,
        tags: listOf(node.tags).filter((tag) => typeof tag === "string"),
        node,
        item,
      });
    }
  }
  return { operations, unreadable };
}

/** Whether a selector names one operation, rather than whatever fits. */
export const isExact = (selector: string): boolean => !selector.includes("*") && !selector.startsWith("tag:");

/** A test of operations. An operationId that begins with `tag:` can only be chosen otherwise. */
export function selectorTest(selector: string): (operation: Operation) => boolean {
  if (selector.startsWith("tag:")) {
    const tag = selector.slice(4);
    return ({ tags }) => tags.some((name) => fits(tag, name));
  }
  const [, method = "", path = ""] = /^([A-Z]+|\*) +(\/.*|\*)$/s.exec(selector) ?? [];
  if (path !== "") return (operation) => fits(method, operation.method) && fits(path, operation.path);
  return ({ id }) => fits(selector, id ?? "");
}

/** `*` stands for any text. Goes back to the last star only, so that no pattern takes long. */
function fits(pattern: string, text: string): boolean {
  let inPattern = 0;
  let star = -1;
  let resume = 0;
  for (let index = 0; index < text.length; ) {
    if (pattern[inPattern] === "*") {
      star = inPattern++;
      resume = index;
    } else if (pattern[inPattern] === text[index]) {
      inPattern++;
      index++;
    } else if (star >= 0) {
      inPattern = star + 1;
      index = ++resume;
    } else return false;
  }
  while (pattern[inPattern] === "*") inPattern++;
  return inPattern === pattern.length;
}
