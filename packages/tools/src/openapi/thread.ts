// A thread of its own for a document that somebody else wrote: whatever it holds up, it is not the service.
import { parentPort, workerData } from "node:worker_threads";
import { type Expansion, expandDocument } from "./expand.ts";

// As text, so that what comes back is JSON and nothing else.
parentPort?.postMessage(JSON.stringify(expandDocument(workerData as Expansion)));
