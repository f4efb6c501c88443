import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import type { ProjectFiles } from "@maru/sdk/manifest";

const within = (folder: string, path: string): boolean => path === folder || path.startsWith(`${folder}${sep}`);

/** The folder a manifest's files may be in: its repository; else where one stands, if it is below; else its own folder. */
export function projectOf(manifest: string): string {
  const own = dirname(resolve(manifest));
  for (let folder = own; ; folder = dirname(folder)) {
    if (existsSync(join(folder, ".git"))) return folder;
    if (dirname(folder) === folder) return within(process.cwd(), own) ? process.cwd() : own;
  }
}

/** A file of a project as manifests name it, and back as somebody who stands here does. */
export const pathIn = (project: string, file: string): string => relative(project, resolve(file)).split(sep).join("/");
export const pathHere = (project: string, path: string): string =>
  relative(process.cwd(), join(project, path)) || basename(path);

/** The files of a project; `touched` gets the path of each that is asked for. */
export function filesOf(project: string, touched: Set<string>): ProjectFiles {
  const root = realpathSync(project);
  return {
    async read(path, maxBytes) {
      const file = join(project, path);
      touched.add(resolve(file));
      if (!existsSync(file)) return "missing";
      if (!within(root, realpathSync(file))) return "outside";
      if (!statSync(file).isFile()) return "not_a_file";
      return readFileSync(file).subarray(0, maxBytes + 1);
    },
  };
}
