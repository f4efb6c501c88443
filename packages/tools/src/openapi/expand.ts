// Of @maru/contract types only: what this imports is loaded anew for every document, in its thread.
import type {
  EffectClass,
  OpenApiToolSpec,
  PinnedDocument,
  PinnedOperation,
  PinnedScheme,
  ProblemCode,
} from "@maru/contract";
import { closest } from "fastest-levenshtein";
import { urlRefusal } from "../egress/verdict.ts";
import { cut, DocumentRefused, type OpenApi, objectOf, openDocument, parseDocument, Unmakeable } from "./document.ts";
import { toolNames } from "./names.ts";
import { argumentsOf } from "./parameters.ts";
import { argumentSchema } from "./schema.ts";
import { chooseSchemes, schemesOf } from "./security.ts";
import { isExact, type Operation, operationsOf, selectorTest } from "./select.ts";
import { serverOf } from "./server.ts";

/** Everything that making tools of a document depends on. */
export interface Expansion {
  readonly source: { readonly text: string } | { readonly value: unknown };
  readonly sha256: string;
  readonly spec: OpenApiToolSpec;
  readonly allowedHosts: readonly string[];
  readonly limits: { readonly tools: number; readonly pinnedBytes: number };
  /** Names that no tool may have. */
  readonly reserved: readonly string[];
}

export interface Finding {
  /** JSON pointer within the entry of the manifest. */
  readonly place: string;
  readonly code: ProblemCode | Warning;
  readonly detail: string;
  readonly suggestion?: string;
}
export type Warning = "operation_skipped" | "schema_simplified";

export interface Expanded {
  /** Null when there are problems. */
  readonly pinned: PinnedDocument | null;
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
}

type Report = (place: string, code: ProblemCode, detail: string, suggestion?: string) => void;

const MAX_DESCRIPTION = 1_024;
const MAX_WARNINGS = 30;
const MAX_PROBLEMS = 20;
const MAX_LISTED = 8;

