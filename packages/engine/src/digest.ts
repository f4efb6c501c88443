import { createHash } from "node:crypto";
import type { ModelRequest, ToolCall } from "@maru/contract";
import { canonicalJson } from "@maru/domain";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/**
 * SHA-256 of what a model step asks, hex: the same journal gives the same. Without the output's limit, which goes by an
 * estimate that learns.
 */
export const requestDigest = (request: ModelRequest): string =>
  sha256(
    JSON.stringify([
      request.model.id,
      request.messages,
      request.tools,
      request.thinking,
      request.temperature,
      request.topP,
      request.presencePenalty,
      request.seed,
      request.toolChoice ?? null,
    ]),
  );

/** SHA-256 of a call: its tool and its arguments, whatever their order and spacing. */
export function callDigest({ name, arguments: text }: Pick<ToolCall, "name" | "arguments">): string {
  try {
    return sha256(`${name} ${canonicalJson(JSON.parse(text === "" ? "{}" : text))}`);
  } catch {
    return sha256(`${name} ${text}`);
  }
}
