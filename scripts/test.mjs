// What `npm test` runs: lint, types, and every test; each runs even when one before it failed.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const generator = (root) => join(root, "packages/sdk/scripts/generate.ts");

/** Writes anew what is generated from the contract, and puts the rest in its form. Answers an exit code. */
export async function runFixes(root, execute) {
  const generated = await execute([generator(root)]);
  const form = await execute([join(root, "node_modules/@biomejs/biome/bin/biome"), "check", "--write"]);
  return generated === 0 && form === 0 ? 0 : 1;
}

/** Lint and format, then types, then whether what is generated is up to date. Answers an exit code. */
export async function runChecks(root, execute) {
  const lint = await execute([join(root, "node_modules/@biomejs/biome/bin/biome"), "check"]);
  const types = await execute([
    join(root, "node_modules/typescript/bin/tsc"),
    "--noEmit",
    "-p",
    join(root, "tsconfig.json"),
  ]);
  const generated = await execute([generator(root), "--check"]);
  return lint === 0 && types === 0 && generated === 0 ? 0 : 1;
}

/** Everything; closes with the line `N passed, N failed, N skipped`. */
export async function runTests(root, execute, args) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  const tally = (code) => {
    count[code === 0 ? "passed" : "failed"]++;
  };
  console.log("Lint and format …");
  tally(await execute([join(root, "node_modules/@biomejs/biome/bin/biome"), "check"]));
  console.log("Types …");
  tally(await execute([join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "-p", join(root, "tsconfig.json")]));

  const folder = mkdtempSync(join(tmpdir(), "maru-report-"));
  const report = join(folder, "report.json");
  const vitest = [join(root, "node_modules/vitest/vitest.mjs"), "run"];
  const reports = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  // Tests start many processes of the same modules: each is compiled once.
  const env = { NODE_COMPILE_CACHE: join(folder, "compiled") };
  const code = await execute([...vitest, ...reports, ...args], { env });
  let withoutRedis = 0;
  try {
    const result = JSON.parse(readFileSync(report, "utf8"));
    count.passed += result.numPassedTests;
    count.failed += result.numFailedTests;
    count.skipped += result.numPendingTests + result.numTodoTests;
    withoutRedis = result.testResults
      .flatMap((file) => file.assertionResults)
      .filter((test) => test.fullName.includes("there is neither REDIS_URL nor redis-server")).length;
    // A file that could not be loaded, or a failed setup, has no failed test of its own.
    if (code !== 0 && result.numFailedTests === 0) count.failed++;
  } catch {
    count.failed++;
  }
  rmSync(folder, { recursive: true, force: true });
  if (withoutRedis > 0)
    console.log(
      `${withoutRedis} tests on the Redis queue were not run: there is neither REDIS_URL nor redis-server on PATH.`,
    );
  console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  return count.failed === 0 ? 0 : 1;
}
