import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createCli } from "../../packages/cli/src/cli.ts";
import { openConfig } from "../../packages/cli/src/config.ts";
import { EXIT } from "../../packages/cli/src/exit.ts";
import { createProgram } from "../../packages/cli/src/program.ts";
import { createPrompter } from "../../packages/cli/src/prompt.ts";
import { type CommandLine, openCommandLine } from "../setup/cli.ts";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";
import { openToolServer } from "../setup/tool-server.ts";

let house: House;
let person: Person;
let shop: Awaited<ReturnType<typeof openToolServer>>;
let line: CommandLine;
beforeAll(async () => {
  shop = await openToolServer();
  house = await openHouse("postgres", { egressAllow: { "shop.maru.internal": shop.origin } });
  person = await house.register();
  line = openCommandLine();
  copyFileSync("examples/weather/agent.yaml", join(line.folder, "agent.yaml"));
});
afterAll(async () => {
  line?.close();
  await house?.close();
  await shop?.close();
});

const REFUNDS = manifest("shop", {
  instructions: "You help with orders.",
  tools: `    - name: refund
      type: http
      description: Refunds an order
      parameters: { type: object, properties: { order: { type: string } }, required: [order] }
      request: { method: POST, url: "http://shop.maru.internal/refund" }
      approval: always
`,
});

test("the document is what the commands print", async () => {
  const said = new Map<string, string>();
  const known = new Map<string, string>();
  /** The same on every machine and every day; what stands in a column keeps its width. */
  const steady = (text: string) =>
    text
      .replaceAll(house.url, "https://maru.example.com")
      .replace(/person\d+-[0-9a-f]{8}/g, "my-shop")
      .replace(/\b([a-z]{2,6})_01[0-9a-hjkmnp-tv-z]{24}\b/g, (id, prefix: string) => {
        if (!known.has(id)) known.set(id, `${prefix}_01m8${String(known.size + 1).padStart(22, "0")}`);
        return known.get(id) ?? id;
      })
      .replace(/"[0-9a-f-]{36}:(\d+)"/g, '"5f0c…:$1"')
      .replace(/CREATED +TOOK/g, `${"CREATED".padEnd(20)}   TOOK`)
      .replace(/(\dZ) +(?:\d+ ms|\d+\.\d s)/g, "$1  12 ms")
      .replace(/\b(?:\d+ ms|\d+\.\d s)\b/g, "12 ms")
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "2026-11-26T00:00:00.000Z")
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+09:00)/g, "2026-11-26T00:00:00$1")
      .replace(/\bmtr_[\w-]{43}/g, "mtr_Jx2mNq7Vw0…")
      .replace(/through \d{4}-\d\d-\d\d (\S+) \(\d+ days left\)/g, "through 2026-11-28 $1 (2 days left)")
      .replace(/\b\d{4}-\d\d-\d\d\b(?!T| Asia)/g, "2026-11-26");
  const show = async (args: string[], input?: string) => {
    const { code, out, err } = await line.run(args, input === undefined ? {} : { input });
    const command = args
      .map((arg) => (arg.includes('"') ? `'${arg}'` : /[\s?{]/.test(arg) ? `"${arg}"` : arg))
      .join(" ");
    said.set(
      args.join(" "),
      `$ maru ${steady(command)}\n${steady(out + err)}${code === 0 ? "" : `$ echo $?\n${code}\n`}`,
    );
    return out;
  };

  await show(["login", "--url", house.url], person.key);
  await show(["validate", "agent.yaml"]);
  writeFileSync(join(line.folder, "wrong.yaml"), manifest("wrong").replace("instructions:", "instuctions:"));
  await show(["validate", "wrong.yaml"]);
  await show(["deploy", "agent.yaml"]);
  writeFileSync(
    join(line.folder, "changed.yaml"),
    manifest("weather", { instructions: "You are a weather assistant. Answer briefly.", limits: "{ steps: 10 }" }),
  );
  await show(["deploy", "changed.yaml", "--dry-run"]);
  await show(["run", "weather", "서울 날씨 어때?"]);
  const runs = JSON.parse((await line.run(["runs", "--json"])).out) as { id: string }[];
  await show(["runs"]);
  const id = String(runs[0]?.id);
  await show(["inspect", id]);
  await show(["logs", id]);
  await show(["quota"]);
  await show(["usage", "-g", "day,deployment", "--tz", "Asia/Seoul"]);
  await show(["deployments", "show", "weather"]);
  await show(["triggers", "create", "issues", "--deployment", "weather", "--input", "{{/title}}"]);
  await show(["doctor"]);
  await show(["run", "nobody", "hello"]);
  await show(["deplyo"]);
  await house.deploy(person, REFUNDS);
  await show(["run", "shop", 'Refund order "A-7", please']);
  const terminal = line.terminal(["chat", "shop"], { env: { NO_COLOR: "1" } });
  await terminal.sees("> ");
  terminal.type('Refund order "A-7", please\r');
  await terminal.sees("others: ");
  terminal.type("y\r");
  await terminal.sees("completed");
  await terminal.sees("> ");
  terminal.type("/exit\r");
  expect(await terminal.ended()).toBe(0);
  said.set("chat", steady(`$ maru chat shop\n${terminal.screen()}`));

  await expect(document((what) => said.get(what.replace("RUN", id)) ?? `nobody ran ${what}`)).toMatchFileSnapshot(
    "../../docs/cli.md",
  );
});

