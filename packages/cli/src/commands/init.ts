import { existsSync, writeFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { UsageError } from "../exit.ts";

export function init(program: Command, cli: Cli): void {
  program
    .command("init")
    .summary("write a commented agent.yaml to begin with")
    .argument("[file]", "where", "agent.yaml")
    .option("--name <name>", "the agent's name (default: the folder's)")
    .option("--force", "write over a file that is there")
    .action((file: string, options: { name?: string; force?: true }) => {
      if (existsSync(file) && !options.force) throw new UsageError(`${file} is there already; --force writes over it.`);
      const name = options.name ?? nameFrom(basename(dirname(resolve(file))));
      writeFileSync(file, template(name));
      cli.output.line(`Wrote ${file}: agent ${name}.`);
      cli.output.progress(`Next: maru validate ${file}, maru deploy ${file}, maru run ${name} "What is 6 * 7?"`);
    });
}

/** What of a folder's name may be an agent's. */
function nameFrom(folder: string): string {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "");
  return name === "" ? "my-agent" : name;
}

const template = (
  name: string,
) => `# An agent of Maru. Every field is in docs/manifest.md; your editor checks it by /schemas/agent.json of your Maru.
apiVersion: maru/v1
kind: Agent
metadata:
  name: ${name}
  # labels: { team: support }
spec:
  description: Answers questions, and calculates.
  model:
    name: k-exaone          # maru models lists what there is
    thinking: true          # think before answering: better, slower
    # fallbacks: [qwen3-235b]
  # The system message: who the agent is, what it does, and what it must not do.
  instructions: |
    You are a helpful assistant. Answer in the user's language, and briefly.
    Use the calculator for every calculation.
  tools:
    - { name: calculator, type: builtin }
    - { name: current_time, type: builtin }
    # An HTTP API. \`{name}\` is an argument; \${secrets.NAME} is set by: maru secrets set NAME
    # - name: find_orders
    #   type: http
    #   description: A customer's orders, newest first
    #   parameters: { type: object, properties: { email: { type: string } }, required: [email] }
    #   request:
    #     url: "https://shop.example.com/v1/orders?email={email}"
    #     headers: { Authorization: "Bearer \${secrets.SHOP_KEY}" }
    #   approval: never      # always: a person approves each call first
    # Answered by whoever runs the agent: maru chat asks you.
    # - name: ask_user
    #   type: client
    #   description: Asks the user something
    #   parameters: { type: object, properties: { question: { type: string } }, required: [question] }
  # A run that reaches a limit ends as "incomplete", its work kept.
  limits:
    steps: 20               # of models and tools
    tokens: 200000
    duration: 5m
deploy:
  onThreadBusy: reject      # or enqueue, interrupt: a message while the thread's last run is going on
`;
