import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  parseAllDocuments,
  parseDocument,
  type Scalar,
  visit,
} from "yaml";
import { type ProjectFiles, projectPath, readText } from "./files.ts";
import { nodeAt, type Place, placeAt, pointerOf, tokensOf } from "./places.ts";
import { interpolate, isReference, literally } from "./references.ts";
import { type Rendered, render } from "./render.ts";

export interface ManifestSource {
  readonly text: string;
  /** Of the manifest, relative to the project's folder, with `/`: `agents/weather.yaml`. */
  readonly path: string;
  /** Default: that of its name, JSON for `.json`, else YAML. */
  readonly format?: "yaml" | "json";
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Without it a manifest that refers to files is refused. */
  readonly files?: ProjectFiles;
}

/** A mistake in a manifest or a file of it. */
export interface ManifestMistake extends Partial<Place> {
  /** Relative to the project's folder. */
  readonly file: string;
  readonly pointer: string;
  readonly detail: string;
  /** Of several manifests in one file: which, from 1. */
  readonly document?: number;
}

/** A manifest could not be completed. */
export class ManifestError extends Error {
  readonly mistakes: readonly ManifestMistake[];
  constructor(mistakes: readonly ManifestMistake[]) {
    const [first] = mistakes;
    super(first === undefined ? "The manifest is not complete." : `${first.file}: ${first.detail}`);
    this.name = "ManifestError";
    this.mistakes = mistakes;
  }
}

/** What a server says of a place in what it was sent. */
export interface ServerMistake extends Partial<Place> {
  readonly pointer: string;
  readonly document?: number;
}

export interface ResolvedManifest {
  /** What to send. */
  readonly text: string;
  readonly contentType: "application/yaml" | "application/json";
  /** Where in the project what a server said of `text` is. */
  place(mistake: ServerMistake): { readonly file: string } & Partial<Place>;
}

/** What stands for a node of the manifest, and the file it is the text of. */
interface Replacement {
  readonly path: readonly (string | number)[];
  readonly value: unknown;
  readonly file?: string;
}

const FILES = [
  { at: /^\/spec\/instructions$/, as: "text" },
  { at: /^\/spec\/tools\/\d+\/source$/, as: "code" },
  { at: /^\/spec\/tools\/\d+\/document$/, as: "document" },
] as const;
/** Texts of other languages, which have words of the same form: nothing is put in there. */
const CODE = /^\/spec\/tools\/\d+\/(?:source$|document\/inline(?:\/|$))/;

/**
 * Completes a manifest: puts in the environment (`${env.NAME}`, `${env.NAME:-default}`) and files
 * (`instructions: { file: ./prompt.md }`, `source: { file: … }`, `document: { file: … }`). A manifest that refers to nothing,
 * or can't be read, is left as it is: the server says best what is wrong with it.
 * @throws ManifestError with everything that can't be put in
 */
export async function resolveManifest(source: ManifestSource): Promise<ResolvedManifest> {
  const { text, path, env = {} } = source;
  const format = source.format ?? (path.endsWith(".json") ? "json" : "yaml");
  const contentType = format === "json" ? "application/json" : "application/yaml";
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "silent",
    version: "1.2",
    schema: "core",
    merge: false,
  });
  const documents = (Array.isArray(parsed) ? parsed : []).filter(
    ({ contents, errors }) => !isNothing(contents) || errors.length > 0,
  );
  const asItIs: ResolvedManifest = {
    text,
    contentType,
    place: ({ line, column }) => ({
      file: path,
      ...(line === undefined ? {} : { line }),
      ...(column === undefined ? {} : { column }),
    }),
  };
  if (documents.length === 0 || documents.some(unreadable)) return asItIs;

  const mistakes: ManifestMistake[] = [];
  const replacements = await Promise.all(
    documents.map((document, index) =>
      replacementsOf(
        document,
        { path, env, files: source.files ?? null, literal: format === "json" },
        (pointer, detail) =>
          mistakes.push({
            file: path,
            pointer,
            detail,
            ...placeAt(lines, nodeAt(document, pointer).offset),
            ...(documents.length > 1 ? { document: index + 1 } : {}),
          }),
      ),
    ),
  );
  if (mistakes.length > 0) throw new ManifestError(mistakes);
  if (replacements.every((list) => list.length === 0)) return asItIs;

  const rendered = render(documents, replacements);
  return {
    text: rendered.text,
    contentType: "application/yaml",
    place: (mistake) => original(mistake, { path, lines, documents, replacements, rendered }),
  };
}

/** What a separator at the end, or a file of comments, leaves. */
const isNothing = (contents: unknown): boolean =>
  contents === null || (isScalar(contents) && contents.value === null && contents.source === "");

