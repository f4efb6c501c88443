import type { ModelAnswer, ModelDelta, ModelRequest, TokenUsage } from "@maru/contract";
import { storableText } from "@maru/domain";
import type { Tried } from "@maru/store";
import type { ModelFailure, ModelPort, ModelRoute } from "./ports.ts";

/** Failures of a host, not of the request: another model, at another host, may answer in its place. */
const MAY_FALL_BACK: ReadonlySet<string> = new Set([
  "model_not_found",
  "model_unauthorized",
  "policy_denied",
  "upstream_rate_limited",
  "upstream_unavailable",
  "stream_interrupted",
  "model_timeout",
]);

export interface Ask {
  readonly routes: readonly (ModelRoute | null)[];
  /** Names of the routes, for those that are not there. */
  readonly names: readonly string[];
  readonly port: ModelPort;
  readonly signal: AbortSignal;
  readonly onDelta: (delta: ModelDelta) => void;
  /**
   * The request for a route, or null when its prompt has no room left in the run's own budget. `squeezed`: the host called
   * the last one too long, so it has to be shorter.
   */
  readonly request: (route: ModelRoute, squeezed: ModelRequest | null) => ModelRequest | null;
}

interface Attempted {
  /** Models that were asked before the one that answered or failed last, and why they did not. */
  readonly tried: readonly Tried[];
  /** What was used for nothing. */
  readonly wasted: TokenUsage | null;
}
export type Asked = Attempted &
  (
    | {
        readonly kind: "answered";
        readonly answer: ModelAnswer;
        readonly route: ModelRoute;
        readonly request: ModelRequest;
      }
    | { readonly kind: "no_room" }
    /** `shown`: part of an answer was seen live; the step can't be taken back, but a new one may follow it. */
    | {
        readonly kind: "failed";
        readonly failure: ModelFailure;
        readonly route: ModelRoute | null;
        readonly shown: boolean;
      }
  );

/**
 * One model step: the routes in their order, until one answers. A route is left for the next only where its host failed
 * and nothing of an answer was shown; a prompt the host calls too long is shortened once and asked again.
 * @throws whatever aborted `signal`
 */
export async function askModels({ routes, names, port, signal, onDelta, request: requestFor }: Ask): Promise<Asked> {
  const tried: Tried[] = [];
  let wasted: TokenUsage | null = null;
  const waste = (usage: TokenUsage | undefined) => {
    if (usage !== undefined) wasted = sum(wasted, usage);
  };
  const failed = (failure: ModelFailure, route: ModelRoute | null, shown: boolean): Asked => ({
    kind: "failed",
    failure,
    route,
    shown,
    tried,
    wasted,
  });

  let squeezed: ModelRequest | null = null;
  for (let index = 0; index < routes.length; index++) {
    const route = routes[index];
    const isLast = index === routes.length - 1;
    if (!route) {
      const missing = { code: "model_not_found", message: `There is no model ${names[index]}.` };
      if (isLast) return failed(missing, null, false);
      tried.push({ model: String(names[index]), ...missing });
      continue;
    }
    const request = requestFor(route, squeezed);
    if (request === null) return { kind: "no_room", tried, wasted };
    let shown = false;
    try {
      const answer = await route.complete(request, {
        signal,
        onDelta: (delta) => {
          shown = true;
          onDelta(delta);
        },
        onAbandoned: waste,
        impatient: !isLast,
      });
      return { kind: "answered", answer, route, request, tried, wasted };
    } catch (error) {
      if (signal.aborted) throw error;
      const failure = storable(port.describeError(error));
      if (failure.code === "context_overflow" && squeezed === null && !shown) {
        port.overflowed(request);
        tried.push({ model: route.model.id, code: failure.code, message: `${failure.message} It was shortened.` });
        waste(failure.usage);
        squeezed = request;
        index--;
        continue;
      }
      if (isLast || shown || !MAY_FALL_BACK.has(failure.code)) return failed(failure, route, shown);
      waste(failure.usage);
      tried.push({ model: route.model.id, code: failure.code, message: failure.message });
      squeezed = null;
    }
  }
  throw new Error("a run has no model to ask");
}

/** A host's own words may hold what no database stores. */
const storable = (failure: ModelFailure): ModelFailure => ({ ...failure, message: storableText(failure.message) });

/** A failure after which a new step may be tried although part of the old one was seen. */
export const mayAskAgain = ({ code }: ModelFailure): boolean =>
  MAY_FALL_BACK.has(code) && !["model_not_found", "model_unauthorized", "policy_denied"].includes(code);

export const sum = (a: TokenUsage | null, b: TokenUsage): TokenUsage =>
  a === null
    ? b
    : {
        inputTokens: a.inputTokens + b.inputTokens,
        cachedInputTokens: a.cachedInputTokens + b.cachedInputTokens,
        outputTokens: a.outputTokens + b.outputTokens,
        estimated: a.estimated || b.estimated,
      };
