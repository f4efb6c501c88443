// npm run bench: what Maru costs, beside the same loop without it, in one run. Ratios travel; absolute numbers do not.

import { admissionBench } from "./admission.ts";
import { agentsBench } from "./agents.ts";
import { builtinsBench } from "./builtins.ts";
import { codeBench } from "./code.ts";
import { journalBench, recoveryBench } from "./durability.ts";
import { httpToolBench } from "./http-tool.ts";
import { inFlightBench } from "./in-flight.ts";
import { mcpBench } from "./mcp.ts";
import { memoryBench } from "./memory.ts";
import { pathBench } from "./path.ts";
import { rateLimitsBench } from "./rate-limits.ts";
import { releasesBench } from "./releases.ts";
import { openBench } from "./setup.ts";
import { streamsBench } from "./streams.ts";
import { webhooksBench } from "./webhooks.ts";
import { assemblerBench, firstTokenBench } from "./wire.ts";

const which = process.argv.slice(2);
const wanted = (name: string) => which.length === 0 || which.includes(name);

console.log(`Node ${process.version}, ${process.platform} ${process.arch}`);
if (wanted("assembler")) await assemblerBench();
if (wanted("builtins")) await builtinsBench();
if (wanted("code")) await codeBench();
if (wanted("http-tool")) await httpToolBench();
if (wanted("mcp")) await mcpBench();
if (wanted("first-token")) {
  const bench = await openBench();
  try {
    await firstTokenBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("path")) {
  const bench = await openBench();
  try {
    await pathBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("in-flight")) {
  const bench = await openBench({ concurrency: 1_000 });
  try {
    await inFlightBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("admission")) {
  const bench = await openBench({ worker: false });
  try {
    await admissionBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("rate-limits")) {
  const bench = await openBench({ worker: false });
  try {
    await rateLimitsBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("webhooks")) {
  const bench = await openBench({ worker: false });
  try {
    await webhooksBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("memory")) {
  const bench = await openBench({ worker: false });
  try {
    await memoryBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("releases")) {
  const bench = await openBench({ worker: false });
  try {
    await releasesBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("agents")) {
  const bench = await openBench();
  try {
    await agentsBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("streams")) {
  const bench = await openBench();
  try {
    await streamsBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("journal")) {
  const bench = await openBench();
  try {
    await journalBench(bench);
  } finally {
    await bench.close();
  }
}
if (wanted("recovery")) {
  const bench = await openBench({ worker: false });
  try {
    await recoveryBench(bench);
  } finally {
    await bench.close();
  }
}
process.exit(0);
