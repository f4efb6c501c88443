import {
  Conflict,
  ConnectionError,
  Forbidden,
  InvalidRequest,
  MaruError,
  NotFound,
  QuotaExhausted,
  RateLimited,
  ServiceError,
  Unauthorized,
} from "@maru/sdk";
import { CommanderError } from "commander";
import { EXIT, Interrupted, NotSignedIn, UnknownName, UsageError } from "./exit.ts";
import { duration, harmless, instant } from "./format.ts";
import type { Output } from "./output.ts";

/** The exit code an error stands for. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof NotSignedIn || error instanceof Unauthorized || error instanceof Forbidden) return EXIT.access;
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof QuotaExhausted || error instanceof RateLimited) return EXIT.quota;
  if (error instanceof NotFound || error instanceof UnknownName) return EXIT.notFound;
  if (error instanceof Conflict) return EXIT.conflict;
  if (error instanceof ConnectionError || error instanceof ServiceError) return EXIT.connection;
  return EXIT.failed;
}

/** Says on standard error what went wrong, where, and what to do next. */
export function explain(error: unknown, output: Output): void {
  // Said already, by the parser or by whoever pressed the keys.
  if (error instanceof CommanderError || error instanceof Interrupted) return;
  const { err } = output;
  const errors = error instanceof MaruError ? (error.problem.errors ?? []) : [];
  const said = inWords(error).replace(/\.$/, "");
  // A detail that only repeats what stands at the places below is said there.
  const repeats = errors.some(({ detail }) => said.endsWith(detail.replace(/\.$/, "")));
  const message = error instanceof MaruError && repeats ? error.problem.title : inWords(error);
  const code = error instanceof MaruError ? err.style("dim", ` (${error.code})`) : "";
  output.note(`${err.style("red", "error:")} ${harmless(message)}${code}`);
  for (const { pointer, detail, line, column, suggestion } of errors) {
    const place = line === undefined ? pointer : `line ${line}, column ${column}: ${pointer}`;
    output.note(harmless(`  ${place} ${detail}${suggestion === undefined ? "" : ` Did you mean ${suggestion}?`}`));
  }
  const next = nextOf(error);
  if (next !== null) output.note(`${err.style("cyan", "next:")} ${next}`);
  if (error instanceof ServiceError && error.requestId !== null)
    output.note(err.style("dim", `request ${error.requestId}`));
}

/** What went wrong, without what only a developer wants. */
export function inWords(error: unknown): string {
  if (error instanceof MaruError) return error.problem.detail ?? error.problem.title;
  if (error instanceof ConnectionError) return error.message.replace(/ \[[^\]]*\]$/, "");
  return error instanceof Error ? error.message : String(error);
}

function nextOf(error: unknown): string | null {
  if (error instanceof NotSignedIn)
    return "maru login --url URL keeps a key, or set MARU_URL and MARU_API_KEY. `npm start` prints both.";
  if (error instanceof Unauthorized) return "maru login with a key that is valid; maru doctor says which one is used.";
  if (error instanceof QuotaExhausted) {
    if (error.endedAt !== null) return `it ended at ${instant(error.endedAt.toISOString())}: maru quota`;
    const when = error.freesAt === null ? "" : `room again at ${instant(error.freesAt.toISOString())}; `;
    return `${when}maru quota shows every limit.`;
  }
  if (error instanceof Forbidden)
    return error.code === "insufficient_scope"
      ? "maru doctor shows what the key may do; maru keys create makes another."
      : null;
  if (error instanceof RateLimited)
    return error.retryAfterMs === null ? "try again later." : `try again in ${duration(error.retryAfterMs)}.`;
  if (error instanceof NotFound) return LISTS[error.operation ?? ""] ?? null;
  if (error instanceof Conflict) return CONFLICTS[error.code] ?? null;
  if (error instanceof InvalidRequest && error.operation === "deploy")
    return "maru validate FILE shows each mistake at its place.";
  if (error instanceof ConnectionError) return "is it up, and is the URL right? maru doctor looks.";
  if (error instanceof ServiceError) return "try again; maru doctor says what is down.";
  return null;
}

const DEPLOYMENTS = "maru deployments lists what there is.";
const RUNS = "maru runs lists what there is.";
const MODELS = "maru models lists what there is.";
/** Where what was not found may be looked up. */
const LISTS: Readonly<Record<string, string>> = {
  createRun: DEPLOYMENTS,
  checkQuota: DEPLOYMENTS,
  getDeployment: DEPLOYMENTS,
  getDeploymentManifest: DEPLOYMENTS,
  deleteDeployment: DEPLOYMENTS,
  listReleases: DEPLOYMENTS,
  setTraffic: DEPLOYMENTS,
  promote: DEPLOYMENTS,
  rollback: DEPLOYMENTS,
  pause: DEPLOYMENTS,
  resume: DEPLOYMENTS,
  listRevisions: DEPLOYMENTS,
  getRevision: "maru revisions AGENT lists what there is.",
  diffRevisions: "maru revisions AGENT lists what there is.",
  labelRevision: "maru revisions AGENT lists what there is.",
  getRun: RUNS,
  cancelRun: RUNS,
  forkRun: RUNS,
  listRunEvents: RUNS,
  listRunSteps: RUNS,
  listRunArtifacts: RUNS,
  submitToolResults: "maru inspect RUN shows what it asks.",
  decideApprovals: "maru inspect RUN shows what it asks.",
  getArtifact: "maru artifacts list RUN lists a run's.",
  getModel: MODELS,
  updateModel: MODELS,
  deleteModel: MODELS,
  getSecret: "maru secrets lists what there is.",
  deleteSecret: "maru secrets lists what there is.",
  getMemoryItem: "maru memory lists what there is.",
  deleteMemoryItem: "maru memory lists what there is.",
  revokeApiKey: "maru keys lists what there is.",
};
const CONFLICTS: Readonly<Record<string, string>> = {
  precondition_failed: "somebody changed it: look at it again, then use its new ETag.",
  thread_busy: "wait for the run of the thread that is active, or use another thread.",
  deployment_paused: "maru resume DEPLOYMENT lets it take runs again.",
  run_finished: "maru inspect RUN shows how it ended.",
  already_answered: "maru inspect RUN shows who answered what.",
};
