import {
  type AgentManifest,
  type DeployResult,
  type DeployResults,
  OPERATIONS,
  type Operations,
  type Resources,
} from "./generated.ts";
import type { CallOptions, ClientOptions, Input, OperationId } from "./options.ts";
import { pages } from "./pages.ts";
import { type RunsResource, runsResource } from "./runs.ts";
import { type AnyInput, createTransport, json, type Transport, traitsOf } from "./transport.ts";

export interface DeployOptions extends CallOptions {
  /** The reply is the plan, and nothing is written. */
  readonly dryRun?: boolean | undefined;
  /** Why, for the history of releases. */
  readonly note?: string | undefined;
}

export interface DeploymentsResource extends Omit<Resources["deployments"], "deploy"> {
  /**
   * Deploys a manifest: creates or rolls forward; the same manifest again changes nothing. A text, YAML or JSON, may be several
   * manifests with `---` between them, which is answered otherwise: `deployAll` answers a list always.
   */
  deploy(manifest: AgentManifest, options?: DeployOptions): Promise<DeployResult>;
  deploy(manifest: AgentManifest | string, options?: DeployOptions): Promise<DeployResult | DeployResults>;
  /** Deploys manifests together, all of them or none, and answers one result a manifest, in their order. */
  deployAll(manifests: string | readonly AgentManifest[], options?: DeployOptions): Promise<readonly DeployResult[]>;
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
    deployments: deploymentsResource(transport, resources.deployments),
    call: transport.call,
    request: transport.request,
  };
}

function deploymentsResource(transport: Transport, own: Resources["deployments"]): DeploymentsResource {
  const send = (body: AgentManifest | string, { dryRun, note, ...call }: DeployOptions = {}) => {
    const query = { ...(dryRun === undefined ? {} : { dry_run: dryRun }), ...(note === undefined ? {} : { note }) };
    return transport.call("deploy", { ...call, body, query });
  };
  return {
    ...own,
    deploy: send as DeploymentsResource["deploy"],
    async deployAll(manifests, options) {
      // JSON is YAML.
      const text =
        typeof manifests === "string" ? manifests : manifests.map((one) => JSON.stringify(one)).join("\n---\n");
      const reply = await send(text, options);
      return "results" in reply ? reply.results : [reply];
    },
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
