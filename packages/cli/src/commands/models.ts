import type { Model } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, type ListOptions, showList, withJson, withList } from "../cli.ts";
import { count, price as priceOf } from "../format.ts";

export function models(program: Command, cli: Cli): void {
  const group = program.command("models").summary("the models agents may run on");

  withList(group.command("list", { isDefault: true }))
    .summary("the catalogue's, and your own endpoints")
    .option("--available", "only those this installation serves")
    .action(async ({ available, ...options }: ListOptions & { available?: true }) => {
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

  withJson(group.command("show"))
    .summary("one, with its price, licence and scores")
    .argument("<model>")
    .action(async (id: string, { json }: { json?: true }) => {
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
    });
}
