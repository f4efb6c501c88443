import type { McpServer } from "@maru/contract";
import { fillSecrets, type SecretAccess } from "../secrets/reference.ts";
import type { Target } from "./session.ts";

/** Where a server is, secrets filled in. @throws SecretUnavailable */
export async function targetOf(server: McpServer, secrets: SecretAccess): Promise<Target> {
  if ("command" in server) return { ...server, env: await fillSecrets(server.env, secrets) };
  const filled = await fillSecrets(server.headers, secrets);
  // As bytes: a header is no text.
  const headers = Object.entries(filled).map(([name, value]) => [name, Buffer.from(value, "utf8").toString("latin1")]);
  return { ...server, headers: Object.fromEntries(headers) };
}
