import type { FaultName } from "./faults/faults.ts";
import { createJournal, type Journal } from "./journal.ts";
import { createPrefixCache, type PrefixCache } from "./prefix-cache.ts";
import { createRequestWindow, type RequestWindow } from "./request-window.ts";
import type { ScenarioRule } from "./scenario.ts";
import { createTries, type Tries } from "./tries.ts";

/** What a simulator remembers between calls, and what tests set in it. */
export interface State {
  readonly journal: Journal;
  readonly tries: Tries;
  readonly window: RequestWindow;
  prefixes: PrefixCache;
  /** The first rule that fits a request decides its answer. */
  scenario: readonly ScenarioRule[];
  /** A fault of every call that can have it. */
  fault: { readonly name: FaultName; readonly times: number } | null;
  /** An instant at which the clock stands; null = the clock given at the start. */
  instant: Date | null;
}

export function createState(): State {
  return {
    journal: createJournal(),
    tries: createTries(),
    window: createRequestWindow(),
    prefixes: createPrefixCache(),
    scenario: [],
    fault: null,
    instant: null,
  };
}

/** Forgets everything: journal, counts of tries and requests, cached prompts, scenario, fault, clock. */
export function resetState(state: State): void {
  state.journal.clear();
  state.tries.clear();
  state.window.clear();
  state.prefixes = createPrefixCache();
  state.scenario = [];
  state.fault = null;
  state.instant = null;
}
