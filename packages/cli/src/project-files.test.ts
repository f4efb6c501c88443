import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManifestError, resolveManifest } from "@maru/sdk/manifest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { projectFiles } from "./project-files.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "maru-project-"));
  mkdirSync(join(folder, "project/agents"), { recursive: true });
  writeFileSync(join(folder, "secret.md"), "not yours");
  writeFileSync(join(folder, "project/prompt.md"), "Be kind.\n");
  symlinkSync(join(folder, "secret.md"), join(folder, "project/agents/leak.md"));
  symlinkSync("../prompt.md", join(folder, "project/agents/linked.md"));
  symlinkSync("loop.md", join(folder, "project/loop.md"));
  symlinkSync(join(folder, "project"), join(folder, "alias"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = async (path: string, root = "project") => {
  const files = await projectFiles(join(folder, root));
  const found = await files.read(path, 64);
  return typeof found === "string" ? found : Buffer.from(found).toString();
};

test("reads files of the project, through links that stay in it", async () => {
  expect(await read("prompt.md")).toBe("Be kind.\n");
  expect(await read("agents/linked.md")).toBe("Be kind.\n");
  expect(await read("prompt.md", "alias")).toBe("Be kind.\n");
});

test("reads nothing outside of it, nothing that is no file, and no more than was asked for", async () => {
  expect(await read("agents/leak.md")).toBe("outside");
  expect(await read("../secret.md")).toBe("outside");
  expect(await read("nothing.md")).toBe("missing");
  expect(await read("prompt.md/x")).toBe("missing");
  expect(await read("loop.md")).toBe("missing");
  expect(await read("agents")).toBe("not_a_file");
  const found = await (await projectFiles(join(folder, "project"))).read("prompt.md", 3);
  expect((found as Uint8Array).byteLength).toBe(4);
});

test("a manifest that names a link out of the project is refused at its line", async () => {
  const text = "spec:\n  instructions:\n    file: ./leak.md\n";
  const files = await projectFiles(join(folder, "project"));
  const refused = await resolveManifest({ text, path: "agents/a.yaml", files }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(ManifestError);
  expect((refused as ManifestError).mistakes).toEqual([
    {
      file: "agents/a.yaml",
      pointer: "/spec/instructions/file",
      detail: "./leak.md leads out of the project's folder: move or copy it there.",
      line: 3,
      column: 5,
    },
  ]);
});