/** Every command with what it is for, in help's order and under its headings. */
function reference(): string {
  const program = createProgram(createCli(openConfig({}), createPrompter(process.stdin, process.stderr), "0"));
  let heading = "";
  const rows: string[] = [];
  for (const command of program.createHelp().visibleCommands(program)) {
    if (command.helpGroup() !== heading && command.name() !== "help") {
      heading = command.helpGroup() ?? "";
      rows.push(`| **${heading.replace(":", "")}** | |`);
    }
    const below = command.commands.map((one) => one.name());
    const usage =
      below.length > 0 ? below.join("\\|") : command.usage().replace("[options] ", "").replace("[options]", "");
    rows.push(`| \`${`${command.name()} ${usage}`.trim()}\` | ${command.summary() || command.description()} |`);
  }
  return rows.join("\n");
}

function document(shown: (what: string) => string): string {
  const session = (...commands: string[]) => `\`\`\`console\n${commands.map(shown).join("\n")}\`\`\``;
  return `# The command line

\`maru\` does from a terminal what the API does. In this repository it is \`npm run maru -- …\`; the package \`@maru/cli\` has it for Node
20.12 and later. This page is written by \`tests/e2e/cli-docs.test.ts\` (\`-u\` writes it anew): what it shows is what the commands print.

## Where, and as whom

${session(`login --url ${house.url}`)}

\`login\` reads the key from a prompt that does not show it, or from standard input, tries it, and keeps it with the URL in
\`$XDG_CONFIG_HOME/maru/config.json\` (\`~/.config\` without that), which only you can read. \`--profile NAME\` keeps several; the last one
logged in to is used, unless \`--profile\` or \`MARU_PROFILE\` names another. \`MARU_URL\` and \`MARU_API_KEY\` go before what is kept. A
profile's key is sent nowhere but to its own URL. \`logout\` forgets a profile.

| variable | meaning |
|---|---|
| \`MARU_URL\`, \`MARU_API_KEY\` | where, and as whom; before any profile |
| \`MARU_PROFILE\` | the profile |
| \`NO_COLOR\`, \`FORCE_COLOR\` | no colours, or colours also in a pipe; \`--no-color\` and \`--color\` go before both, and \`FORCE_COLOR\` before \`NO_COLOR\` |
| \`XDG_CONFIG_HOME\`, \`XDG_CACHE_HOME\` | where profiles are kept, and what Node has compiled |

${session("doctor")}

## Manifests

\`maru init\` writes one with comments. A mistake is shown at its place:

${session("validate agent.yaml", "validate wrong.yaml")}

${session("deploy agent.yaml", "deploy changed.yaml --dry-run")}

On a terminal \`deploy\` shows this and asks first; \`--yes\` does not. Several files are deployed together, all of them or none, and may call
one another's agents. \`\${env.NAME}\` and \`{ file: ./path }\` are put in before ([manifest.md](manifest.md#from-the-client)); a project's folder is
its repository, or without one the folder you are in. \`--watch\` deploys after every change of a file or what it refers to. \`maru pull\` writes the manifest of
a deployment.

${session("deployments show weather")}

\`rollback\`, \`promote\`, \`traffic weather 7=90 8=10\`, \`pause\`, \`resume\`, \`releases\` and \`delete\` are as in [releases.md](releases.md). Each takes
\`--note\` and \`--if-match\` with an ETag, and so does \`deploy\`.

## Runs

${session("run weather 서울 날씨 어때?")}

In a pipe the answer alone is printed, when it is whole. On a terminal text comes as it is written, calls and their results beside it on
standard error, and you are asked what the run asks: approvals (yes, no and why not, or other arguments) and results of client-side
tools. \`--thinking\` shows what the model thinks, too; \`--json\` prints every event, one a line; \`--detach\` prints the run's id and leaves.
Ctrl-C asks to cancel the run; a second one leaves it.

Where nobody is asked (in a pipe, with \`--json\` or \`--no-input\`) a run that asks is left as it waits, and the command says which
commands answer it:

${session('run shop Refund order "A-7", please')}

\`--wait\` waits until somebody has answered elsewhere. With \`--json\` the last line is the event \`run.waiting\`, and standard error
says the same.

${session("runs", "inspect RUN", "logs RUN")}

\`logs -f\` goes on to the run's end. \`runs fork RUN --from-step 3\` does it anew from a step, with other \`--instructions\`, another
\`--model\` or other results (\`--tool-result 2=TEXT\`): what is before is reused and costs nothing. A run's artifacts are listed by \`artifacts list RUN\` and saved by \`artifacts get ARTIFACT\`, under a name
in this folder that is not there yet.

## Conversations

${session("chat")}

The arrow up brings back what you said. In a pipe every line is a message, and a run that asks ends the conversation with ${EXIT.waiting}
(\`--wait\` waits).

## Quota and usage

${session("quota", "usage -g day,deployment --tz Asia/Seoul")}

\`quota check DEPLOYMENT INPUT\` asks whether a run would be accepted, and exits with 6 when not. \`--from\` and \`--to\` take a date (the day
of \`--to\` is in it), an instant, or \`7d\`. Days begin, and times are shown, in the time zone the first line names: this machine's, unless
\`--tz\` names another. The quota's own days are those of its plan, as \`quota\` says. \`--csv\` prints all rows for a spreadsheet, and \`--records\` one a model step.

## What else is managed

${session("triggers create issues --deployment weather --input {{/title}}")}

What is shown once can't be read again; \`--json\` has the same as fields. Schedules and triggers are named by their id or their name,
deployments, models and secrets by their name, everything else by its id. A model of your own ([models.md](models.md#ones-own-endpoint)) is added by
\`maru models add NAME --url URL --upstream MODEL --context-tokens N --key < key.txt\`: \`--key\` reads its key from a prompt or standard input.

## In scripts

Answers go to standard output, everything else to standard error; progress is shown on a terminal only. Every command that lists or
shows something has \`--json\`. What that prints is stable, and is the API's own: a list is an array of its objects, a command that shows one thing
prints that object, \`run\` and \`logs\` print an event a line, and \`deploy\` an array with a result a manifest. Fields may be added. Of a
list 20 are shown, unless \`--limit\` or \`--all\` says otherwise.

What can't be undone (\`delete\`, \`memory erase\`) asks, and without a terminal needs \`--yes\`. Secrets and keys are read from a prompt or from standard
input: \`maru secrets set SHOP_KEY < key.txt\`.

| exit code | when |
|---|---|
| ${EXIT.ok} | done |
| ${EXIT.failed} | the run did not complete, the request was refused, or somebody said no |
| ${EXIT.usage} | the command was called in a wrong way |
| ${EXIT.access} | not logged in, or not allowed |
| ${EXIT.notFound} | there is no such thing |
| ${EXIT.conflict} | conflict: it is busy, or somebody changed it |
| ${EXIT.quota} | quota, a limit, or too many calls |
| ${EXIT.connection} | no connection, or the service is down |
| ${EXIT.waiting} | the run waits for an answer that nobody here can give |
| ${EXIT.interrupted} | interrupted |

Errors say what to do next:

${session("run nobody hello", "deplyo")}

\`eval "$(maru completion bash)"\` (or \`zsh\`; \`maru completion fish\` prints a file) completes commands, options and the names of deployments.

## All commands

\`maru help COMMAND\` says all of each.

| command | what it does |
|---|---|
${reference()}
`;
}
