import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SCOPES } from "@maru/contract";
import { createClient, MaruError, type Quota, type Run, type RunEvent } from "@maru/sdk";
import { type LocalState, saveState } from "./state.ts";

const QUESTION = "서울 날씨 어때?";

/** Makes the first account and its API key, or finds those of the last start. Everything through the public API. */
export async function firstAccount(url: string, dataDir: string, state: LocalState): Promise<string> {
  if (state.apiKey !== null) {
    try {
      await createClient({ baseUrl: url, apiKey: state.apiKey }).call("whoami", {});
      return state.apiKey;
    } catch (error) {
      // Another database than last time does not know the key: start anew there.
      if (!(error instanceof MaruError) || error.problem.status !== 401) throw error;
    }
  }
  const guest = createClient({ baseUrl: url });
  let accessToken: string;
  try {
    accessToken = (await guest.call("register", { body: { ...state.account, workspace: "my workspace" } })).tokens
      .access_token;
  } catch (error) {
    if (!(error instanceof MaruError) || error.problem.code !== "email_taken") throw error;
    accessToken = (await guest.call("token", { body: { grant_type: "password", ...state.account } })).access_token;
  }
  const { key } = await createClient({ baseUrl: url, apiKey: accessToken }).call("createApiKey", {
    body: {
      name: "first key",
      scopes: [...SCOPES],
    },
  });
  saveState(dataDir, { ...state, apiKey: key });
  return key;
}

/**
 * The main job as a client does it: deploy the example, run it, show the stream, show the quota before and after.
 * @throws Error saying what went wrong, when the run does not complete
 */
export async function mainJob(url: string, apiKey: string, root: string, print: (text: string) => void): Promise<void> {
  const client = createClient({ baseUrl: url, apiKey });
  const line = (text = "") => print(`${text}\n`);
  line("Quota before");
  showQuota(await client.call("getQuota", {}), line);

  const manifest = readFileSync(join(root, "examples/weather/agent.yaml"), "utf8");
  line(`\nDeploy examples/weather/agent.yaml`);
  for (const { action, deployment } of await client.deployments.deployAll(manifest))
    line(
      `  ${action}: deployment ${deployment?.name}, revision ${deployment?.revision}, model ${deployment?.model}${deployment?.simulated ? " (simulated)" : ""}`,
    );

  line(`\nRun it: “${QUESTION}”`);
  const run = await showRun(client.runs.stream({ deployment: "weather", input: QUESTION }), print);
  if (run.status !== "completed")
    throw new Error(`The run ended as ${run.status}: ${run.error?.message ?? run.incomplete_reason ?? ""}`);
  if (run.usage.tool_calls === 0) throw new Error("The run completed without calling its tool.");
  const { usage } = run;
  line(
    `  completed${run.simulated ? " (simulated answer)" : ""}: ${usage.model_calls} model calls, ${usage.tool_calls} tool call, ${usage.input_tokens} + ${usage.output_tokens} tokens, ${usage.cost_micros / 1_000_000} USD`,
  );

  line("\nQuota after");
  showQuota(await client.call("getQuota", {}), line);
}

/** Prints a run's stream as it comes and answers the run at its end. */
async function showRun(events: AsyncIterable<RunEvent>, print: (text: string) => void): Promise<Run> {
  const LABELS = { reasoning: "thinking ", text: "answer   ", tool_call: "" } as const;
  let open = "";
  const close = () => {
    if (open !== "") print("\n");
    open = "";
  };
  for await (const event of events) {
    if (event.type === "delta" && event.kind !== "tool_call") {
      if (open !== event.kind) {
        close();
        print(`  ${LABELS[event.kind]}`);
        open = event.kind;
      }
      print(event.text.replaceAll(/\s*\n\s*/g, " "));
    } else if (event.type === "step.started" && event.call !== undefined) {
      close();
      print(`  call      ${event.call.name} ${event.call.arguments}\n`);
    } else if (event.type === "step.finished" && event.step.kind === "tool") {
      close();
      print(`  result    ${event.step.output ?? ""}\n`);
    } else if ("run" in event) {
      close();
      return event.run;
    }
  }
  throw new Error("The stream ended before the run did.");
}

function showQuota(quota: Quota, line: (text: string) => void): void {
  for (const { unit, used, limit, remaining, last_day, time_zone, days_left } of quota.windows) {
    if (last_day === null) continue;
    const format = (count: number) => count.toLocaleString("en-US");
    line(
      `  ${unit.padEnd(6)} ${format(used)} of ${format(limit)} used, ${format(remaining)} left; through ${last_day} 24:00 ${time_zone} (${days_left} days left), ${quota.renew === "monthly" ? "then renewed" : "then it ends"}`,
    );
  }
}
