#!/usr/bin/env node
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

// Whoever reads us (`| head`) may have read enough.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });

// Halves the time of a short command; Node 20 has it not. In a folder of one's own: what is there is run.
module.enableCompileCache?.(join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "maru"));
const { start } = await import("./start.ts");
await start(process.env, process.argv);
