import type { McpToolSpec, ProblemDetail } from "@maru/contract";
import { escapePointer } from "@maru/domain";
import { urlRefusal } from "../egress/verdict.ts";
import { headerRefusal } from "../http/header.ts";
import { checkSecretText, type Report } from "../secrets/check.ts";
import { mentionsSecret } from "../secrets/reference.ts";

/** Headers that are the protocol's own. */
const PROTOCOL_HEADERS = new Set([
  "accept",
  "content-type",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
]);

/** What is wrong with an entry for an MCP server beyond its shape; nobody is asked yet. */
export function checkMcpTool(
  { server }: McpToolSpec,
  pointer: string,
  allowedHosts: readonly string[],
  hasSecret: (name: string) => boolean,
  stdio: boolean,
): ProblemDetail[] {
  const errors: ProblemDetail[] = [];
  const report: Report = (place, code, detail) => void errors.push({ pointer: `${pointer}${place}`, code, detail });
  if ("command" in server) {
    if (!stdio)
      report(
        "/command",
        "mcp_transport_forbidden",
        "MCP servers are started as commands in local development only, where the operator sets MCP_STDIO=1. Give the url of one that is reached over HTTP.",
      );
    for (const [name, value] of Object.entries(server.env)) {
      const place = `/env/${escapePointer(name)}`;
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || value.includes("\0"))
        report(place, "validation_failed", "This is not a variable of an environment.");
      else checkSecretText(value, place, hasSecret, report);
    }
    return errors;
  }
  // An entry without either is reported where it is read.
  if (server.url === "") return errors;
  const refusal = urlRefusal(server.url, allowedHosts);
  if (mentionsSecret(server.url))
    report("/url", "secret_not_allowed_here", "The URL of an MCP server may have no secret: use headers.");
  else if (refusal !== null) report("/url", "url_not_allowed", `The URL ${refusal}.`);
  for (const [name, value] of Object.entries(server.headers)) {
    const place = `/headers/${escapePointer(name)}`;
    const wrong = headerRefusal(name, value, PROTOCOL_HEADERS);
    if (wrong !== null) report(place, "header_not_allowed", wrong);
    else checkSecretText(value, place, hasSecret, report);
  }
  return errors;
}
