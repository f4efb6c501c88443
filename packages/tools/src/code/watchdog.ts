// A thread of a sandbox process. When the parent is gone, by whatever way, so is the process, even in the middle of a loop.
import { workerData } from "node:worker_threads";

setInterval(() => {
  if (process.ppid !== workerData) process.kill(process.pid, "SIGKILL");
}, 250);
