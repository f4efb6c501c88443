import { open, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import type { ProjectFiles } from "@maru/sdk/manifest";

/** Files below a folder. Links are followed as long as they stay in it. @throws Error when there is no such folder */
export async function projectFiles(folder: string): Promise<ProjectFiles> {
  const root = await realpath(folder);
  return {
    async read(path, maxBytes) {
      const file = await realpath(join(root, path)).catch(unlessMissing);
      if (file === null) return "missing";
      if (!file.startsWith(root.endsWith(sep) ? root : root + sep)) return "outside";
      // Asked before it is opened: opening a pipe would wait for its writer.
      if (!(await stat(file)).isFile()) return "not_a_file";
      const handle = await open(file, "r");
      try {
        const buffer = Buffer.alloc(maxBytes + 1);
        let length = 0;
        for (;;) {
          const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
          length += bytesRead;
          if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length);
        }
      } finally {
        await handle.close();
      }
    },
  };
}

function unlessMissing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT" || error.code === "ENOTDIR" || error.code === "ELOOP") return null;
  throw error;
}
