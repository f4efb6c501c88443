import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { rolldown } from "rolldown";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const TSC = fileURLToPath(new URL("../../../node_modules/typescript/bin/tsc", import.meta.url));
const DIST = join(PACKAGE, "dist");

/** Makes a folder the package as it is published: JavaScript, types, and a manifest of what users need. Answers the folder. */
export function build(dist = DIST): string {
  rmSync(dist, { recursive: true, force: true });
  const args = ["-p", join(PACKAGE, "tsconfig.build.json"), "--outDir", dist];
  execFileSync(process.execPath, [TSC, ...args], { encoding: "utf8" });
  // Types name their neighbours by what is there.
  for (const file of readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".d.ts"),
  )) {
    const text = readFileSync(join(dist, file), "utf8");
    writeFileSync(join(dist, file), text.replace(/(from "\.\/[a-z]+)\.ts"/g, '$1.js"'));
  }
  const {
    devDependencies: _,
    publishConfig,
    ...manifest
  } = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
  const { access, ...published } = publishConfig;
  writeFileSync(
    join(dist, "package.json"),
    `${JSON.stringify({ ...manifest, ...published, publishConfig: { access } }, null, 2)}\n`,
  );
  copyFileSync(join(PACKAGE, "README.md"), join(dist, "README.md"));
  copyFileSync(join(PACKAGE, "../../LICENSE"), join(dist, "LICENSE"));
  return dist;
}

/** Packs a folder as `npm publish` would, without a network. Answers the tarball's path. */
export function pack(folder: string, destination: string): string {
  const args = ["pack", folder, "--pack-destination", destination, "--json", "--ignore-scripts", "--offline"];
  const [{ filename }] = JSON.parse(execFileSync("npm", args, { encoding: "utf8" }));
  return join(destination, filename.replace("@", "").replace("/", "-"));
}

export interface Size {
  readonly minified: number;
  readonly gzipped: number;
}

/** The package and all it depends on as one script for browsers, which leaves its exports in the variable `maru`. */
export async function bundle(folder: string, minify: boolean): Promise<string> {
  const made = await rolldown({
    input: join(folder, "index.js"),
    platform: "browser",
    // A warning is that somebody else has to bring something.
    onLog: (_level, log) => {
      throw new Error(log.message);
    },
  });
  const { output } = await made.generate({ format: "iife", name: "maru", minify });
  await made.close();
  return output[0].code;
}

/** What the package weighs in a browser, in bytes, with all it depends on. */
export async function sizeOf(folder: string): Promise<Size> {
  const code = await bundle(folder, true);
  return { minified: Buffer.byteLength(code), gzipped: gzipSync(code, { level: 9 }).length };
}

/** What publint and attw have against the package; nothing when it is well. */
export async function faultsOf(folder: string, tarball: string): Promise<string[]> {
  const bytes = readFileSync(tarball);
  const { messages, pkg } = await publint({ pkgDir: folder, strict: true, pack: false });
  const analysis = await checkPackage(createPackageFromTarballData(bytes));
  if (analysis.types === false) return ["the package has no types"];
  // It is ESM alone: resolving of the time before `exports` finds nothing, and `require` gets a module.
  const problems = analysis.problems.filter(
    (problem) =>
      !("resolutionKind" in problem && (problem.resolutionKind === "node10" || problem.kind === "CJSResolvesToESM")),
  );
  return [
    ...messages.map((message) => `publint: ${formatMessage(message, pkg) ?? message.code}`),
    ...problems.map((problem) => `attw: ${JSON.stringify(problem)}`),
  ];
}

if (import.meta.main) {
  const folder = build();
  const target = mkdtempSync(join(tmpdir(), "maru-sdk-"));
  try {
    const faults = await faultsOf(folder, pack(folder, target));
    for (const fault of faults) console.error(fault);
    const { minified, gzipped } = await sizeOf(folder);
    console.log(`@maru/sdk: ${minified} bytes minified, ${gzipped} gzipped, dependencies included`);
    process.exitCode = faults.length === 0 ? 0 : 1;
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
}