/** Makes the tools a manifest chooses of a document. Reads and decides; fetches nothing and never throws for what the document says. */
export function expandDocument({ source, sha256, spec, allowedHosts, limits, reserved }: Expansion): Expanded {
  const problems: Finding[] = [];
  const warnings: Finding[] = [];
  const done = (pinned: PinnedDocument | null): Expanded => ({
    pinned: problems.length === 0 ? pinned : null,
    problems: bounded(problems, MAX_PROBLEMS),
    warnings: bounded(warnings, MAX_WARNINGS),
  });
  const problem: Report = (place, code, detail, suggestion) =>
    void problems.push({ place, code, detail, ...(suggestion === undefined ? {} : { suggestion }) });

  let document: OpenApi;
  try {
    document = openDocument("text" in source ? parseDocument(source.text) : source.value);
  } catch (error) {
    if (!(error instanceof DocumentRefused)) throw error;
    problem("/document", "document_invalid", error.message);
    return done(null);
  }
  const { root } = document;
  const { operations, unreadable } = operationsOf(root);
  for (const detail of unreadable) warnings.push({ place: "/document", code: "operation_skipped", detail });
  if (operations.length === 0) {
    problem("/document", "document_invalid", "The document has no operations (paths with get, post and the like).");
    return done(null);
  }

  const chosen = choose(operations, spec, problem);
  const schemes = schemesOf(root);
  judgeAuth(spec, schemes, problem);
  if (chosen.length > limits.tools)
    problem(
      "/operations",
      "limit_out_of_range",
      `${chosen.length} operations are chosen, and an agent may have ${limits.tools} tools: name fewer in operations.include.`,
    );
  if (problems.length > 0) return done(null);

  const names = toolNames(operations, spec.toolPrefix, reserved);
  const overrides = spec.overrides.map((override) => ({
    ...override,
    fits: override.operations.map(selectorTest),
  }));
  const made: [string, PinnedOperation][] = [];
  const lacking = new Map<string, string[]>();
  const refusals = new Set<string>();
  for (const { operation, place } of chosen) {
    const called = operation.id ?? operation.key;
    try {
      const server = serverOf(root, operation, { server: spec.server, documentUrl: spec.document.url, allowedHosts });
      if ("refusal" in server) {
        refusals.add(server.refusal);
        continue;
      }
      const path = pathOf(operation, server.server, allowedHosts);
      const auth = chooseSchemes(root, operation, schemes, spec);
      if ("missing" in auth) {
        lacking.set(auth.missing, [...(lacking.get(auth.missing) ?? []), called]);
        continue;
      }
      const used = auth.names.map((name) => schemes.get(name)).filter((scheme) => scheme != null);
      const { parts, places, body, notes: left } = argumentsOf(document, operation, used, spec);
      const { schema, notes } = argumentSchema(parts, document);
      const rules = overrides.filter(({ fits }) => fits.some((test) => test(operation)));
      const effect = rules.findLast((rule) => rule.effect !== undefined)?.effect ?? effectOf(operation);
      const approval = rules.findLast((rule) => rule.approval !== undefined)?.approval ?? spec.approval;
      const name = names.get(operation.key) as string;
      if (made.some(([other]) => other === name)) throw new Unmakeable("its name can't be told from another's.");
      made.push([
        name,
        {
          method: operation.method,
          server: server.server,
          path,
          description: descriptionOf(operation),
          parameters: schema,
          places,
          ...(body === undefined ? {} : { body }),
          auth: auth.names,
          effect,
          ...(approval === undefined || approval === "never" ? {} : { approval }),
        },
      ]);
      if (left.length + notes.length > 0)
        warnings.push({
          place: "/document",
          code: "schema_simplified",
          detail: `${called}: ${[...left, ...notes].join("; ")}.`,
        });
    } catch (error) {
      if (!(error instanceof Unmakeable)) throw error;
      const detail = `${called}: ${error.message}`;
      if (place === null) warnings.push({ place: "/operations", code: "operation_skipped", detail });
      else problem(place, "operation_invalid", detail);
    }
  }
  for (const detail of refusals)
    problem(spec.server === undefined ? "/document" : "/server", "url_not_allowed", detail);
  for (const [missing, called] of lacking)
    problem(
      "/auth",
      "auth_missing",
      `${few(called)}: needs credentials for ${missing}. Give them in auth, by that name, or leave the operations out.`,
    );
  judgeOverrides(spec, chosen, problem);
  if (problems.length === 0 && made.length === 0)
    problem(
      "/operations",
      "operation_invalid",
      `None of the chosen operations can be made a tool. ${warnings[0]?.detail ?? ""}`,
    );

  const pinned = pinnedDocument(document, sha256, schemes, made);
  const bytes = Buffer.byteLength(JSON.stringify(pinned));
  if (bytes > limits.pinnedBytes)
    problem(
      "/operations",
      "limit_out_of_range",
      `The ${made.length} chosen operations make ${Math.ceil(bytes / 1_024)} KiB of tools, and an entry may have ` +
        `${limits.pinnedBytes / 1_024} KiB: choose fewer with operations.include, by operationId, "GET /path" or tag:NAME.`,
    );
  return done(pinned);
}

/** The chosen operations, each with the place where the manifest names it, or null where it only fits. */
function choose(
  operations: readonly Operation[],
  spec: OpenApiToolSpec,
  problem: Report,
): { operation: Operation; place: string | null }[] {
  const chosen = new Map<Operation, string | null>();
  const each = (
    selectors: readonly string[],
    place: string,
    take: (operation: Operation, named: string | null) => void,
  ) => {
    for (const [index, selector] of selectors.entries()) {
      const pointer = `${place}/${index}`;
      const found = operations.filter(selectorTest(selector));
      if (found.length === 0)
        problem(pointer, "operation_not_found", notFound(selector, operations), likeliest(selector, operations));
      for (const operation of found) take(operation, isExact(selector) ? pointer : null);
    }
  };
  each(spec.operations.include, "/operations/include", (operation, named) => {
    chosen.set(operation, chosen.get(operation) ?? named);
  });
  each(spec.operations.exclude, "/operations/exclude", (operation) => chosen.delete(operation));
  return [...chosen].map(([operation, place]) => ({ operation, place }));
}

function notFound(selector: string, operations: readonly Operation[]): string {
  if (selector.startsWith("tag:")) {
    const tags = [...new Set(operations.flatMap((operation) => operation.tags))];
    return `No operation has this tag. Tags are ${few(tags)}.`;
  }
  return `The document has no such operation. It has ${few(operations.map(({ id, key }) => id ?? key))}.`;
}

/** What was meant, where one operation was named: an operation of the same kind of name. */
function likeliest(selector: string, operations: readonly Operation[]): string | undefined {
  if (!isExact(selector)) return undefined;
  const names = operations.map(({ id, key }) => (selector.includes(" /") ? key : id)).filter((name) => name !== null);
  return names.length === 0 ? undefined : closest(selector, names);
}

