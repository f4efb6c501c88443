import { CATALOGUE, listModels, type ModelHost } from "@maru/model";
import type { Models } from "@maru/store";
import type { Logger } from "pino";

/** Hosts take models back now and then; nobody has to call one to learn of it. */
const LOOK_MS = 300_000;

/**
 * Looks at the hosts' lists of models. A model that was on its host's list and no longer is counts as withdrawn, one that
 * is on it does not. One that never was on it tells nothing: lists leave out aliases and versions.
 */
export function createHostWatch(deps: {
  readonly hosts: readonly ModelHost[];
  readonly store: Pick<Models, "withdraw">;
  readonly logger: Logger;
  /** Between two looks, give or take a quarter. */
  readonly lookMs?: number;
}) {
  const { hosts, store, logger, lookMs = LOOK_MS } = deps;
  const seen = new Set<string>();
  const closing = new AbortController();
  let timer: NodeJS.Timeout | null = null;

  const lookAt = async (host: ModelHost): Promise<void> => {
    const listed = await listModels(host, closing.signal);
    if (listed === null) return;
    for (const [id, name] of Object.entries(host.models)) {
      if (hosts.find(({ models }) => Object.hasOwn(models, id)) !== host) continue;
      const upstream = name ?? CATALOGUE.find((model) => model.id === id)?.upstreamModel ?? id;
      const there = listed.has(upstream);
      if (there) seen.add(id);
      if (!there && !seen.has(id)) continue;
      const news = await store.withdraw(id, there ? null : `Its host no longer lists ${upstream}.`);
      if (news) logger.warn({ model: id, host: host.name }, there ? "model is back" : "model withdrawn");
    }
  };

  const look = async () => {
    for (const host of hosts) {
      try {
        await lookAt(host);
      } catch (error) {
        if (!closing.signal.aborted) logger.warn({ err: error, host: host.name }, "the host's models were not read");
      }
    }
    if (!closing.signal.aborted) timer = setTimeout(() => void look(), lookMs * (0.75 + Math.random() / 2)).unref();
  };

  return {
    start: () => void look(),
    close() {
      closing.abort();
      if (timer !== null) clearTimeout(timer);
    },
  };
}
