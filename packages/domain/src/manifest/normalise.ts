import {
  type AgentManifest,
  type AgentSpec,
  byteSize,
  type CatalogueModel,
  type DeploySettings,
  durationMs,
  durationText,
  LIMITS,
  PROBLEMS,
  Problem,
  type ProblemCode,
  type ProblemDetail,
  type Rollout,
  SUBMIT_TOOL,
  sizeText,
  type ToolSpec,
} from "@maru/contract";
import { closest } from "fastest-levenshtein";
import { modelDefaults } from "./model-defaults.ts";
import type { Place } from "./parse.ts";
import { type Report, rangeOf } from "./range.ts";
import { readLiterals, unresolved } from "./references.ts";
import { rolloutOf } from "./rollout.ts";
import { misplacedSecrets } from "./secret-places.ts";
import { approvalReader, normaliseTool } from "./tool.ts";
import { schemaErrors } from "./validate.ts";
import { type ManifestVersion, toCurrentVersion } from "./versions.ts";

export interface NormaliseDeps {
  findModel(id: string): CatalogueModel | undefined;
  readonly modelIds: readonly string[];
  /** Whether a host of this installation serves a model. */
  isServed(id: string): boolean;
  /** What is wrong with a JSON Schema; its pointers begin with the given one. */
  checkSchema(schema: { readonly [key: string]: unknown }, pointer: string): ProblemDetail[];
  readonly defaultModelId: string;
  /** What only the tool kind itself can judge: templates, URLs, headers, schemas. */
  checkTool(spec: ToolSpec, pointer: string): ProblemDetail[];
  locate?(pointer: string): Place | undefined;
  /** The format's versions, other ones in tests. */
  readonly versions?: readonly ManifestVersion[];
}

export interface NormalManifest {
  readonly spec: AgentSpec;
  readonly deployment: string;
  readonly settings: DeploySettings;
  readonly rollout: Rollout | null;
  /** What does not stand in the way. */
  readonly warnings: readonly ProblemDetail[];
  /** Where what a pointer leads to stood in what was written, when that was of an older version. */
  written(pointer: string): string;
}

/** Of what is wrong with manifests, so much is told at a time. */
const MAX_ERRORS = 50;

/**
 * Checks a manifest and fills in every default, so that what a revision stores says all the engine will do. All errors
 * are reported at once, each with its pointer and, when the text is known, its line.
 * @throws Problem with the one code all errors share, else manifest_invalid
 */
