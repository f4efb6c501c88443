import { Problem } from "@maru/contract";
import { judgeCanary } from "@maru/domain";
import type { Deployments } from "@maru/store";
import type { Logger } from "pino";

/**
 * Promotes canaries and takes them back, by their rules. Any number of workers may judge at once: a release names the version of
 * the deployment that was judged, so what somebody changed meanwhile stands.
 */
export function createCanaryJudge(deps: { deployments: Deployments; logger: Logger }) {
  const { deployments, logger } = deps;
  const judge = async (workspaceId: string, deploymentId: string): Promise<void> => {
    const state = await deployments.canary(workspaceId, deploymentId);
    if (state === null) return;
    const verdict = judgeCanary(state.rule, state);
    if (verdict.kind === "wait") return;
    const { kind, reason } = verdict;
    const change =
      kind === "promote"
        ? ({ kind, revision: state.rule.revision, reason } as const)
        : ({ kind, release: null, reason } as const);
    await deployments.release(workspaceId, {
      deployment: state.deployment,
      ifMatch: state.version,
      by: "rule",
      note: null,
      change,
    });
    logger.info({ workspaceId, deployment: state.deployment, verdict: kind, reason }, "canary judged");
  };

  return async (limit: number): Promise<void> => {
    for (const { workspaceId, deploymentId } of await deployments.canaries(limit))
      await judge(workspaceId, deploymentId).catch((error: unknown) => {
        // Somebody changed it meanwhile; or it fails, and must not hold up another workspace's.
        if (!(error instanceof Problem) || error.code !== "precondition_failed")
          logger.warn({ err: error, workspaceId, deploymentId }, "canary not judged; it is tried again");
      });
  };
}
