import { Problem, SECRET_LIMITS, SECRET_NAME_PATTERN } from "@maru/contract";
import { aboutSecret, type EnvelopeSealer } from "@maru/domain";
import { type SecretPlace, type Secrets, secretTag } from "@maru/store";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { ifMatch } from "./deployments.ts";

export interface SecretDeps {
  readonly secrets: Secrets;
  readonly pages: Pages;
  readonly sealer: EnvelopeSealer;
}

const NAME = new RegExp(SECRET_NAME_PATTERN);

/** Values come in here, are sealed here, and go out nowhere. */
export function secretRoutes({ secrets, pages, sealer }: SecretDeps) {
  return {
    putSecret: async ({ caller, params: { name }, body: { value, agent = null }, request }) => {
      const refuse = (pointer: string, detail: string) =>
        new Problem("validation_failed", detail, { errors: [{ pointer, code: "validation_failed", detail }] });
      if (!NAME.test(name))
        throw refuse(
          "path:name",
          "A secret's name has 1 to 64 capital letters, digits and underscores, and begins with a letter.",
        );
      if ([...value].length < SECRET_LIMITS.minLength)
        throw refuse(
          "/value",
          `A secret has at least ${SECRET_LIMITS.minLength} characters: a shorter one could not be told from ordinary text, so it could not be taken out of what tools return.`,
        );
      const { workspaceId } = caller;
      const { secret, created } = await secrets.put(
        workspaceId,
        { name, agent },
        ifMatch(request.headers["if-match"]),
        (version) => sealer.seal(value, aboutSecret(workspaceId, agent, name, version)),
      );
      return { status: created ? 201 : 200, headers: { etag: `"${secretTag(secret)}"` }, body: secret };
    },

    listSecrets: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        "secrets",
        caller.workspaceId,
        query,
        (limit, after) => secrets.list(caller.workspaceId, limit, after === null ? null : placeOf(after)),
        ({ name, agent }) => `${name} ${agent ?? ""}`,
      ),
    }),

    getSecret: async ({ caller, params, query }) => {
      const secret = await secrets.get(caller.workspaceId, { name: params.name, agent: query.agent ?? null });
      return { status: 200, headers: { etag: `"${secretTag(secret)}"` }, body: secret };
    },

    deleteSecret: async ({ caller, params, query, request }) => {
      const place = { name: params.name, agent: query.agent ?? null };
      await secrets.remove(caller.workspaceId, place, ifMatch(request.headers["if-match"]));
      return { status: 204 };
    },
  } satisfies Partial<Handlers>;
}

/** A list's position, read back: neither a name nor an agent has a space. */
function placeOf(position: string): SecretPlace {
  const [name = "", agent = ""] = position.split(" ");
  return { name, agent: agent === "" ? null : agent };
}
