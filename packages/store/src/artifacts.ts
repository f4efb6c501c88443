import { ARTIFACT_LIMITS, type Artifact, idOf, newId, Problem, uuidOf } from "@maru/contract";
import { type Database, instant, only } from "./database.ts";
import type { Claim } from "./journal.ts";

export interface NewArtifact {
  /** Number of the call's step. */
  readonly step: number;
  readonly name: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}
/** `lost`: the run is another worker's by now. `full`: the run, or its workspace, has as much as may be. */
export type Kept = { readonly id: string } | "lost" | "full";

const FIELDS = {
  id: true,
  runId: true,
  step: true,
  name: true,
  mediaType: true,
  size: true,
  sha256: true,
  createdAt: true,
};

/** What tools gave beside text. Part of a run's payload: it goes when that goes. */
export function createArtifacts(db: Database) {
  const clientOf = (workspaceId: string) => {
    const workspace = uuidOf("workspace", workspaceId) as string;
    return { workspace, client: db.forWorkspace(workspace) };
  };
  return {
    /** Keeps one for a step that is being executed; executed again, it replaces what it kept. */
    async keep(claim: Pick<Claim, "workspaceId" | "runId" | "epoch">, artifact: NewArtifact): Promise<Kept> {
      if (artifact.bytes.length > ARTIFACT_LIMITS.bytes) return "full";
      const id = newId("artifact");
      const rows = await db.call<{ r: "kept" | "lost" | "full" }>("SELECT keep_artifact($1, $2) AS r", [
        {
          workspace_id: uuidOf("workspace", claim.workspaceId),
          run_id: uuidOf("run", claim.runId),
          epoch: claim.epoch,
          id: uuidOf("artifact", id),
          step: artifact.step,
          name: artifact.name,
          media_type: artifact.mediaType,
          limits: {
            run_count: ARTIFACT_LIMITS.perRun,
            run_bytes: ARTIFACT_LIMITS.bytesPerRun,
            count: ARTIFACT_LIMITS.perWorkspace,
            bytes: ARTIFACT_LIMITS.bytesPerWorkspace,
          },
        },
        Buffer.from(artifact.bytes),
      ]);
      const { r } = only(rows);
      return r === "kept" ? { id } : r;
    },

    /** @throws Problem not_found, payload_expired */
    async list(workspaceId: string, runId: string): Promise<Artifact[]> {
      const { workspace, client } = clientOf(workspaceId);
      const id = uuidOf("run", runId) as string;
      const run = await client.run.findUnique({
        where: { workspaceId_id: { workspaceId: workspace, id } },
        select: { payloadExpiredAt: true },
      });
      if (run === null) throw new Problem("not_found", `There is no run ${runId}.`);
      if (run.payloadExpiredAt !== null) throw new Problem("payload_expired", "Its artifacts went with it.");
      const rows = await client.artifact.findMany({
        where: { workspaceId: workspace, runId: id },
        select: FIELDS,
        orderBy: [{ step: "asc" }, { id: "asc" }],
      });
      return rows.map(artifactObject);
    },

    /** @throws Problem not_found */
    async read(workspaceId: string, artifactId: string): Promise<Artifact & { readonly bytes: Uint8Array }> {
      const { workspace, client } = clientOf(workspaceId);
      const row = await client.artifact.findUnique({
        where: { workspaceId_id: { workspaceId: workspace, id: uuidOf("artifact", artifactId) as string } },
        select: { ...FIELDS, bytes: true },
      });
      if (row === null)
        throw new Problem("not_found", `There is no artifact ${artifactId}, or it went with its run's payload.`);
      return { ...artifactObject(row), bytes: row.bytes };
    },
  };
}
export type Artifacts = ReturnType<typeof createArtifacts>;

const artifactObject = (row: {
  id: string;
  runId: string;
  step: number;
  name: string;
  mediaType: string;
  size: number;
  sha256: Uint8Array;
  createdAt: Date;
}): Artifact => ({
  id: idOf("artifact", row.id),
  run_id: idOf("run", row.runId),
  step: row.step,
  name: row.name,
  media_type: row.mediaType,
  size: row.size,
  sha256: Buffer.from(row.sha256).toString("hex"),
  created_at: instant(row.createdAt),
});
