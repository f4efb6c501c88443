import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { createContext, runInContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build, bundle, faultsOf, pack, sizeOf } from "../../packages/sdk/scripts/build.ts";
import { type House, openHouse, type Person } from "../setup/house.ts";
import { nodes } from "../setup/nodes.ts";

const readme = readFileSync("packages/sdk/README.md", "utf8");
const examples = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, text = ""]) => text);

let house: House;
let person: Person;
let folder: string;
let built: string;
let tarball: string;
beforeAll(async () => {
  house = await openHouse("postgres");
  person = await house.register();
  folder = mkdtempSync(join(tmpdir(), "maru-sdk-"));
  built = build();
  tarball = pack(built, folder);
  // As an installation leaves it.
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "@maru/sdk"), { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "-C", join(modules, "@maru/sdk"), "--strip-components=1"]);
  cpSync(resolve("packages/sdk/node_modules/eventsource-parser"), join(modules, "eventsource-parser"), {
    recursive: true,
    dereference: true,
  });
}, 120_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await house?.close();
});

describe("the package as it is published", () => {
  test("is well formed, for every way of resolving it", async () => {
    expect(await faultsOf(built, tarball)).toEqual([]);
  });

  test("is for any platform, and small", async () => {
    const { minified, gzipped } = await sizeOf(built);
    expect(minified).toBeLessThan(40_000);
    expect(gzipped).toBeLessThan(14_000);
    const manifest = JSON.parse(readFileSync(join(folder, "node_modules/@maru/sdk/package.json"), "utf8"));
    expect([manifest.private, manifest.license, Object.keys(manifest.dependencies)]).toEqual([
      undefined,
      JSON.parse(readFileSync("package.json", "utf8")).license,
      ["eventsource-parser", "yaml"],
    ]);
  });

  test.each(["nodenext", "bundler"])(
    "has types that hold where modules are resolved by %s",
    async (resolution) => {
      writeFileSync(join(folder, "package.json"), '{"type": "module"}');
      writeFileSync(
        join(folder, "use.ts"),
        `import { type AgentManifest, createClient, MaruError, type ProblemCode, type Run } from "@maru/sdk";
const client = createClient({ baseUrl: "http://localhost", apiKey: () => "key" });
const manifest: AgentManifest = { apiVersion: "maru/v1", kind: "Agent", metadata: { name: "a" }, spec: { instructions: "b" } };
export async function use(): Promise<Run | undefined> {
  const one = await client.deployments.deploy(manifest, { dryRun: true });
  // @ts-expect-error a text may be several manifests
  (await client.deployments.deploy("text")).action;
  const all = await client.deployments.deployAll("text");
  const actions: ("create" | "update" | "unchanged")[] = [one.action, ...all.map(({ action }) => action)];
  void actions;
  // @ts-expect-error there is no such status
  client.runs.list({ status: "done" });
  // @ts-expect-error a run has an input
  await client.runs.create({ deployment: "a" });
  // @ts-expect-error there is no such operation
  await client.call("getRuns", {});
  try {
    for await (const event of client.runs.stream({ deployment: "a", input: "b" })) {
      if (event.type === "delta") { const text: string = event.text; void text; }
      if ("run" in event) return event.run;
    }
  } catch (error) {
    if (error instanceof MaruError) { const code: ProblemCode = error.code; void code; }
    // @ts-expect-error the list of codes is closed
    if (error instanceof MaruError && error.code === "no_such_code") throw error;
  }
  const page = await client.threads.list().page();
  const next: string | null = page.next;
  void next;
  const { run } = await client.runs.run({ deployment: "a", input: "b", tools: { look: async ({ x }) => x }, approve: () => "reject" });
  return run;
}
`,
      );
      const compilerOptions = {
        strict: true,
        noEmit: true,
        target: "es2022",
        lib: ["es2022", "dom"],
        module: resolution === "nodenext" ? "nodenext" : "esnext",
        moduleResolution: resolution,
        types: [],
      };
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }));
      // The compiler most users have; and not a declaration is skipped.
      const tsc = resolve("packages/sdk/node_modules/typescript/bin/tsc");
      const said = await promisify(execFile)(process.execPath, [tsc, "-p", folder], { cwd: folder }).catch(
        (error) => error,
      );
      expect(said.stdout).toBe("");
    },
    120_000,
  );
});

test("it runs where there is nothing but what browsers and edge runtimes have too", async () => {
  const said: string[] = [];
  const platform = {
    fetch,
    Headers,
    Response,
    URLSearchParams,
    AbortController,
    AbortSignal,
    DOMException,
    TextDecoder,
  };
  const context = createContext({
    ...{ ...platform, crypto, setTimeout, clearTimeout, said },
    ...{ baseUrl: house.url, apiKey: person.key },
  });
  await runInContext(
    `${await bundle(built, false)}
    (async () => {
      const client = maru.createClient({ baseUrl, apiKey });
      const tools = { look_up: ({ order }) => order + " is sent" };
      await client.deployments.deploy({
        apiVersion: "maru/v1", kind: "Agent", metadata: { name: "edge" },
        spec: { instructions: "Helps.", tools: [{ name: "look_up", type: "client", description: "Looks up" }] },
      });
      const input = '#sim tool look_up {"order": "A"}';
      for await (const event of client.runs.stream({ deployment: "edge", input, tools })) said.push(event.type);
      for await (const run of client.runs.list()) said.push(run.deployment + " " + run.status);
      await client.runs.get("run_none").catch((error) => said.push(error.name));
    })()`,
    context,
  );
  expect(said).toContain("run.waiting");
  expect(said.slice(-3)).toEqual(["run.completed", "edge completed", "NotFound"]);
});

test("what the README says to try in this repository works", async () => {
  const script = /```sh\n([\s\S]*? --input-type=module [\s\S]*?)```/.exec(readme)?.[1] ?? "";
  const { stdout } = await promisify(execFile)(
    "bash",
    ["-euo", "pipefail", "-c", script.replace(/^export .*\n/gm, "")],
    {
      env: { PATH: process.env.PATH, MARU_URL: house.url, MARU_API_KEY: person.key },
    },
  );
  expect(stdout).toMatch(/^completed .*Order A-1 is sent/);
});

test("there are examples to try, and the Node of this repository and an older one to try them on", () => {
  expect(examples.length).toBeGreaterThanOrEqual(6);
  expect([...nodes.keys()]).toEqual(expect.arrayContaining(["22", "24"]));
});

const SAYS = [
  /completed .*42/,
  /completed, \d+ tokens/,
  /completed .*sent/,
  /run_.*\n\d+ (null|\S+)/,
  /tokens: \d+ of/,
  /not found \(createRun, request \S+\)/,
];

// One after another, as a reader tries them: the first deploys what the others run.
describe.each([...nodes])("on Node %s", (_major, node) => {
  test.each(examples.map((text, index) => [index + 1, text] as const))(
    "example %i of the README works as it stands",
    async (number, text) => {
      const file = join(folder, `example-${number}.mjs`);
      writeFileSync(file, text);
      const { stdout } = await promisify(execFile)(node, [file], {
        cwd: folder,
        env: { PATH: process.env.PATH, MARU_URL: house.url, MARU_API_KEY: person.key },
      });
      expect(stdout).toMatch(SAYS[number - 1] as RegExp);
    },
  );
});
