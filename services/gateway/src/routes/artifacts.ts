import type { Artifacts } from "@maru/store";
import { type Handlers, STREAMED } from "../http/bind.ts";

/** What a header may say of a type that a tool made up. */
const MEDIA_TYPE = /^[\w.+-]{1,64}\/[\w.+-]{1,64}(?:; ?charset=[\w-]{1,32})?$/;

export function artifactRoutes({ artifacts }: { readonly artifacts: Artifacts }) {
  return {
    listRunArtifacts: async ({ caller, params }) => ({
      status: 200,
      body: { data: await artifacts.list(caller.workspaceId, params.run) },
    }),

    getArtifact: async ({ caller, params, reply }) => {
      const { bytes, name, media_type: type, sha256 } = await artifacts.read(caller.workspaceId, params.artifact);
      // Whatever it says it is, it is a file to be saved: a page of a stranger's must not run under the API's origin.
      reply.header("content-type", MEDIA_TYPE.test(type) ? type : "application/octet-stream");
      reply.header("content-disposition", `attachment; filename*=UTF-8''${encodeURIComponent(name)}`);
      reply.header("content-security-policy", "sandbox; default-src 'none'");
      reply.header("cache-control", "private, no-cache");
      reply.header("etag", `"${sha256}"`);
      reply.send(Buffer.from(bytes));
      return STREAMED;
    },
  } satisfies Partial<Handlers>;
}
