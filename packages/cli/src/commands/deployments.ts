import type { Deployment } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, type ListOptions, pageSize, showList, withJson, withList } from "../cli.ts";
import { instant } from "../format.ts";
import type { Style } from "../output.ts";

const HEALTH: Readonly<Record<Deployment["health"]["status"], Style>> = {
  ready: "green",
  degraded: "yellow",
  paused: "dim",
  failed: "red",
};

export function deployments(program: Command, cli: Cli): void {
  const group = program.command("deployments").summary("list deployments, or show one");

  const show = async (name: string, { json }: { json?: true }) => {
    const reply = await cli.client().request("getDeployment", { params: { deployment: name } });
    const deployment = (await reply.json()) as Deployment;
    if (json) return cli.output.json(deployment);
    cli.output.facts({ ...summary(deployment), etag: reply.headers.get("etag") });
  };

  withList(group.command("list", { isDefault: true }))
    .summary("all of them, the newest first")
    .argument("[deployment]", "only this one, as show does")
    .action(async (name: string | undefined, options: ListOptions) => {
      if (name !== undefined) return show(name, options);
      await showList(cli, "deployments", cli.client().deployments.list(pageSize(options)), options, {
        DEPLOYMENT: ({ name }) => name,
        HEALTH: ({ health }) => ({ text: health.status, style: HEALTH[health.status] }),
        REVISION: (deployment) => trafficOf(deployment),
        MODEL: ({ model, simulated }) => `${model}${simulated ? " (simulated)" : ""}`,
        CHANGED: ({ updated_at: at }) => instant(at),
      });
    });

  withJson(group.command("show"))
    .summary("one, with where its runs go, its health and its ETag")
    .argument("<deployment>")
    .action(show);
}

export const trafficOf = ({ traffic, revision }: Pick<Deployment, "traffic" | "revision">): string =>
  traffic.length <= 1 ? String(revision) : traffic.map((part) => `${part.revision} ${part.percent} %`).join(", ");

/** What every command that changes a deployment shows of it. */
export const summary = (deployment: Deployment) => ({
  deployment: deployment.name,
  agent: deployment.agent,
  traffic: deployment.traffic.map(({ revision, percent }) => `revision ${revision}: ${percent} %`).join(", "),
  release: String(deployment.release),
  canary:
    deployment.canary === null
      ? null
      : `revision ${deployment.canary.revision}, since ${instant(deployment.canary.since)}`,
  model: `${[deployment.model, ...deployment.fallbacks].join(", else ")}${deployment.simulated ? " (simulated)" : ""}`,
  health: {
    text: [deployment.health.status, ...deployment.health.reasons].join("; "),
    style: HEALTH[deployment.health.status],
  },
});
