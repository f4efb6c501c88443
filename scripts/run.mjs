// The entry of every npm script: makes the tree ready, then runs the command on the pinned Node 24.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { install, nodeBinary } from "./install.mjs";
import { runChecks, runFixes, runTests } from "./test.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [command, ...args] = process.argv.slice(2);

const ENTRIES = {
  start: "services/standalone/src/main.ts",
  cli: "packages/cli/src/main.ts",
  bench: "bench/main.ts",
  admin: "services/standalone/src/admin-main.ts",
  "check-sdk": "packages/sdk/scripts/build.ts",
  "build-cli": "packages/cli/scripts/build.ts",
};

try {
  await install(root);
} catch (error) {
  console.error(`Setting up failed: ${error.message}`);
  process.exit(1);
}

if (command === "setup") process.exit(0);
else if (command === "test") process.exit(await runTests(root, execute, args));
else if (command === "check") process.exit(await runChecks(root, execute));
else if (command === "fix") process.exit(await runFixes(root, execute));
else if (command === "chaos") process.exit((await chaos()) ? 0 : 1);
else if (command in ENTRIES) process.exit(await execute([join(root, ENTRIES[command]), ...args]));
else {
  console.error(`Unknown command ${command}. Commands: ${Object.keys(ENTRIES).join(", ")}, test, check, fix, setup`);
  process.exit(2);
}

/** The long forms of what the tests do in short: half an hour. Answers whether all held. */
async function chaos() {
  const load = await execute([join(root, "tests/chaos/main.ts")]);
  const files = [
    "tests/chaos/crash-points.test.ts",
    "tests/e2e/run-states.test.ts",
    "tests/e2e/streams.test.ts",
    "tests/e2e/releases.test.ts",
    "packages/tools/src/code/lifecycle.test.ts",
  ];
  const env = {
    CHAOS_POINTS: "all",
    RUN_STATES: "2000",
    STREAM_CLIENTS: "1000",
    RELEASE_DEPLOYS: "1000",
    RELEASE_RUNS_PER_SECOND: "200",
    SANDBOX_CALLS: "1000",
  };
  return (await execute([join(root, "node_modules/vitest/vitest.mjs"), "run", ...files], { env })) === 0 && load === 0;
}

/** Runs a script on Node 24 and answers its exit code. */
function execute(script, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(nodeBinary(root), script, {
      // npm goes to the root first; files of the command line are where its user stands.
      cwd: command === "cli" ? (process.env.INIT_CWD ?? process.cwd()) : root,
      stdio: "inherit",
      env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}`, ...options.env },
    });
    // Ctrl-C reaches the child through the terminal; we only wait for it to end. Other signals come to us alone.
    const ignore = () => {};
    const forward = (signal) => child.kill(signal);
    process.on("SIGINT", ignore);
    process.on("SIGTERM", forward);
    process.on("SIGHUP", forward);
    child.on("error", (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.on("exit", (code, signal) => {
      process.off("SIGINT", ignore);
      process.off("SIGTERM", forward);
      process.off("SIGHUP", forward);
      resolve(signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0));
    });
  });
}
