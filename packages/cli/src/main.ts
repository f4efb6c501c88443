import { readFileSync } from "node:fs";
import { createClient, MaruError } from "@maru/sdk";
import { cliConfig } from "./config.ts";

const USAGE = `maru deploy <manifest> [--dry-run]   create or roll forward a deployment
maru run <deployment> <input>        run it and show the answer as it comes; input - reads standard input
maru quota                           what is used and what is left
maru quota check <deployment> <input> whether that run would be accepted now
maru runs                            the latest runs
maru doctor quota                    recomputes every balance from the ledger; fails when one is off

MARU_URL (default http://127.0.0.1:8080) and MARU_API_KEY say where and as whom.
`;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(
    error instanceof MaruError
      ? `${error.message} (${error.problem.code})`
      : error instanceof Error
        ? error.message
        : String(error),
  );
  for (const item of error instanceof MaruError ? (error.problem.errors ?? []) : []) {
    console.error(
      `  ${item.line === undefined ? "" : `line ${item.line}, column ${item.column}: `}${item.pointer} ${item.detail}${item.suggestion === undefined ? "" : ` Did you mean ${item.suggestion}?`}`,
    );
  }
  process.exitCode = 1;
}

async function main([command, ...args]: readonly string[]): Promise<number> {
  const client = createClient(cliConfig(process.env));
  const out = (text: string) => process.stdout.write(text);
  if (command === "deploy" && args[0] !== undefined) {
    const result = await client.call("deploy", {
      body: readFileSync(args[0], "utf8"),
      query: { dry_run: args.includes("--dry-run") },
    });
    out(
      `${result.action}${result.dry_run ? " (plan only)" : ""}: ${result.deployment?.name ?? "new deployment"}, revision ${result.revision ?? 1}\n`,
    );
    for (const { op, path, before, after } of result.changes)
      out(
        `  ${{ add: "+", remove: "-", change: "~" }[op]} ${path} ${op === "change" ? `${JSON.stringify(before)} → ` : ""}${JSON.stringify(op === "remove" ? before : after)}\n`,
      );
    return 0;
  }
  if (command === "run" && args[0] !== undefined && args[1] !== undefined) {
    const input = args[1] === "-" ? readFileSync(0, "utf8") : args.slice(1).join(" ");
    for await (const event of client.run({ deployment: args[0], input })) {
      if (event.type === "delta" && event.kind === "text") out(event.text);
      if (event.type === "step.started" && event.call !== undefined)
        process.stderr.write(`→ ${event.call.name} ${event.call.arguments}\n`);
      if (event.type === "run.waiting") {
        const { tool_results: results, approvals, expires_at: until } = event.required_action;
        for (const call of results)
          process.stderr.write(`waiting for the result of ${call.name} ${call.arguments} (${call.call_id})\n`);
        for (const call of approvals)
          process.stderr.write(`waiting for approval of ${call.name} ${call.arguments} (${call.call_id})\n`);
        process.stderr.write(`until ${until}; answer with POST /v1/runs/${event.run_id}/tool-results or /approvals\n`);
      }
      if ("run" in event) {
        out("\n");
        process.stderr.write(
          `${event.run.status}${event.run.simulated ? " (simulated)" : ""}, ${event.run.usage.total_tokens} tokens, ${event.run.id}\n`,
        );
        const { error, incomplete_reason: reason } = event.run;
        if (error !== null) process.stderr.write(`${error.code}: ${error.message}\n`);
        if (reason !== null) process.stderr.write(`stopped by ${reason}\n`);
        return event.run.status === "completed" ? 0 : 1;
      }
    }
    return 1;
  }
  if (command === "doctor" && args[0] === "quota") {
    const { exact, findings } = await client.call("auditQuota", {});
    for (const { finding, subject, expected, found } of findings)
      out(`${subject}: ${finding}: ${found} instead of ${expected}\n`);
    if (exact) out("Every balance is the sum of its entries, and every charge is in the usage records.\n");
    return exact ? 0 : 1;
  }
  if (command === "quota" && args[0] === "check" && args[1] !== undefined && args[2] !== undefined) {
    const check = await client.call("checkQuota", { body: { deployment: args[1], input: args.slice(2).join(" ") } });
    for (const { unit, amount, remaining } of check.holds)
      out(`${unit}: ${amount} would be held, ${remaining} would be left\n`);
    if (check.refusal !== null) {
      const { code, detail, frees_at: frees } = check.refusal;
      out(`${code}: ${detail}${frees === null ? "" : ` It frees at ${frees}.`}\n`);
    }
    return check.admitted ? 0 : 1;
  }
  if (command === "quota") {
    const quota = await client.call("getQuota", {});
    for (const { unit, used, reserved, limit, remaining, last_day, days_left } of quota.windows) {
      out(
        `${unit}: ${used} used, ${reserved} held, ${remaining} left of ${limit}; through ${last_day} (${days_left} days left)\n`,
      );
    }
    return 0;
  }
  if (command === "runs") {
    for (const run of (await client.call("listRuns", {})).data)
      out(`${run.id}  ${run.status.padEnd(10)}  ${run.deployment}  ${run.created_at}\n`);
    return 0;
  }
  process.stderr.write(USAGE);
  return 2;
}
