import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type House, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres");
  person = await house.register();
});
afterAll(() => house?.close());

const readme = readFileSync("README.md", "utf8");
const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .map(([, text = ""]) => text)
  .filter((text) => text.includes("curl "));

test("there are curl lines to try", () => {
  expect(blocks.length).toBeGreaterThanOrEqual(6);
});

// One after another, as a reader types them: the first deploys what the others run.
test.each(blocks.map((text, index) => [index + 1, text] as const))(
  "curl block %i of the README works as it stands",
  async (_index, text) => {
    const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-c", text], {
      env: { ...process.env, MARU_API_KEY: person.key, MARU_URL: house.url },
    });
    expect(stdout.length).toBeGreaterThan(20);
    expect(stdout).not.toContain('"code":');
    if (text.includes("event-stream")) expect(stdout).toContain("event: run.completed");
    if (text.includes("Prefer: wait")) expect(stdout).toContain('"status":"completed"');
  },
);

test("the lines for the terminal work as they stand", async () => {
  const [, text = ""] = /```sh\n(alias maru=[\s\S]*?)```/.exec(readme) ?? [];
  // What a reader puts in there is in the environment.
  const script = text.replace(/^export MARU_(?:API_KEY|URL)=\S+/gm, "");
  const home = mkdtempSync(join(tmpdir(), "maru-readme-"));
  try {
    const { stdout } = await promisify(execFile)("bash", ["-euo", "pipefail", "-O", "expand_aliases", "-c", script], {
      env: { PATH: process.env.PATH, HOME: home, MARU_URL: house.url, MARU_API_KEY: person.key },
    });
    expect(stdout).toMatch(/^weather: /);
    expect(stdout).toContain("서울: ");
    expect(stdout).toMatch(/^RUN +STATUS/m);
    expect(stdout).toMatch(/^tokens +workspace/m);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

test("the manifest in the README deploys", async () => {
  const manifest = /```yaml\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  const reply = await house.deploy(person, manifest.replace("name: weather }", "name: from-readme }"));
  expect([reply.status, reply.body.action]).toEqual([201, "create"]);
});

test("every problem code in the documents is one of the API's", () => {
  const known = new Set(
    [...readFileSync("packages/contract/src/problem.ts", "utf8").matchAll(/^ {2}([a-z_]+): \[\d{3}/gm)].map(
      ([, code]) => code,
    ),
  );
  const named = [...readFileSync("docs/api.md", "utf8").matchAll(/`\d{3} ([a-z_]+)`/g)].map(([, code]) => code);
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((code) => !known.has(code))).toEqual([]);
});
