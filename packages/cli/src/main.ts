import { readFileSync } from "node:fs";
import { createClient, MaruError } from "@maru/sdk";
import { cliConfig } from "./config.ts";

const USAGE = `maru deploy <manifest> [--dry-run]   create or roll forward a deployment
maru run <deployment> <input>        run it and show the answer as it comes; input - reads standard input
maru answer <run> <call> <output>    the result of a client-side tool the run waits for
maru approve <run> <call>            let the run make a call it waits for approval of
maru reject <run> <call> [reason]    or not
maru quota                           what is used and what is left
maru quota check <deployment> <input> whether that run would be accepted now
maru runs                            the latest runs
maru doctor quota                    recomputes every balance from the ledger; fails when one is off

MARU_URL (default http://127.0.0.1:8080) and MARU_API_KEY say where and as whom.
`;

// Whoever reads us (`| head`) may have read enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

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
    for await (const event of client.runs.stream({ deployment: args[0], input })) {
      if (event.type === "delta" && event.kind === "text") out(event.text);
      if (event.type === "step.started" && event.call !== undefined)
        process.stderr.write(`→ ${event.call.name} ${event.call.arguments}\n`);
      if (event.type === "run.waiting") {
        const { tool_results: results, approvals, runs, expires_at: until } = event.required_action;
        for (const { name, run_id: child } of runs) process.stderr.write(`waits for ${name}: ${child}\n`);
        for (const { call_id: call, name, arguments: args } of results)
          process.stderr.write(
            `asks you for the result of ${name} ${args}: maru answer ${event.run_id} ${call} <output>\n`,
          );
        for (const { call_id: call, name, arguments: args, question } of approvals)
          process.stderr.write(
            `${question === "outcome" ? "may have been done, again?" : "needs your approval:"} ${name} ${args}: maru approve|reject ${event.run_id} ${call}\n`,
          );
        if (results.length + approvals.length > 0) process.stderr.write(`until ${until}\n`);
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
  if (command === "answer" && args.length >= 3) {
    const [run = "", call = "", ...words] = args;
    const body = { tool_results: [{ call_id: call, output: words.join(" ") }] };
    out(`${(await client.call("submitToolResults", { params: { run }, body })).status}\n`);
    return 0;
  }
  if ((command === "approve" || command === "reject") && args.length >= 2) {
    const [run = "", call = "", ...words] = args;
    const reason = words.length === 0 ? {} : { reason: words.join(" ") };
    const body = { approvals: [{ call_id: call, decision: command, ...reason }] } as const;
    out(
      `${(await client.call("decideApprovals", { params: { run }, body: { approvals: [...body.approvals] } })).status}\n`,
    );
    return 0;
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
    if (check.admitted)
      out(check.enqueued ? "It would be accepted, and wait its turn.\n" : "It would be accepted, and begin at once.\n");
    for (const { limit, amount, remaining } of check.holds)
      out(`${limit}: ${amount} would be held, ${remaining} would be left\n`);
    if (check.refusal !== null) {
      const { code, detail, frees_at: frees } = check.refusal;
      out(`${code}: ${detail}${frees === null ? "" : ` It frees at ${frees}.`}\n`);
    }
    return check.admitted ? 0 : 1;
  }
  if (command === "quota") {
    const quota = await client.call("getQuota", {});
    for (const {
      name,
      used,
      reserved,
      limit,
      remaining,
      last_day,
      days_left,
      per,
      after,
      subject,
      subject_id,
    } of quota.windows) {
      const whose = subject === "workspace" ? "" : ` (${subject} ${subject_id})`;
      const until =
        last_day !== null
          ? `through ${last_day} (${days_left} days left), then it ${after}`
          : per === null
            ? "at a time"
            : `in any ${per}`;
      out(`${name}${whose}: ${used} used, ${reserved} held, ${remaining} left of ${limit}; ${until}\n`);
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
