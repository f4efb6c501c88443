import {
  type AgentManifest,
  type AgentSpec,
  type CatalogueModel,
  type DeploySettings,
  durationText,
  LIMITS,
  type Rollout,
  sizeText,
} from "@maru/contract";
import { modelDefaults } from "./model-defaults.ts";
import { writeLiterals } from "./references.ts";
import { MIN_RUNS } from "./rollout.ts";
import { anyOf, fields, filled, without } from "./written.ts";
import { writtenTool } from "./written-tool.ts";

export interface DenormaliseDeps {
  findModel(id: string): CatalogueModel | undefined;
  readonly defaultModelId: string;
}

export interface WrittenDeploy {
  readonly deployment: string;
  readonly settings: DeploySettings;
  readonly rollout: Rollout | null;
}

/**
 * The manifest a person would have written: fields in the order of the docs, what is a default left out, units as people
 * write them. Normalised again it gives the same, as long as the catalogue says of the model what it says now.
 */
export function denormaliseManifest(
  spec: AgentSpec,
  deploy: WrittenDeploy | null,
  deps: DenormaliseDeps,
): AgentManifest {
  const { thread } = spec.memory;
  return writeLiterals(
    fields({
      apiVersion: "maru/v1",
      kind: "Agent",
      metadata: fields({ name: spec.name, labels: filled(spec.labels) }),
      spec: fields({
        description: without("", spec.description),
        model: model(spec.model, deps),
        instructions: spec.instructions,
        tools: filled(spec.tools.map(writtenTool)),
        output: spec.output,
        limits: limits(spec.limits),
        memory: anyOf({
          thread: anyOf({
            strategy: without("trim", thread.strategy),
            maxTokens: without(LIMITS.threadTokens.default, thread.maxTokens),
          }),
        }),
      }),
      deploy: deploy === null ? undefined : deployOf(spec.name, deploy),
    }) as unknown as AgentManifest,
  );
}

function model({ name, ...spec }: AgentSpec["model"], { findModel, defaultModelId }: DenormaliseDeps) {
  const defaults = modelDefaults(findModel(name));
  return anyOf({
    name: without(defaultModelId, name),
    thinking: without(defaults.thinking, spec.thinking),
    sampling: anyOf({
      temperature: without(defaults.temperature, spec.temperature),
      top_p: without(defaults.topP, spec.topP),
      presence_penalty: without(defaults.presencePenalty, spec.presencePenalty),
      seed: spec.seed ?? undefined,
    }),
    maxOutputTokens: without(defaults.maxOutputTokens(spec.thinking), spec.maxOutputTokens),
    fallbacks: spec.fallbacks,
  });
}

const limits = (spec: AgentSpec["limits"]) =>
  anyOf({
    steps: without(LIMITS.steps.default, spec.steps),
    tokens: without(LIMITS.tokens.default, spec.tokens),
    duration: without(LIMITS.durationMs.default, spec.durationMs, durationText),
    wait: without(undefined, spec.waitMs, durationText),
    parallelTools: without(LIMITS.parallelTools.default, spec.parallelTools),
    toolOutputBytes: without(LIMITS.toolOutputBytes.default, spec.toolOutputBytes, sizeText),
    identicalCalls: without(LIMITS.identicalCalls.default, spec.identicalCalls),
  });

function deployOf(agent: string, { deployment, settings, rollout }: WrittenDeploy) {
  const { promote, rollback } = rollout ?? {};
  return anyOf({
    name: without(agent, deployment),
    traffic: rollout === null ? undefined : { canary: rollout.percent },
    canary: anyOf({
      promote: promote && fields({ runs: promote.runs, after: without(undefined, promote.after_ms, durationText) }),
      rollback:
        rollback &&
        fields({
          errorRate: rollback.error_rate,
          latency: without(undefined, rollback.latency_ms, durationText),
          costUsd: without(undefined, rollback.cost_micros, (micros) => micros / 1e6),
          minRuns: without(MIN_RUNS, rollback.min_runs),
        }),
    }),
    onThreadBusy: without("reject", settings.onThreadBusy),
    concurrency: settings.concurrency ?? undefined,
    onLimit: without("reject", settings.onLimit),
  });
}
