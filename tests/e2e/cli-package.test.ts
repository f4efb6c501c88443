import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build } from "../../packages/cli/scripts/build.ts";
import { build as buildSdk, pack } from "../../packages/sdk/scripts/build.ts";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";
import { nodes } from "../setup/nodes.ts";

let house: House;
let person: Person;
let folder: string;
beforeAll(async () => {
  house = await openHouse("postgres");
  person = await house.register();
  await house.deploy(person, manifest("weather"));
  folder = mkdtempSync(join(tmpdir(), "maru-cli-package-"));
  // As an installation leaves it.
  const modules = join(folder, "node_modules");
  for (const [name, made] of [
    ["@maru/cli", await build(join(folder, "cli"))],
    ["@maru/sdk", buildSdk(join(folder, "sdk"))],
  ] as const) {
    mkdirSync(join(modules, name), { recursive: true });
    execFileSync("tar", ["-xzf", pack(made, folder), "-C", join(modules, name), "--strip-components=1"]);
  }
  for (const [name, from] of [
    ["commander", "cli"],
    ["get-east-asian-width", "cli"],
    ["eventsource-parser", "sdk"],
    ["yaml", "sdk"],
  ])
    cpSync(resolve(`packages/${from}/node_modules/${name}`), join(modules, String(name)), {
      recursive: true,
      dereference: true,
    });
}, 120_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await house?.close();
});

const installed = () => join(folder, "node_modules/@maru/cli");

test("the package has the command, its licence and nothing that is not needed", () => {
  const {
    private: hidden,
    license,
    bin,
    dependencies,
    engines,
  } = JSON.parse(readFileSync(join(installed(), "package.json"), "utf8"));
  expect([hidden, license, bin, engines]).toEqual([
    undefined,
    JSON.parse(readFileSync("package.json", "utf8")).license,
    { maru: "lib/main.js" },
    { node: ">=20.12" },
  ]);
  expect(dependencies).toEqual({ "@maru/sdk": "0.1.0", commander: "14.0.3", "get-east-asian-width": "1.7.0" });
  expect(readFileSync(join(installed(), "lib/main.js"), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  expect(readdirSync(installed()).sort()).toEqual(["LICENSE", "README.md", "lib", "package.json"]);
});

describe.each([...nodes])("on Node %s", (_major, node) => {
  test("the command does its work", async () => {
    const maru = (...args: string[]) =>
      promisify(execFile)(node, [join(installed(), "lib/main.js"), ...args], {
        cwd: folder,
        env: { PATH: process.env.PATH, HOME: folder, MARU_URL: house.url, MARU_API_KEY: person.key },
      });
    expect((await maru("--version")).stdout).toBe("0.1.0\n");
    expect((await maru("deployments", "--color")).stdout).toContain("\u001b[32mready");
    expect((await maru("run", "weather", "How is the weather in Busan?")).stdout).toMatch(/^Busan: /);
    await maru("init", "agent.yaml", "--force");
    expect((await maru("validate", "agent.yaml")).stdout).toBe("agent.yaml: valid\n");
  });
});
