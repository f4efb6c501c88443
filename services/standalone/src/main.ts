import { join } from "node:path";
import { destination, pino } from "pino";
import { startAll } from "./compose.ts";
import { standaloneConfig } from "./config.ts";
import { firstAccount, mainJob } from "./main-job.ts";
import { loadState, lockDataDir } from "./state.ts";

const print = (text: string) => process.stdout.write(text);

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\nMaru stopped: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
// Nothing is left open by now; a library's forgotten timer must not keep the process.
process.exit();

/** Starts, does the main job, and stays until it is told to stop. Answers the exit code. */
async function main(): Promise<number> {
  const config = standaloneConfig(process.env, process.argv.slice(2));
  const unlock = lockDataDir(config.dataDir);
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve(signal));
  });
  try {
    const state = loadState(config.dataDir);
    const logger = pino(
      { level: config.logLevel },
      destination({ dest: join(config.dataDir, "maru.log"), mkdir: true, sync: true }),
    );
    const began = performance.now();
    const running = await startAll(config, state, logger);
    try {
      const apiKey = await firstAccount(running.url, config.dataDir, state);
      print(`Maru is up at ${running.url} after ${((performance.now() - began) / 1_000).toFixed(1)} s\n`);
      print(
        running.simulated
          ? "Model: K-EXAONE, simulated (set MODEL_BASE_URL and MODEL_API_KEY for the real one)\n\n"
          : `Models: ${config.hosts.map(({ baseUrl, models }) => `${Object.keys(models).join(", ")} at ${baseUrl}`).join("; ")}\n\n`,
      );
      const job = mainJob(running.url, apiKey, config.root, print).catch((error: unknown) => {
        if (config.once) throw error;
        // The API is what was asked for: a host that is not there yet, or a wrong key, can be looked into with it.
        print(`\n  ${error instanceof Error ? error.message : String(error)} Maru stays up.\n`);
        for (const { name, baseUrl } of config.hosts)
          print(`  Model host ${name}: ${baseUrl} (see MODEL_* in docs/models.md)\n`);
      });
      await Promise.race([job, stopped]);
      if (config.once) return 0;
      print(nextSteps(running.url, apiKey));
      const signal = await stopped;
      print(`\n${signal}: letting runs finish (at most ${config.drainMs / 1_000} s), then handing the rest back …\n`);
      return 0;
    } finally {
      await running.stop();
      if (!config.once) print("Stopped. Everything is kept; `npm start` goes on from here.\n");
    }
  } finally {
    unlock();
  }
}

function nextSteps(url: string, apiKey: string): string {
  return `
What next
  API guide       ${url}/docs
  Your API key    ${apiKey}

  export MARU_API_KEY=${apiKey}${url === "http://127.0.0.1:8080" ? "" : `\n  export MARU_URL=${url}`}
  curl -N ${url}/v1/runs -H "Authorization: Bearer $MARU_API_KEY" -H "Content-Type: application/json" \\
       -H "Accept: text/event-stream" -d '{"deployment": "weather", "input": "부산 날씨는?"}'

  alias maru="$PWD/node_modules/.bin/maru"
  maru run weather "제주 날씨 알려 줘"
  maru chat weather
  maru help

Ctrl-C stops it.
`;
}