const few = (names: readonly string[]): string =>
  names.length <= MAX_LISTED
    ? names.map((name) => cut(name, 80)).join(", ") || "none"
    : `${names
        .slice(0, MAX_LISTED)
        .map((name) => cut(name, 80))
        .join(", ")} and ${names.length - MAX_LISTED} more`;

/** Credentials must be for schemes the document has, and of their form. */
function judgeAuth(
  { auth }: OpenApiToolSpec,
  schemes: ReadonlyMap<string, PinnedScheme | null>,
  problem: Report,
): void {
  for (const [name, credential] of Object.entries(auth)) {
    const place = `/auth/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    const scheme = schemes.get(name);
    if (scheme === undefined)
      problem(
        place,
        "validation_failed",
        `The document has no security scheme of this name. It has ${few([...schemes.keys()])}.`,
      );
    else if (scheme === null)
      problem(
        place,
        "validation_failed",
        "The scheme is of a kind Maru does not know: it knows apiKey, http basic and bearer, oauth2, openIdConnect.",
      );
    else if (scheme.basic === true && typeof credential === "string")
      problem(place, "validation_failed", "The scheme is HTTP basic: write {username: …, password: …}.");
    else if (scheme.basic !== true && typeof credential !== "string")
      problem(place, "validation_failed", "The scheme takes one key or token, not a username and a password.");
  }
}

/** What an override says must be said of something: a misspelt name would leave a call without its approval. */
function judgeOverrides(
  { overrides }: OpenApiToolSpec,
  chosen: readonly { readonly operation: Operation }[],
  problem: Report,
): void {
  const operations = chosen.map(({ operation }) => operation);
  for (const [index, { operations: selectors, effect }] of overrides.entries())
    for (const [position, selector] of selectors.entries()) {
      const place = `/overrides/${index}/operations/${position}`;
      const found = operations.filter(selectorTest(selector));
      if (found.length === 0)
        problem(
          place,
          "operation_not_found",
          `None of the chosen operations is this. ${notFound(selector, operations)}`,
        );
      for (const { method, id, key } of effect === undefined ? [] : found) {
        const reads = method === "GET" || method === "HEAD";
        if (reads !== (effect === "safe"))
          problem(
            `/overrides/${index}/effect`,
            "effect_class_invalid",
            reads
              ? `${id ?? key}: ${method} is safe by definition (RFC 9110 §9.2.1).`
              : `${id ?? key}: ${method} may change something: use idempotent or at_most_once.`,
          );
      }
    }
}

/** The path as it is in the document. @throws Unmakeable when calls could not be made to it */
function pathOf({ path }: Operation, server: string, allowedHosts: readonly string[]): string {
  if (path.length > 1_024) throw new Unmakeable("its path is longer than 1024 characters.");
  const wrong = /[?#]/.test(path)
    ? "has a query or fragment in it"
    : urlRefusal(`${server}${path.replace(/\{[^{}]*\}/g, "x")}`, allowedHosts);
  if (wrong !== null) throw new Unmakeable(`its path ${wrong}.`);
  return path;
}

/** RFC 9110 §9.2: PUT and DELETE may be repeated, POST and PATCH may not. */
const effectOf = ({ method }: Operation): EffectClass =>
  method === "GET" || method === "HEAD"
    ? "safe"
    : method === "PUT" || method === "DELETE"
      ? "idempotent"
      : "at_most_once";

function descriptionOf({ node, key }: Operation): string {
  const [summary, description] = [node.summary, node.description].map((text) =>
    typeof text === "string" ? text.trim() : "",
  );
  const both = [summary, description].filter((text) => text !== "" && text !== undefined);
  return cut(both.join("\n\n") || key, MAX_DESCRIPTION);
}

function pinnedDocument(
  { root, openapi }: OpenApi,
  sha256: string,
  schemes: ReadonlyMap<string, PinnedScheme | null>,
  made: readonly (readonly [string, PinnedOperation])[],
): PinnedDocument {
  const { title, version } = objectOf(root.info);
  const used = new Set(made.flatMap(([, { auth }]) => auth));
  return {
    sha256,
    openapi,
    title: cut(typeof title === "string" ? title : "", 200),
    version: cut(typeof version === "string" ? version : "", 64),
    schemes: Object.fromEntries([...used].sort().map((name) => [name, schemes.get(name) as PinnedScheme])),
    operations: Object.fromEntries([...made].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function bounded(findings: readonly Finding[], most: number): Finding[] {
  const last = findings[most - 1];
  if (last === undefined || findings.length === most) return [...findings];
  return [...findings.slice(0, most - 1), { ...last, detail: `${last.detail} (and ${findings.length - most} more)` }];
}
