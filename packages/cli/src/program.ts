import { Command } from "commander";
import type { Cli } from "./cli.ts";
import { answer, approve, reject } from "./commands/answer.ts";
import { artifacts } from "./commands/artifacts.ts";
import { cancel } from "./commands/cancel.ts";
import { chat } from "./commands/chat.ts";
import { completion } from "./commands/completion.ts";
import { deleteDeployment } from "./commands/delete.ts";
import { deploy } from "./commands/deploy.ts";
import { deployments } from "./commands/deployments.ts";
import { doctor } from "./commands/doctor.ts";
import { init } from "./commands/init.ts";
import { inspect } from "./commands/inspect.ts";
import { keys } from "./commands/keys.ts";
import { login, logout } from "./commands/login.ts";
import { logs } from "./commands/logs.ts";
import { memory } from "./commands/memory.ts";
import { models } from "./commands/models.ts";
import { policy } from "./commands/policy.ts";
import { pull } from "./commands/pull.ts";
import { quota } from "./commands/quota.ts";
import { releases } from "./commands/releases.ts";
import { revisions } from "./commands/revisions.ts";
import { pause, promote, resume, rollback, traffic } from "./commands/rollout.ts";
import { run } from "./commands/run.ts";
import { runs } from "./commands/runs.ts";
import { schedules } from "./commands/schedules.ts";
import { secrets } from "./commands/secrets.ts";
import { threads } from "./commands/threads.ts";
import { triggers } from "./commands/triggers.ts";
import { usage } from "./commands/usage.ts";
import { validate } from "./commands/validate.ts";
import { webhooks } from "./commands/webhooks.ts";

type Register = (program: Command, cli: Cli) => void;

/** The commands in the order help shows them, under its headings. */
const GROUPS: Readonly<Record<string, readonly Register[]>> = {
  "Begin:": [login, logout, init, doctor],
  "Deploy:": [
    validate,
    deploy,
    pull,
    deployments,
    releases,
    promote,
    rollback,
    traffic,
    pause,
    resume,
    deleteDeployment,
    revisions,
  ],
  "Run:": [run, chat, runs, logs, inspect, cancel, answer, approve, reject, artifacts, threads],
  "Account for:": [quota, usage],
  "Manage:": [secrets, memory, schedules, triggers, webhooks, policy, models, keys],
};

export function createProgram(cli: Cli): Command {
  const program = new Command("maru")
    .description("The command line of Maru: deploy agents, run them, and see what they did.")
    .version(cli.version, "-V, --version")
    .option("--profile <name>", "the profile to use (default: MARU_PROFILE, else the last one logged in to)")
    .option("--color", "colours, also in a pipe")
    .option("--no-color", "no colours, also on a terminal")
    .showSuggestionAfterError()
    .showHelpAfterError("maru help COMMAND says how a command is called.")
    .exitOverride()
    .hook("preAction", () => {
      const { profile, color } = program.opts<{ profile?: string; color?: boolean }>();
      cli.profile = profile;
      if (color !== undefined) cli.output.colour(color);
    });
  for (const [title, commands] of Object.entries(GROUPS)) {
    program.commandsGroup(title);
    for (const register of commands) register(program, cli);
  }
  program.commandsGroup("Else:").helpCommand("help [command]", "how a command is called");
  completion(program, cli);
  program.addHelpText(
    "after",
    `
Where and as whom: MARU_URL and MARU_API_KEY, else the profile of maru login.
Exit codes: 0 done; 1 a run failed, or a request was refused; 2 usage; 3 not logged in, or not allowed; 4 not found;
            5 conflict; 6 quota or rate limit; 7 no connection, or the service is down; 8 the run waits for an answer;
            130 interrupted.`,
  );
  return program;
}
