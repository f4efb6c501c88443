import { runChaos } from "./chaos.ts";

setTimeout(() => process.exit(9), 150_000).unref();
const r = await runChaos({
  backend: process.argv[2] as never,
  seed: Number(process.argv[3] ?? 1),
  runs: Number(process.argv[4] ?? 150),
  inFlight: 60,
  loadMs: 12_000,
  deadlineMs: 90_000,
  modelCallMs: 100,
  maxToolDelayMs: 50,
  keepLogs: true,
  faults: { everyMs: 2000, postgresCrashesAt: [1 / 3], flushesAt: [0.5], gatewayKillsAt: [0.6] },
});
console.log(r, r.history.recoveriesMs.length);
