import type { Model, NewModelEndpoint } from "@maru/sdk";
import type { Command } from "commander";
import {
  type Cli,
  changeOf,
  givenOf,
  guardOf,
  jsonArgument,
  type ListOptions,
  showList,
  wholeNumber,
  withGuard,
  withJson,
  withList,
} from "../cli.ts";
import { UsageError } from "../exit.ts";
import { count, price as priceOf } from "../format.ts";

interface Fields {
  readonly url?: string;
  readonly upstream?: string;
  readonly contextTokens?: number;
  readonly maxOutputTokens?: number;
  readonly key?: boolean;
  readonly dialect?: NonNullable<NewModelEndpoint["dialect"]>;
  readonly stream?: boolean;
  readonly thinking?: NonNullable<NewModelEndpoint["thinking"]>;
  readonly tools?: NonNullable<NewModelEndpoint["tools"]>;
  readonly callsPerMinute?: number;
  readonly inFlight?: number;
}

const withFields = (command: Command): Command =>
  command
    .option("--url <url>", "its base URL, ending before /chat/completions")
    .option("--upstream <model>", "the model's name there")
    .option("--context-tokens <count>", "prompt and answer together", wholeNumber(2_048, 10_000_000))
    .option("--max-output-tokens <count>", "cap of one answer", wholeNumber(1, 1_000_000))
    .option("--key", "read its API key from a prompt, or from standard input")
    .option("--dialect <name>", "the host's kind (default: by the host's name, else vllm)")
    .option("--stream", "it can stream (default)")
    .option("--no-stream", "it can't stream")
    .option("--thinking <json>", 'how it thinks: {"control": "enable_thinking"}', jsonArgument)
    .option("--tools <json>", '{"native": true, "parallel": true}', jsonArgument)
    .option("--calls-per-minute <count>", "calls its key may make", wholeNumber(1, 1_000_000))
    .option("--in-flight <count>", "calls its key may have open", wholeNumber(1, 10_000));

/** What of the options was given, as the API names it; the key is read apart. */
const bodyOf = ({ url, upstream, contextTokens, maxOutputTokens, callsPerMinute, inFlight, ...same }: Fields) =>
  givenOf({
    ...{ base_url: url, upstream_model: upstream, context_tokens: contextTokens, max_output_tokens: maxOutputTokens },
    ...{ dialect: same.dialect, stream: same.stream, thinking: same.thinking, tools: same.tools },
    ...{ calls_per_minute: callsPerMinute, in_flight: inFlight },
  });

export function models(program: Command, cli: Cli): void {
  const group = program.command("models").summary("the models agents may run on");

  const show = async (id: string, { json }: { json?: true }) => {
    const model = await cli.client().models.get(id);
    if (json) return cli.output.json(model);
    const { availability, price, licence } = model;
    cli.output.facts({
      model: `${model.id}, ${model.display_name}`,
      provider: model.provider,
      status: `${availability.status}${model.simulated ? " (simulated)" : ""}${availability.reason === null ? "" : `: ${availability.reason}`}`,
      tokens: `${count(model.context_tokens)} of context, ${count(model.max_output_tokens)} of output`,
      thinking: model.thinking.supported ? `yes, by default ${model.thinking.default ? "on" : "off"}` : "no",
      tools: `${model.tools.native ? "native" : "as text"}${model.tools.parallel ? ", parallel" : ""}`,
      languages: model.languages.join(", "),
      price:
        price === null
          ? null
          : `${priceOf(price.input_micros_per_mtok)} in, ${priceOf(price.cached_input_micros_per_mtok)} cached, ${priceOf(price.output_micros_per_mtok)} out, a million tokens`,
      licence: licence === null ? null : `${licence.name}${licence.note === null ? "" : `: ${licence.note}`}`,
      scores:
        model.benchmarks.length === 0
          ? null
          : model.benchmarks.map(({ benchmark, score, source }) => `${benchmark} ${score} (${source})`).join("\n"),
      endpoint: model.endpoint?.base_url ?? null,
    });
  };

  withList(group.command("list", { isDefault: true }))
    .summary("the catalogue's, and your own endpoints")
    .argument("[model]", "only this one, as show does")
    .option("--available", "only those this installation serves")
    .action(async (id: string | undefined, { available, ...options }: ListOptions & { available?: true }) => {
      if (id !== undefined) return show(id, options);
      const found: Model[] = [];
      for await (const model of cli.client().models.list())
        if (!available || model.availability.status === "available") found.push(model);
      await showList(
        cli,
        "models",
        found,
        { ...options, all: true },
        {
          MODEL: ({ id }) => id,
          STATUS: ({ availability: { status }, simulated }) => ({
            text: `${status}${simulated ? " (simulated)" : ""}`,
            style: status === "available" ? "green" : "dim",
          }),
          CONTEXT: ({ context_tokens: tokens }) => ({ text: count(tokens), right: true }),
          THINKS: ({ thinking }) => (thinking.supported ? "yes" : "no"),
          "IN/MTOK": ({ price }) => ({ text: price === null ? "" : priceOf(price.input_micros_per_mtok), right: true }),
          "OUT/MTOK": ({ price }) => ({
            text: price === null ? "" : priceOf(price.output_micros_per_mtok),
            right: true,
          }),
          NAME: ({ display_name: name }) => name,
        },
      );
    });

  withJson(group.command("show")).summary("one, with its price, licence and scores").argument("<model>").action(show);

  withJson(withFields(group.command("add")))
    .summary("make an endpoint of your own a model: --url, --upstream and --context-tokens say which")
    .argument("<name>", "what manifests call it")
    .action(async (name: string, options: Fields & { json?: true }) => {
      const { base_url: url, upstream_model: upstream, context_tokens: context, ...rest } = bodyOf(options);
      if (url === undefined || upstream === undefined || context === undefined)
        throw new UsageError("A model needs --url, --upstream and --context-tokens.");
      const key = await keyOf(cli, name, options);
      const fields = { ...rest, name, base_url: url, upstream_model: upstream, context_tokens: context };
      showEndpoint(cli, await cli.client().models.create({ ...fields, ...givenOf({ api_key: key }) }), options);
    });

  withJson(withGuard(withFields(group.command("update"))))
    .summary("change your own endpoint, or its key")
    .argument("<model>")
    .option("--no-key", "it has no key any more")
    .action(async (id: string, options: Fields & { ifMatch?: string; json?: true }) => {
      const key = options.key === false ? null : await keyOf(cli, id, options);
      const change = changeOf({ ...bodyOf(options), api_key: key });
      showEndpoint(cli, await cli.client().models.update(id, change, guardOf(options)), options);
    });

  withGuard(group.command("delete"))
    .summary("remove your own endpoint; deployments that use it become degraded")
    .argument("<model>")
    .action(async (id: string, options: { ifMatch?: string }) => {
      await cli.client().models.delete(id, guardOf(options));
      cli.output.line(`Deleted model ${id}.`);
    });
}

/** The endpoint's key, where --key says that it is given. @throws UsageError */
async function keyOf({ prompt }: Cli, model: string, { key }: Fields): Promise<string | undefined> {
  if (!key) return undefined;
  const typed = (await prompt.secret(`API key of ${model}: `)).trim();
  if (typed === "") throw new UsageError("There is no key on standard input.");
  return typed;
}

function showEndpoint({ output }: Cli, model: Model, { json }: { json?: true }): void {
  const hint = model.endpoint?.key_hint ?? null;
  if (json) output.json(model);
  else output.line(`${model.id}: ${model.endpoint?.base_url}, ${hint === null ? "no key" : `key ${hint}`}`);
}
