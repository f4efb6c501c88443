import type { ToolDefinition } from "../request.ts";
import { conceptsAsked, conceptsOf, contentWords } from "./concepts.ts";
import { propertiesOf } from "./schema.ts";

/** A tool as the model understands it from its name, description and parameters. */
export interface KnownTool {
  readonly name: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Whether calling it is how the answer is handed in (`submit_result`, `final_answer`): it ends a turn. */
  readonly submits: boolean;
  /** What it is about, and how much that says: 3 from the name, 2 from elsewhere. */
  readonly concepts: ReadonlyMap<string, number>;
  readonly words: ReadonlyMap<string, number>;
}

const SUBMITS = /^(?:submit|final|return|give|provide)_?(?:final_?)?(?:result|answer|output|response)s?$/i;
/** Below this a tool does not fit: one word of its name, one concept, or two words of its description. */
const FITS = 2;
/** Tool sets whose reading is kept; agents send the same set with each call. */
const MAX_SETS = 64;

const known = new Map<string, readonly KnownTool[]>();

/** Reads the offered tools; the set `toolTurn` names is read once. */
export function readTools(tools: readonly ToolDefinition[], toolTurn: string): readonly KnownTool[] {
  if (tools.length === 0) return [];
  const cached = known.get(toolTurn);
  if (cached !== undefined) return cached;
  const read = tools.map(readTool);
  if (known.size >= MAX_SETS) known.clear();
  known.set(toolTurn, read);
  return read;
}

function readTool({ function: { name, description, parameters } }: ToolDefinition): KnownTool {
  const spoken = name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .toLowerCase();
  const about = (description ?? "").slice(0, 2_000).toLowerCase();
  const names = Object.entries(propertiesOf(parameters))
    .slice(0, 32)
    .map(
      ([key, schema]) =>
        `${key.replace(/_/g, " ")} ${typeof schema.description === "string" ? schema.description.slice(0, 200) : ""}`,
    )
    .join(" ")
    .toLowerCase();
  const concepts = new Map<string, number>();
  for (const id of conceptsOf(spoken)) concepts.set(id, 3);
  // A name that says what the tool is about outweighs a description, which may mention half the world.
  if (concepts.size === 0) for (const id of conceptsOf(about)) concepts.set(id, 2);
  if (concepts.size === 0) for (const id of conceptsOf(names)) concepts.set(id, 2);
  const words = new Map<string, number>();
  for (const word of contentWords(names)) words.set(word, 0.5);
  for (const word of contentWords(about)) words.set(word, 1);
  for (const word of contentWords(spoken)) words.set(word, 2);
  return { name, parameters, submits: SUBMITS.test(name), concepts, words };
}

/**
 * The tools a text asks for, in the order they are offered. A tool joins only with a reason of its own: of two weather tools one is
 * taken, of a weather and an air tool both, when the text is about weather and air.
 */
export function toolsFor(text: string, tools: readonly KnownTool[]): readonly KnownTool[] {
  const asked = conceptsAsked(text);
  const words = contentWords(text);
  const scored = tools.flatMap((tool, order) => {
    if (tool.submits) return [];
    const reasons = new Map<string, number>();
    for (const id of asked) {
      const weight = tool.concepts.get(id);
      if (weight !== undefined) reasons.set(`concept:${id}`, weight);
    }
    for (const word of words) {
      const weight = tool.words.get(word);
      if (weight !== undefined) reasons.set(word, weight);
    }
    return [{ tool, order, reasons, score: sum(reasons.values()) }];
  });
  scored.sort((a, b) => b.score - a.score || a.order - b.order);
  const claimed = new Set<string>();
  const chosen: { readonly tool: KnownTool; readonly order: number }[] = [];
  for (const { tool, order, reasons } of scored) {
    const own = [...reasons].filter(([reason]) => !claimed.has(reason));
    // Once a concept has led to a tool, loose words no longer lead to another one.
    const concept = own.some(([reason]) => reason.startsWith("concept:"));
    if (sum(own.map(([, weight]) => weight)) < FITS || (chosen.length > 0 && !concept)) continue;
    chosen.push({ tool, order });
    for (const reason of reasons.keys()) claimed.add(reason);
  }
  return chosen.sort((a, b) => a.order - b.order).map(({ tool }) => tool);
}

function sum(weights: Iterable<number>): number {
  let total = 0;
  for (const weight of weights) total += weight;
  return total;
}
