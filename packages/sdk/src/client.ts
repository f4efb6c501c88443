import { type AgentManifest, type DeployResult, OPERATIONS, type Operations, type Resources } from "./generated.ts";
import type { CallOptions, ClientOptions, Input, OperationId } from "./options.ts";
import { pages } from "./pages.ts";
import { type RunsResource, runsResource } from "./runs.ts";
import { type AnyInput, createTransport, json, type Transport, traitsOf } from "./transport.ts";

export interface DeployOptions extends CallOptions {
  /** The reply is the plan, and nothing is written. */
  readonly dryRun?: boolean | undefined;
}

export interface DeploymentsResource extends Omit<Resources["deployments"], "deploy"> {
  /** Deploys a manifest, as YAML or JSON text or as an object: creates or rolls forward; the same manifest again changes nothing. */
  deploy(manifest: AgentManifest | string, options?: DeployOptions): Promise<DeployResult>;
}

export interface Client extends Omit<Resources, "runs" | "deployments"> {
  readonly runs: RunsResource;
  readonly deployments: DeploymentsResource;
  /** Calls any operation by its name in the OpenAPI document. @throws MaruError, ConnectionError */
  call<Op extends OperationId>(operation: Op, input: Input<Op>): Promise<Operations[Op]["reply"]>;
  /** As `call`, for the reply as it came: its headers, or bodies other than JSON. @throws MaruError, ConnectionError */
  request<Op extends OperationId>(operation: Op, input: Input<Op>): Promise<Response>;
}

/** A client of a Maru. It holds no connections and needs no closing. */
export function createClient(options: ClientOptions): Client {
  const transport = createTransport(options);
  const resources = resourcesOf(transport);
  return {
    ...resources,
    runs: runsResource(transport, resources.runs),
    deployments: {
      ...resources.deployments,
      deploy: (body, { dryRun, ...call } = {}) =>
        transport.call("deploy", { ...call, body, ...(dryRun === undefined ? {} : { query: { dry_run: dryRun } }) }),
    },
    call: transport.call,
    request: transport.request,
  };
}

/** Every operation where `Resources` has it. */
function resourcesOf(transport: Transport): Resources {
  const groups: Record<string, Record<string, (...args: unknown[]) => unknown>> = {};
  for (const operation of Object.keys(OPERATIONS) as OperationId[]) {
    const { group, name } = traitsOf(operation);
    groups[group] ??= {};
    groups[group][name] = (...args) => invoke(transport, operation, args);
  }
  return groups as unknown as Resources;
}

/** Arguments come in this order, as far as the operation has them: the path's, the body, the query, options. */
function invoke(transport: Transport, operation: OperationId, args: readonly unknown[]): unknown {
  const traits = traitsOf(operation);
  const left = [...args];
  const params: Record<string, unknown> = {};
  for (const [, name = ""] of traits.path.matchAll(/\{([^}]+)\}/g)) params[name] = left.shift();
  const body = traits.body ? { body: left.shift() ?? {} } : {};
  const query = (traits.query ? left.shift() : undefined) as Record<string, unknown> | undefined;
  const input: AnyInput = { ...(left.shift() as CallOptions | undefined), params, ...body, query };
  const read = (of: AnyInput) => transport.send(operation, of, (response) => json(response, operation));
  if (traits.bytes) return transport.send(operation, input, async (response) => response);
  if (!traits.list) return read(input);
  type Page = { readonly data: readonly unknown[]; readonly next?: string | null };
  return pages<unknown, Page, string>(
    (after) =>
      read(after === undefined ? input : { ...input, query: { ...query, after } }) as Promise<unknown> as Promise<Page>,
    ({ next = null }) => next,
  );
}
