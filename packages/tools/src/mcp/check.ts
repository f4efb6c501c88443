import type { McpToolSpec, ProblemCode, ProblemDetail } from "@maru/contract";
import { escapePointer } from "@maru/domain";
import { urlRefusal } from "../egress/verdict.ts";
import { CONTROL_CHARACTERS } from "../http/header.ts";
import { mentionsSecret, parseSecretText, secretsOf } from "../secrets/reference.ts";

/** Headers that are Maru's, the protocol's or the connection's own. */
const OWN_HEADERS = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-length",
  "content-type",
  "expect",
  "host",
  "idempotency-key",
  "keep-alive",
  "last-event-id",
  "mcp-method",
  "mcp-name",
  "mcp-protocol-version",
  "mcp-session-id",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "x-run-epoch",
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
  const report = (place: string, code: ProblemCode, detail: string) =>
    errors.push({ pointer: `${pointer}${place}`, code, detail });
  const secretsIn = (value: string, place: string) => {
    try {
      for (const name of secretsOf(parseSecretText(value)))
        if (!hasSecret(name))
          report(
            place,
            "secret_not_found",
            `This agent has no secret named ${name}: PUT /v1/secrets/${name} makes it.`,
          );
    } catch (error) {
      report(place, "template_error", `The text ${error instanceof Error ? error.message : "is not valid"}.`);
    }
  };
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
      else secretsIn(value, place);
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
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(name))
      report(place, "header_not_allowed", "This is not the name of a header.");
    else if (OWN_HEADERS.has(name.toLowerCase()))
      report(place, "header_not_allowed", "Maru sets this header itself: leave it out.");
    else if (CONTROL_CHARACTERS.test(value)) report(place, "header_not_allowed", "A header's value must be one line.");
    else secretsIn(value, place);
  }
  return errors;
}
