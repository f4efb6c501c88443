/** Files of a project, as whoever runs this can read them. */
export interface ProjectFiles {
  /**
   * Bytes of a file below the project's folder, its path with `/` and without `.` or `..`. No more than one byte beyond
   * `maxBytes` need be read. A link that leads out of the folder is `outside`.
   */
  read(path: string, maxBytes: number): Promise<Uint8Array | "missing" | "not_a_file" | "outside">;
}

/** As large as a manifest may be: a larger file could not be sent. */
export const MAX_FILE_BYTES = 65_536;

/**
 * The path in the project that a manifest means by a path, both relative to the project's folder.
 * @returns null when it leads out of the folder, or is none
 */
export function projectPath(manifest: string, written: string): string | null {
  if (written === "" || /^[/\\]|\\|\0|^[A-Za-z][A-Za-z0-9+.-]*:/.test(written)) return null;
  const path = manifest.split("/").slice(0, -1);
  for (const part of written.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") path.push(part);
    else if (path.pop() === undefined) return null;
  }
  return path.length === 0 ? null : path.join("/");
}

/** The text of a file, or why there is none, in words. */
export async function readText(
  files: ProjectFiles,
  path: string,
  written: string,
): Promise<{ text: string } | { problem: string }> {
  const read = await files.read(path, MAX_FILE_BYTES);
  if (read === "missing")
    return { problem: `There is no file ${written}: paths are relative to the manifest (${path}).` };
  if (read === "not_a_file") return { problem: `${written} is not a file.` };
  if (read === "outside") return { problem: `${written} leads out of the project's folder: move or copy it there.` };
  if (read.byteLength > MAX_FILE_BYTES)
    return { problem: `${written} is larger than ${MAX_FILE_BYTES} bytes: a manifest could not be sent with it.` };
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(read);
    return text.includes("\0") ? { problem: `${written} has a NUL character: it is no text.` } : { text };
  } catch {
    return { problem: `${written} is not UTF-8: save it in that encoding.` };
  }
}
