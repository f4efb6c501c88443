import { createHash } from "node:crypto";
import { idOf, type JsonSchema, LIMITS, newId, Problem, TRIGGER_LIMITS, type Trigger, uuidOf } from "@maru/contract";
import {
  deeperThan,
  deliveryKey,
  opensTrigger,
  renderTemplate,
  type Sealer,
  type ShownToTrigger,
  storableText,
  threadOfKey,
  valueAt,
  valueText,
} from "@maru/domain";
import { estimateTokens } from "@maru/model";
import type { NewRun, Store } from "@maru/store";
import { createArgumentCheck } from "@maru/tools";
import type { FastifyReply, FastifyRequest } from "fastify";
import { BODY_DEPTH, type Handlers } from "../http/bind.ts";
import type { RateLimits } from "../rates/callers.ts";
import type { RunControl } from "../runs.ts";
import { MESSAGE_TOKENS } from "./runs.ts";

export interface HookDeps {
  readonly triggers: Store["triggers"];
  readonly sealer: Sealer;
  readonly rateLimits: RateLimits;
  readonly control: Pick<RunControl, "begun">;
  readonly simulated: boolean;
  readonly now: () => number;
}

const METADATA_LENGTH = 512;

/** What others send in. Everything in a body is somebody else's text: it is filled into places, and never read as anything more. */
export function hookRoutes({ triggers, sealer, rateLimits, control, simulated, now }: HookDeps) {
  /**
   * Whose the trigger is. The same answer, after a signature was judged, for one that is not there and for one that does not open.
   * @throws Problem invalid_credentials
   */
  const open = async (id: string, shown: ShownToTrigger): Promise<string> => {
    const found = await triggers.open(id);
    const secrets = (found?.sealedSecrets ?? []).map((sealed) => sealer.open(sealed, id));
    const known = secrets.filter((secret) => secret !== null);
    const opens = opensTrigger(found?.auth ?? "github", known.length === 0 ? [NOBODYS] : known, shown, now());
    if (found !== null && known.length > 0 && opens) return found.workspaceId;
    if (found !== null) await triggers.reject(found.workspaceId, id);
    throw new Problem(
      "invalid_credentials",
      "There is no such trigger, or the token or signature is not its own, or older than five minutes.",
    );
  };

  const receive = async (
    request: FastifyRequest,
    reply: FastifyReply,
    id: string,
    pathToken: string | null,
    body: string,
  ) => {
    const shown = shownIn(request, pathToken, body);
    const workspaceId = await open(id, shown);
    await rateLimits.takeTrigger(reply, workspaceId, id);
    const { trigger } = await triggers.get(workspaceId, id);
    const key = deliveryKey(trigger.auth, shown);
    try {
      if (key === null && shown.id !== null)
        throw new Problem(
          "invalid_header",
          "The delivery's id (Idempotency-Key, webhook-id) must be 1 to 255 printable ASCII characters without spaces.",
        );
      const run = runOf(trigger, key, body, simulated);
      if (run === null) {
        await triggers.log(workspaceId, id, key, null);
        return { status: 202 as const, body: { outcome: "ignored" as const, run_id: null } };
      }
      const fired = await triggers.fire(workspaceId, id, key, run);
      if (fired.replayed) return { status: 200 as const, body: { outcome: "repeated" as const, run_id: fired.runId } };
      control.begun(request, workspaceId, fired);
      return { status: 202 as const, body: { outcome: "run" as const, run_id: fired.runId } };
    } catch (error) {
      if (error instanceof Problem)
        await triggers.log(workspaceId, id, key, { code: error.code, detail: error.detail ?? null });
      throw error;
    }
  };

  return {
    receiveHook: async ({ params, body, request, reply }) =>
      receive(request, reply, params.trigger, null, body as string),
    receiveHookByToken: async ({ params, body, request, reply }) =>
      receive(request, reply, params.trigger, params.token, body as string),
  } satisfies Partial<Handlers>;
}

