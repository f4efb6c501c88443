import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const DIST = join(PACKAGE, "dist");

/** The command as modules; a warning is that something is not there. */
const compile = (external: (id: string) => boolean) =>
  rolldown({
    input: join(PACKAGE, "src/main.ts"),
    platform: "node",
    external,
    onLog: (_level, log) => {
      throw new Error(log.message);
    },
  });

/** Makes a folder the package as it is published: a JavaScript file for each of ours, and a manifest. Answers the folder. */
export async function build(dist = DIST): Promise<string> {
  rmSync(dist, { recursive: true, force: true });
  const { devDependencies: _, ...manifest } = JSON.parse(readFileSync(join(PACKAGE, "package.json"), "utf8"));
  const { version } = JSON.parse(readFileSync(join(PACKAGE, "../sdk/package.json"), "utf8"));
  const dependencies = { ...manifest.dependencies, "@maru/sdk": version };
  const made = await compile((id) =>
    Object.keys(dependencies).some((name) => id === name || id.startsWith(`${name}/`)),
  );
  await made.write({
    dir: join(dist, "lib"),
    format: "esm",
    preserveModules: true,
    preserveModulesRoot: join(PACKAGE, "src"),
    entryFileNames: "[name].js",
  });
  await made.close();
  chmodSync(join(dist, "lib/main.js"), 0o755);
  const { private: __, exports: ___, ...published } = manifest;
  writeFileSync(
    join(dist, "package.json"),
    `${JSON.stringify({ ...published, bin: { maru: "lib/main.js" }, dependencies, publishConfig: { access: "public" } }, null, 2)}\n`,
  );
  copyFileSync(join(PACKAGE, "README.md"), join(dist, "README.md"));
  copyFileSync(join(PACKAGE, "../../LICENSE"), join(dist, "LICENSE"));
  return dist;
}

/** Makes a folder the command with all it needs in two files, which begins in half the time. Answers the one to run. */
export async function bundle(folder: string): Promise<string> {
  const made = await compile(() => false);
  await made.write({ dir: join(folder, "lib"), format: "esm" });
  await made.close();
  copyFileSync(join(PACKAGE, "package.json"), join(folder, "package.json"));
  return join(folder, "lib/main.js");
}

if (import.meta.main) console.log(await build());
