import type { ChaosResult } from "./chaos.ts";

/** Every promise as a number or a list that is zero or empty when it was kept. */
export function broken({ history, tools, ledger, ownDeaths }: ChaosResult) {
  return {
    lost: history.lost,
    stuck: history.stuck,
    unasked: history.unasked,
    keysWithManyRuns: history.keysWithManyRuns,
    historyChanged: history.historyChanged,
    brokenEvents: history.brokenEvents,
    brokenSteps: history.brokenSteps,
    brokenThreads: history.brokenThreads,
    executedAgain: tools.executedAgain,
    duplicateEffects: tools.duplicateEffects,
    sentTwice: tools.sentTwice,
    neverSent: tools.neverSent,
    ledger,
    ownDeaths,
  };
}

/** What `broken` answers when nothing is. */
export const NOTHING: ReturnType<typeof broken> = {
  lost: 0,
  stuck: 0,
  unasked: 0,
  keysWithManyRuns: 0,
  historyChanged: 0,
  brokenEvents: 0,
  brokenSteps: 0,
  brokenThreads: 0,
  executedAgain: 0,
  duplicateEffects: 0,
  sentTwice: 0,
  neverSent: 0,
  ledger: [],
  ownDeaths: 0,
};
