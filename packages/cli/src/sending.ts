import type { Client, DeployResult } from "@maru/sdk";
import { guardOf } from "./cli.ts";
import type { Bundle } from "./manifests.ts";

export interface SendOptions {
  readonly dryRun: boolean;
  readonly note?: string;
  readonly ifMatch?: string;
}

/** Deploys manifests together, all of them or none; answers one result a manifest, in their order. */
export async function sendManifests(
  client: Client,
  { text }: Bundle,
  { dryRun, note, ...guard }: SendOptions,
): Promise<DeployResult[]> {
  const query = { dry_run: dryRun, ...(note === undefined ? {} : { note }) };
  const reply = (await client.call("deploy", { body: text, query, ...guardOf(guard) })) as
    | DeployResult
    | { readonly results: DeployResult[] };
  return "results" in reply ? reply.results : [reply];
}
