import fc from "fast-check";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { ManifestError, type ManifestSource, type ProjectFiles, resolveManifest } from "./index.ts";

const filesOf = (files: Readonly<Record<string, string | Uint8Array>>): ProjectFiles => ({
  read: async (path) => {
    const found = files[path];
    return found === undefined ? "missing" : typeof found === "string" ? new TextEncoder().encode(found) : found;
  },
});
const resolve = (text: string, more: Partial<ManifestSource> = {}) =>
  resolveManifest({ text, path: "agents/weather.yaml", ...more });
const value = async (text: string, more: Partial<ManifestSource> = {}) => parse((await resolve(text, more)).text);
const mistakes = async (text: string, more: Partial<ManifestSource> = {}) => {
  const error = await resolve(text, more).catch((refused: unknown) => refused);
  expect(error).toBeInstanceOf(ManifestError);
  return (error as ManifestError).mistakes;
};

test("what refers to nothing is sent as it was written", async () => {
  for (const text of [
    "# a comment\nspec: { instructions:   hi }\n",
    "a: [",
    "a: &x 1\nb: ${env.X}\n",
    "",
    "a: 1\na: 2\n",
  ])
    expect((await resolve(text)).text).toBe(text);
});

test("the environment is put in, or the default where there is none or it is empty", async () => {
  const text =
    'a: "${env.HOST}/x"\nb: ${env.PORT:-8080}\nc: "${env.NONE:-}"\nd: ${env.EMPTY:-full}\ne: [ "${env.EMPTY}" ]\n';
  expect(await value(text, { env: { HOST: "h", EMPTY: "" } })).toEqual({
    a: "h/x",
    b: 8080,
    c: "",
    d: "full",
    e: [""],
  });
});

test("without quotes a number is a number and true is true; in quotes, in JSON and among other words they are texts", async () => {
  const env = { N: "50", B: "true", T: "1.50", Z: "007", E: "1e3" };
  expect(
    await value("a: ${env.N}\nb: ${env.B}\nc: '${env.N}'\nd: ${env.N}s\ne: ${env.Z}\nf: ${env.E}\ng: ${env.T}\n", {
      env,
    }),
  ).toEqual({
    a: 50,
    b: true,
    c: "50",
    d: "50s",
    e: "007",
    f: "1e3",
    g: 1.5,
  });
  expect(await value('{"a": "${env.N}"}', { env, path: "agents/weather.json" })).toEqual({ a: "50" });
});

test("$${env.X} stays what it is, and what a value or a file says is never taken for a reference", async () => {
  const text = 'a: "$${env.X} ${env.X}"\nb: "${env.D}{env.X}"\nspec: { instructions: { file: p.md } }\n';
  const files = filesOf({ "agents/p.md": "Write ${env.HOME} or $${env.HOME}." });
  expect(await value(text, { env: { X: "${env.Y}", D: "$" }, files })).toEqual({
    a: "$${env.X} $${env.Y}",
    b: "$${env.X}",
    spec: { instructions: "Write $${env.HOME} or $$${env.HOME}." },
  });
});

test("code of other languages is left alone", async () => {
  const text = "spec:\n  instructions: ${env.X}\n  tools:\n    - source: |\n        export default () => `${env.X}`\n";
  expect(await value(text, { env: { X: "x" } })).toEqual({
    spec: { instructions: "x", tools: [{ source: "export default () => `${env.X}`\n" }] },
  });
});

test("prompts, sources and documents are put in from files beside the manifest", async () => {
  const text =
    'spec:\n  instructions: { file: "../prompts/${env.LANG:-ko}.md" }\n  tools:\n    - { name: f, source: { file: ./f.js } }\n    - { name: o, document: { file: ./o.yaml } }\n    - { name: u, document: { url: https://example.com } }\n    - { name: h, request: { body: { file: x } } }\n';
  const files = filesOf({
    "prompts/ko.md": "안녕\n\n  안녕 \n",
    "agents/f.js": "export default () => `${env.X}`;\n",
    "agents/o.yaml": 'openapi: 3.1.0\ninfo: { title: "${env.NO}" }\n',
  });
  expect(await value(text, { files })).toEqual({
    spec: {
      instructions: "안녕\n\n  안녕 \n",
      tools: [
        { name: "f", source: "export default () => `${env.X}`;\n" },
        { name: "o", document: { inline: { openapi: "3.1.0", info: { title: "${env.NO}" } } } },
        { name: "u", document: { url: "https://example.com" } },
        { name: "h", request: { body: { file: "x" } } },
      ],
    },
  });
});