export function normaliseManifest(value: unknown, deps: NormaliseDeps): NormalManifest {
  const version = toCurrentVersion(value, deps.versions);
  if ("code" in version) throw refusal([version], deps);
  const refuse = (errors: readonly ProblemDetail[]) =>
    refusal(
      errors.map((error) => ({ ...error, pointer: version.written(error.pointer) })),
      deps,
    );
  const references = unresolved(version.manifest);
  const open = new Set(references.map(({ pointer }) => pointer));
  const wrong = [...references, ...schemaErrors(version.manifest).filter((error) => !liesIn(error.pointer, open))];
  if (wrong.length > 0) throw refuse(wrong);
  const manifest = readLiterals(version.manifest) as AgentManifest;
  const errors: ProblemDetail[] = misplacedSecrets(manifest);
  const report: Report = (pointer, code, detail, suggestion) =>
    void errors.push({ pointer, code, detail, ...(suggestion === undefined ? {} : { suggestion }) });

  const { metadata, spec, deploy } = manifest;
  const modelName = spec.model?.name ?? deps.defaultModelId;
  const model = deps.findModel(modelName);
  const unknown = (pointer: string, name: string) =>
    report(
      pointer,
      "unknown_model",
      `The catalogue has no model ${name}: it has ${deps.modelIds.join(", ")}.`,
      closest(name, [...deps.modelIds]),
    );
  const unserved = (pointer: string, name: string) =>
    report(
      pointer,
      "model_unserved",
      `No host of this installation serves ${name}: it has ${deps.modelIds.filter((id) => deps.isServed(id)).join(", ")}.`,
    );
  if (model === undefined) unknown("/spec/model/name", modelName);
  else if (!deps.isServed(modelName)) unserved("/spec/model/name", modelName);
  const fallbacks = spec.model?.fallbacks ?? [];
  for (const [index, name] of fallbacks.entries()) {
    const pointer = `/spec/model/fallbacks/${index}`;
    if (deps.findModel(name) === undefined) unknown(pointer, name);
    else if (!deps.isServed(name)) unserved(pointer, name);
    else if (name === modelName || fallbacks.indexOf(name) < index)
      report(pointer, "duplicate_model", `${name} is asked already: a fallback must be another model.`);
  }
  const defaults = modelDefaults(model);
  const thinking = spec.model?.thinking ?? defaults.thinking;
  const { control } = model?.thinking ?? { control: null };
  if ((control === "never" && thinking) || (control === "always" && !thinking))
    report(
      "/spec/model/thinking",
      "validation_failed",
      `${modelName} ${control} thinks: leave thinking out, or write thinking: ${control === "always"}.`,
    );
  const maxOutputTokens = spec.model?.maxOutputTokens ?? defaults.maxOutputTokens(thinking);
  if (model !== undefined && maxOutputTokens > model.maxOutputTokens.max) {
    report(
      "/spec/model/maxOutputTokens",
      "limit_out_of_range",
      `${model.id} writes at most ${model.maxOutputTokens.max} tokens.`,
    );
  }

  const range = rangeOf(report);
  const { limits = {} } = spec;

  const context = { report, range, approval: approvalReader(errors, deps.checkSchema) };
  const tools = (spec.tools ?? []).map((tool, index) => normaliseTool(tool, `/spec/tools/${index}`, context));
  const seen = new Set<string>();
  for (const [index, tool] of tools.entries()) {
    if (seen.has(tool.name))
      report(
        `/spec/tools/${index}/name`,
        "duplicate_tool",
        `There is a tool named ${tool.name} already: give one of them another name.`,
      );
    seen.add(tool.name);
    if (tool.name === SUBMIT_TOOL && spec.output !== undefined)
      report(
        `/spec/tools/${index}/name`,
        "duplicate_tool",
        `${SUBMIT_TOOL} is Maru's own tool where spec.output is given: give this one another name.`,
      );
    errors.push(...deps.checkTool(tool, `/spec/tools/${index}`));
  }

  const schema = spec.output?.schema as { readonly [key: string]: unknown } | undefined;
  if (schema !== undefined) errors.push(...deps.checkSchema(schema, "/spec/output/schema"));

  const normal: AgentSpec = {
    name: metadata.name,
    labels: metadata.labels ?? {},
    description: spec.description ?? "",
    model: {
      name: modelName,
      thinking,
      temperature: spec.model?.sampling?.temperature ?? defaults.temperature,
      topP: spec.model?.sampling?.top_p ?? defaults.topP,
      presencePenalty: spec.model?.sampling?.presence_penalty ?? defaults.presencePenalty,
      seed: spec.model?.sampling?.seed ?? null,
      maxOutputTokens,
      ...(fallbacks.length === 0 ? {} : { fallbacks }),
    },
    instructions: spec.instructions,
    tools,
    ...(schema === undefined ? {} : { output: { schema } }),
    limits: {
      steps: limits.steps ?? LIMITS.steps.default,
      tokens: limits.tokens ?? LIMITS.tokens.default,
      durationMs: range(
        "/spec/limits/duration",
        limits.duration === undefined ? LIMITS.durationMs.default : durationMs(limits.duration),
        LIMITS.durationMs,
        durationText,
      ),
      ...(limits.wait === undefined
        ? {}
        : { waitMs: range("/spec/limits/wait", durationMs(limits.wait), LIMITS.waitMs, durationText) }),
      parallelTools: limits.parallelTools ?? LIMITS.parallelTools.default,
      toolOutputBytes: range(
        "/spec/limits/toolOutputBytes",
        limits.toolOutputBytes === undefined ? LIMITS.toolOutputBytes.default : byteSize(limits.toolOutputBytes),
        LIMITS.toolOutputBytes,
        sizeText,
      ),
      identicalCalls: limits.identicalCalls ?? LIMITS.identicalCalls.default,
    },
    memory: {
      thread: {
        strategy: spec.memory?.thread?.strategy ?? "trim",
        maxTokens: spec.memory?.thread?.maxTokens ?? LIMITS.threadTokens.default,
      },
    },
  };
  const rollout = rolloutOf(deploy, report);
  if (errors.length > 0) throw refuse(errors);
  const settings: DeploySettings = {
    onThreadBusy: deploy?.onThreadBusy ?? "reject",
    onLimit: deploy?.onLimit ?? "reject",
    concurrency: deploy?.concurrency ?? null,
  };
  return {
    spec: normal,
    deployment: deploy?.name ?? metadata.name,
    settings,
    rollout,
    warnings: version.warnings,
    written: version.written,
  };
}

const liesIn = (pointer: string, places: ReadonlySet<string>): boolean =>
  [...places].some((place) => pointer === place || pointer.startsWith(`${place}/`));

/** One problem of all that is wrong with a manifest, each with its line when the text is known. */
export function refusal(errors: readonly ProblemDetail[], { locate }: Pick<NormaliseDeps, "locate">): Problem {
  // A place is looked for through the maps it is in, and there may be thousands of errors.
  const told = errors.slice(0, MAX_ERRORS).map((error) => ({ ...error, ...locate?.(error.pointer) }));
  return refusalOf([...told, ...errors.slice(MAX_ERRORS)]);
}

/** The same of errors that have their lines. */
export function refusalOf(errors: readonly ProblemDetail[]): Problem {
  const codes = new Set(errors.map(({ code }) => code));
  const [code] = codes;
  const shared =
    codes.size === 1 && code !== undefined && code in PROBLEMS ? (code as ProblemCode) : "manifest_invalid";
  const first = errors[0];
  const where =
    first === undefined
      ? ""
      : `${first.pointer || "the manifest"}: ${first.detail}${first.suggestion === undefined ? "" : ` Did you mean ${first.suggestion}?`}`;
  return new Problem(shared, errors.length > 1 ? `${where} (and ${errors.length - 1} more)` : where, {
    errors: errors.slice(0, MAX_ERRORS),
  });
}
