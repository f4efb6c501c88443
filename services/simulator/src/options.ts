import { MODELS, type ServedModel } from "./catalogue.ts";
import type { Latency, Timing } from "./pacing.ts";
import { CURRENT_VERSIONS, type DialectName, type Versions } from "./wire/dialect.ts";

export type Tier = 0 | 1 | 2 | 3 | 4;

export interface SimulatorOptions {
  /** Part of every id and chunk size; another seed gives other bytes, the same seed the same. Default "0". */
  readonly seed?: string | number;
  /** Bearer tokens that are let in; without the option every call is. */
  readonly apiKeys?: readonly string[];
  /** Latency to start with; all zero by default. */
  readonly latency?: Partial<Latency>;
  /** The same in the terms of a model host, with a thinking phase and a scale; sets `latency` where that says nothing. */
  readonly timing?: Partial<Timing & Pick<Latency, "firstByteMs" | "tokensPerSecond">>;
  /** Source of `created`, of the model's "today" and of the request window. */
  readonly clock?: { now(): Date };
  /** The host's cap on one answer, in tokens; the tier's by default, 16,384 without a tier. */
  readonly maxOutputTokens?: number;
  /** The endpoint's default for `parse_reasoning`, which differs between endpoints of the real host. Default true. */
  readonly parseReasoning?: boolean;
  /** Whose wire is spoken where the call does not say; default friendli. */
  readonly dialect?: DialectName;
  /** Behaviours of single releases; what is left out is as in the newest. */
  readonly versions?: { readonly [Host in keyof Versions]?: Partial<Versions[Host]> };
  /** The models served; Maru's catalogue by default. */
  readonly models?: readonly ServedModel[];
  /** The account's usage tier: output cap and requests a minute. Tier 0 refuses at random. Default: no limits of a tier. */
  readonly tier?: Tier;
  /** Requests a minute for one key or team, instead of the tier's. */
  readonly requestsPerMinute?: number;
  /** Whether a 429 of the window says `Retry-After`; the real host was not seen to. Default false. */
  readonly retryAfter?: boolean;
  /** Refuse results whose `tool_call_id` no call before them has, with 422. Unknown for the real host. Default false. */
  readonly matchToolCallIds?: boolean;
  /** Write bodies in pieces of this many bytes, each a write of its own; default: as the times have it. */
  readonly chunkBytes?: number;
  /** Told of errors that are the simulator's own fault. */
  readonly onError?: (error: unknown) => void;
}

/** Output tokens of one answer by tier. */
const OUTPUT_CAPS = [8_192, 16_384, 16_384, 32_768, 65_536] as const;
/** Requests a minute by tier; null = adaptive. */
const REQUESTS_PER_MINUTE = [null, 100, 1_000, 5_000, 10_000] as const;

/** The options with their defaults. */
export interface Host {
  readonly seed: string;
  readonly hostCap: number;
  readonly parseReasoning: boolean;
  readonly dialect: DialectName;
  readonly versions: Versions;
  readonly models: readonly ServedModel[];
  readonly matchToolCallIds: boolean;
  readonly chunkBytes: number | null;
  readonly limits: {
    /** Null = none, or adaptive. */
    readonly requestsPerMinute: number | null;
    readonly adaptive: boolean;
    readonly retryAfter: boolean;
  };
}

export function hostOf(options: SimulatorOptions): Host {
  const { tier, versions = {} } = options;
  const perMinute = options.requestsPerMinute ?? (tier === undefined ? null : REQUESTS_PER_MINUTE[tier]);
  return {
    seed: String(options.seed ?? "0"),
    hostCap: options.maxOutputTokens ?? (tier === undefined ? 16_384 : OUTPUT_CAPS[tier]),
    parseReasoning: options.parseReasoning ?? true,
    dialect: options.dialect ?? "friendli",
    versions: {
      vllm: { ...CURRENT_VERSIONS.vllm, ...versions.vllm },
      sglang: { ...CURRENT_VERSIONS.sglang, ...versions.sglang },
    },
    models: options.models ?? MODELS,
    matchToolCallIds: options.matchToolCallIds ?? false,
    chunkBytes: options.chunkBytes ?? null,
    limits: {
      requestsPerMinute: perMinute,
      adaptive: tier === 0 && perMinute === null,
      retryAfter: options.retryAfter ?? false,
    },
  };
}
