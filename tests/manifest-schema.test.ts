import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { manifestJsonSchema } from "@maru/contract";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";

type Schema = {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
};
const schema = manifestJsonSchema() as Schema & { $id: string; $schema: string };
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
const validate = ajv.compile(schema as object);

test("the published schema is one of JSON Schema 2020-12, by its own meta-schema and in Ajv's strict mode", () => {
  expect(schema.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
  expect(new URL(schema.$id).href).toBe(schema.$id);
  expect(ajv.validateSchema(schema as object)).toBe(true);
});

test("every property says what it means, and every kind of tool", () => {
  const silent: string[] = [];
  const walk = (part: Schema, path: string) => {
    for (const [name, property] of Object.entries(part.properties ?? {})) {
      if (!(property.description ?? "").trim()) silent.push(`${path}.${name}`);
      walk(property, `${path}.${name}`);
    }
    for (const property of Object.values(part.patternProperties ?? {})) {
      if (!(property.description ?? "").trim()) silent.push(`${path}.*`);
      walk(property, `${path}.*`);
    }
    if (typeof part.additionalProperties === "object") walk(part.additionalProperties, `${path}.*`);
    if (part.items !== undefined) walk(part.items, `${path}[]`);
    for (const [index, branch] of (part.anyOf ?? []).entries()) walk(branch, `${path}|${index}`);
  };
  walk(schema, "");
  const kinds = (schema.properties?.spec?.properties?.tools?.items?.anyOf ?? []) as readonly Schema[];
  expect(kinds.length).toBeGreaterThan(5);
  expect(kinds.filter(({ description }) => !description)).toEqual([]);
  expect(silent).toEqual([]);
});

test("every example in it is valid where it stands", () => {
  const wrong: unknown[] = [];
  const walk = (part: unknown, path: string) => {
    if (typeof part !== "object" || part === null) return;
    const { examples } = part as { examples?: unknown };
    if (Array.isArray(examples) && !path.endsWith("/properties")) {
      const { $id, $schema, ...rest } = part as Record<string, unknown>;
      const fits = new Ajv2020({ strict: false }).compile(rest);
      for (const example of examples) if (!fits(example)) wrong.push([path, example, fits.errors]);
    }
    for (const [key, item] of Object.entries(part)) if (key !== "examples") walk(item, `${path}/${key}`);
  };
  walk(schema, "");
  expect(wrong).toEqual([]);
});

/** Manifests as people find them: files of examples, and blocks of the docs. */
function manifests(): [string, string][] {
  const found: [string, string][] = [];
  const files = (folder: string, pattern: RegExp) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && pattern.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name));
  for (const file of files("examples", /\.ya?ml$/)) found.push([file, readFileSync(file, "utf8")]);
  for (const file of ["README.md", ...files("docs", /\.md$/)])
    for (const [index, [, block = ""]] of [
      ...readFileSync(file, "utf8").matchAll(/```ya?ml\n([\s\S]*?)```/g),
    ].entries())
      if (/^apiVersion:/m.test(block)) found.push([`${file} (block ${index + 1})`, block]);
  return found.filter(([, text]) => /^kind: Agent$/m.test(text));
}

test.each(manifests())("%s fits it", (_name, text) => {
  for (const document of parseAllDocuments(text)) {
    expect(document.errors).toEqual([]);
    validate(document.toJS());
    expect(validate.errors).toBeNull();
  }
});

test("the docs say how an editor finds it", () => {
  expect(readFileSync("docs/manifest.md", "utf8")).toMatch(
    /^# yaml-language-server: \$schema=http:\/\/127\.0\.0\.1:8080\/schemas\/agent\.json$/m,
  );
});