/** Opens nothing: what is compared where there is nothing to compare. */
const NOBODYS = "mtr_nobody";

function shownIn({ headers }: FastifyRequest, pathToken: string | null, body: string): ShownToTrigger {
  const one = (name: string): string | null => {
    const value = headers[name];
    return typeof value === "string" ? value : null;
  };
  const bearer = /^Bearer +(\S+)$/i.exec(one("authorization") ?? "")?.[1];
  return {
    token: pathToken ?? bearer ?? one("x-maru-token"),
    id: one("webhook-id") ?? one("idempotency-key") ?? one("x-github-delivery"),
    timestamp: one("webhook-timestamp"),
    signature: one("webhook-signature"),
    hubSignature: one("x-hub-signature-256"),
    body,
  };
}

/** The run a delivery asks for; null when its body does not fit the filter. @throws Problem with what is wrong with it */
function runOf(trigger: Trigger, key: string | null, text: string, simulated: boolean): NewRun | null {
  if (!trigger.enabled)
    throw new Problem("trigger_disabled", "Whoever it belongs to takes nothing at the moment: try again later.");
  const document = parse(text);
  if (trigger.filter !== null && createArgumentCheck(trigger.filter as JsonSchema)(document) !== null) return null;
  const fill = (what: string, template: string, maxLength: number): string => {
    const filled = renderTemplate(template, maxLength, (place) =>
      place === "body" ? text : place === "name" ? trigger.name : valueText(valueAt(document, place)),
    );
    if (filled !== null) return storableText(filled);
    throw new Problem(
      "validation_failed",
      `The trigger's ${what} would have more than ${maxLength} characters with this body.`,
    );
  };
  const input = fill("input", trigger.input, LIMITS.inputLength);
  if (input.trim() === "") throw new Problem("validation_failed", "The trigger's input would be empty with this body.");
  const metadata = Object.entries(trigger.metadata)
    .map(([name, template]) => [name, fill(`metadata.${name}`, template, METADATA_LENGTH)] as const)
    .filter(([, value]) => value !== "");
  const uuid = uuidOf("trigger", trigger.id) as string;
  return {
    id: newId("run"),
    deployment: trigger.deployment,
    input,
    inputTokens: estimateTokens(input) + MESSAGE_TOKENS,
    revision: null,
    threadId: threadOf(trigger, uuid, document),
    onThreadBusy: trigger.on_thread_busy,
    metadata: Object.fromEntries(metadata),
    simulated,
    apiKeyId: trigger.api_key_id,
    // A space: no Idempotency-Key of a caller has one, so nobody else can take it.
    idempotency:
      key === null ? null : { key: `trigger ${uuid} ${key}`, requestHash: createHash("sha256").update(text).digest() },
  };
}

function threadOf({ thread }: Trigger, uuid: string, document: unknown): string | null {
  if (thread === null) return null;
  const key = valueAt(document, thread);
  if (key === undefined || key === null || key === "") return null;
  const text = typeof key === "number" || typeof key === "string" ? String(key) : null;
  if (text === null || text.length > TRIGGER_LIMITS.threadKeyLength)
    throw new Problem(
      "validation_failed",
      `What stands at ${thread} must be text of up to ${TRIGGER_LIMITS.threadKeyLength} characters, or a number.`,
    );
  return idOf("thread", threadOfKey(uuid, text));
}

/** @throws Problem empty_body, invalid_json, body_too_deep */
function parse(text: string): unknown {
  if (text.trim() === "") throw new Problem("empty_body", "Send JSON.");
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // The reader's words quote the body, and what is refused stands in the log.
    throw new Problem("invalid_json", "The body is not JSON.");
  }
  if (deeperThan(document, BODY_DEPTH))
    throw new Problem("body_too_deep", `JSON here may be nested ${BODY_DEPTH} levels deep.`);
  return document;
}
