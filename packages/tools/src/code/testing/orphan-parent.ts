// A process that runs endless native code in a sandbox, for the test that kills it: it says which process that is.
import { createSandbox } from "../sandbox.ts";

const sandbox = createSandbox({ processes: 1 });
const job = { kind: "body", input: "null", timeoutMs: 30_000, memoryBytes: 32 << 20 } as const;
const { signal } = new AbortController();
await sandbox.run({ ...job, source: "return 1" }, signal);
void sandbox.run({ ...job, source: "return Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)" }, signal);
process.send?.(sandbox.processIds()[0]);