test("everything that can't be put in is told at once, each with its line", async () => {
  const text = `spec:
  description: "\${env.NONE}"
  instructions:
    file: ./gone.md
  tools:
    - { name: a, source: { file: ../../etc/passwd } }
    - { name: b, source: { file: /etc/passwd } }
    - { name: c, source: { file: 'C:\\x' } }
    - { name: d, source: { file: big.js } }
    - { name: e, source: { file: latin.js } }
    - { name: f, source: { file: a, also: b } }
    - { name: g, document: { file: broken.yaml } }
    - { name: "\${env.1x}" }
`;
  const files = filesOf({
    "agents/big.js": "x".repeat(65_537),
    "agents/latin.js": new Uint8Array([0x61, 0xe9, 0x62]),
    "agents/broken.yaml": "a: [",
  });
  const found = await mistakes(text, { files });
  expect(found.map(({ pointer, line, column }) => [pointer, line, column]).sort()).toEqual(
    [
      ["/spec/description", 2, 3],
      ["/spec/instructions/file", 4, 5],
      ["/spec/tools/0/source/file", 6, 28],
      ["/spec/tools/1/source/file", 7, 28],
      ["/spec/tools/2/source/file", 8, 28],
      ["/spec/tools/3/source/file", 9, 28],
      ["/spec/tools/4/source/file", 10, 28],
      ["/spec/tools/5/source", 11, 18],
      ["/spec/tools/6/document/file", 12, 30],
      ["/spec/tools/7/name", 13, 9],
    ].sort(),
  );
  expect(found.map(({ detail }) => detail)).toEqual(
    expect.arrayContaining([
      "The environment has no NONE: set it, or write a default, ${env.NONE:-default}.",
      "There is no file ./gone.md: paths are relative to the manifest (agents/gone.md).",
      "../../etc/passwd leads out of the project's folder, or is no relative path with /.",
      "latin.js is not UTF-8: save it in that encoding.",
    ]),
  );
});

test("without anything that reads files they can't be named", async () => {
  expect(await mistakes("spec: { instructions: { file: a.md } }")).toEqual([
    {
      file: "agents/weather.yaml",
      pointer: "/spec/instructions/file",
      detail: "Files can't be read here.",
      line: 1,
      column: 25,
    },
  ]);
});

test("what a server says of the completed manifest is found in the files it was made of", async () => {
  const text = `# the weather
spec:
  model: { name: "\${env.MODEL}" }
  instructions: { file: p.md }
  limits: { steps: 0 }
  tools:
    - name: f
      source: { file: f.js }
---
spec:
  limits: { steps: \${env.N} }
`.replace("{ steps: ${env.N} }", "\n    steps: ${env.N}");
  const files = filesOf({ "agents/p.md": "Hi.\n", "agents/f.js": "export default () => {\n  retrun 1;\n};\n" });
  const resolved = await resolve(text, { files, env: { MODEL: "k-exaone", N: "3" } });
  const sent = resolved.text.split("\n");
  const line = sent.findIndex((item) => item.includes("retrun")) + 1;
  const column = (sent[line - 1] as string).indexOf("retrun") + 1;
  expect(resolved.place({ pointer: "/spec/tools/0/source", document: 1, line, column })).toEqual({
    file: "agents/f.js",
    line: 2,
    column: 3,
  });
  expect(resolved.place({ pointer: "/spec/limits/steps", document: 1, line: 1, column: 1 })).toEqual({
    file: "agents/weather.yaml",
    line: 5,
    column: 13,
  });
  expect(resolved.place({ pointer: "/spec/model/name", document: 1, line: 1 })).toEqual({
    file: "agents/weather.yaml",
    line: 3,
    column: 12,
  });
  expect(resolved.place({ pointer: "/spec/tools/0/request", document: 1 })).toEqual({
    file: "agents/weather.yaml",
    line: 7,
    column: 7,
  });
  expect(resolved.place({ pointer: "/spec/limits/steps", document: 2, line: 30 })).toEqual({
    file: "agents/weather.yaml",
    line: 12,
    column: 5,
  });
});

test("a text that comes from a file or the environment arrives as it was", async () => {
  const part = fc.constantFrom(
    " ",
    "\t",
    "\n",
    "\r",
    "a",
    "#",
    ": ",
    "- ",
    "|",
    "'",
    '"',
    "$",
    "{env.",
    "}",
    "서",
    "\u2028",
    "\u0085",
  );
  const texts = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(""));
  await fc.assert(
    fc.asyncProperty(texts, texts, async (file, env) => {
      const found = await value(
        'spec: { instructions: { file: a }, tools: [ { source: { file: b } } ], x: "<${env.A}>" }',
        {
          env: { A: env },
          files: filesOf({ "agents/a": file, "agents/b": file }),
        },
      );
      const meaning = (text: string) => text.replace(/\$(\$+\{env\.)/g, "$1");
      expect([meaning(found.spec.instructions), found.spec.tools[0].source, meaning(found.spec.x)]).toEqual([
        file,
        file,
        `<${env}>`,
      ]);
    }),
    { numRuns: 500 },
  );
});