/** Has errors, or what no manifest may have: the server says so. */
function unreadable(document: Document): boolean {
  let forbidden = document.errors.length > 0;
  visit(document, {
    Alias: () => {
      forbidden = true;
    },
    Value: (_, { anchor, tag }) => {
      forbidden ||= anchor !== undefined || tag !== undefined;
    },
  });
  return forbidden;
}

async function replacementsOf(
  document: Document,
  given: {
    path: string;
    env: Readonly<Record<string, string | undefined>>;
    files: ProjectFiles | null;
    literal: boolean;
  },
  report: (pointer: string, detail: string) => void,
): Promise<Replacement[]> {
  const found: Replacement[] = [];
  const fromFiles: { path: (string | number)[]; pointer: string; written: string; as: "text" | "code" | "document" }[] =
    [];
  visit(document, {
    Map(_, node, ancestors) {
      const path = pathOf(node, ancestors);
      const pointer = pointerOf(path);
      const place = FILES.find(({ at }) => at.test(pointer));
      if (place === undefined || !node.has("file")) return;
      const written = node.get("file");
      if (typeof written !== "string" || node.items.length > 1)
        report(pointer, "A file is named alone: { file: ./path }.");
      else fromFiles.push({ path, pointer, written, as: place.as });
      return visit.SKIP;
    },
    Scalar(key, node, ancestors) {
      if (typeof node.value !== "string" || key === "key") return;
      const path = pathOf(node, ancestors);
      const pointer = pointerOf(path);
      if (CODE.test(pointer)) return;
      const { text, changed, problems } = interpolate(node.value, given.env);
      for (const problem of problems) report(pointer, problem);
      if (changed) found.push({ path, value: plain(node) && !given.literal ? typed(text) : text });
      return;
    },
  });
  for (const { path, pointer, written, as } of fromFiles) {
    const interpolated = interpolate(written, given.env);
    for (const problem of interpolated.problems) report(`${pointer}/file`, problem);
    if (interpolated.problems.length > 0) continue;
    const target = projectPath(given.path, interpolated.text);
    if (target === null) {
      report(`${pointer}/file`, `${written} leads out of the project's folder, or is no relative path with /.`);
      continue;
    }
    if (given.files === null) {
      report(`${pointer}/file`, "Files can't be read here.");
      continue;
    }
    const read = await readText(given.files, target, written);
    if ("problem" in read) report(`${pointer}/file`, read.problem);
    else if (as === "document") {
      const inline = documentOf(read.text);
      if ("problem" in inline) report(`${pointer}/file`, `${written} is neither JSON nor YAML: ${inline.problem}`);
      else found.push({ path, value: { inline: inline.value }, file: target });
    } else found.push({ path, value: as === "text" ? literally(read.text) : read.text, file: target });
  }
  return found;
}

function documentOf(text: string): { value: unknown } | { problem: string } {
  const document = parseDocument(text, { prettyErrors: false, logLevel: "silent", version: "1.2", schema: "core" });
  const [error] = document.errors;
  if (error !== undefined) return { problem: error.message };
  try {
    return { value: document.toJS() };
  } catch (problem) {
    return { problem: (problem as Error).message };
  }
}

/** A text without quotes that is one reference and nothing else is read as YAML reads its value: a number, or true or false. */
const plain = ({ type, source }: Scalar): boolean => type === "PLAIN" && isReference(source ?? "");
const typed = (text: string): unknown =>
  /^(?:true|false)$/.test(text) || /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?$/.test(text) ? JSON.parse(text) : text;

/** The path of a node, by the nodes above it. */
function pathOf(node: unknown, ancestors: readonly unknown[]): (string | number)[] {
  const chain = [...ancestors, node];
  const path: (string | number)[] = [];
  for (const [index, above] of ancestors.entries()) {
    const below = chain[index + 1];
    if (typeof above !== "object" || above === null) continue;
    if ("items" in above && !isMap(above)) path.push((above.items as unknown[]).indexOf(below));
    else if ("key" in above && isScalar(above.key)) path.push(String(above.key.value));
  }
  return path;
}

/** Where what a server said of what was sent is in the project. */
function original(
  { pointer, document: number = 1, line, column }: ServerMistake,
  sent: {
    path: string;
    lines: LineCounter;
    documents: readonly Document[];
    replacements: readonly (readonly Replacement[])[];
    rendered: Rendered;
  },
): { file: string } & Partial<Place> {
  const document = sent.documents[number - 1];
  if (document === undefined) return { file: sent.path };
  const tokens = tokensOf(pointer);
  const from = (sent.replacements[number - 1] ?? []).find(
    ({ path, file }) => file !== undefined && path.every((token, index) => String(token) === tokens[index]),
  );
  if (from?.file !== undefined && line !== undefined) {
    const inside = sent.rendered.within(number - 1, from.path, { line, column: column ?? 1 });
    if (inside !== null) return { file: from.file, ...inside };
  }
  return { file: sent.path, ...placeAt(sent.lines, nodeAt(document, pointer).offset) };
}
