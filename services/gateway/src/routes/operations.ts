import type { Readiness } from "@maru/contract";
import type { LiveBus } from "@maru/queue";
import type { Store } from "@maru/store";
import type { Handlers } from "../http/bind.ts";
import { version } from "../version.ts";

const CHECK_MS = 2_000;

export function operationsRoutes({ store, bus, draining }: { store: Store; bus: LiveBus; draining: () => boolean }) {
  const check = async (name: string, ask: () => Promise<unknown>): Promise<[string, Readiness["checks"][string]]> => {
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer in ${CHECK_MS} ms`)), CHECK_MS);
      });
      await Promise.race([ask(), late]);
      return [name, { ok: true }];
    } catch (error) {
      // The kind of failure only: a driver's message may name hosts and users.
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      return [name, { ok: false, detail: code === "" ? "does not answer" : `does not answer (${code})` }];
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    health: async () => ({ status: 200, body: { status: "ok", version } }),
    ready: async () => {
      const checks = Object.fromEntries(
        await Promise.all([
          check("database", () => store.ping()),
          check("queue", () => bus.ping()),
          check("accepting", async () => {
            if (draining()) throw new Error("shutting down");
          }),
        ]),
      );
      const ready = Object.values(checks).every(({ ok }) => ok);
      return { status: ready ? 200 : 503, body: { status: ready ? "ready" : "not_ready", checks } };
    },
  } satisfies Partial<Handlers>;
}
