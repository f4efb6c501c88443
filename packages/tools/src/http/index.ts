import { type HttpToolSpec, LIMITS } from "@maru/contract";
import type { Egress, Redirects } from "../egress/index.ts";
import type { PreparedTool, ToolAnnotations, ToolCallContext, ToolResult } from "../kind.ts";
import { createArgumentCheck } from "../schema/check.ts";
import { secretNamesIn } from "../secrets/reference.ts";
import { withinTimeout } from "./call.ts";
import { exchange, type OutgoingRequest, type Pace, REAL_PACE } from "./exchange.ts";
import { readPages } from "./pages.ts";
import { createRequest } from "./request.ts";
import { createReplyReader } from "./response.ts";
import { createSelection } from "./select.ts";

/** An HTTP call as a tool. The spec was checked at deploy. */
export function prepareHttpTool(spec: HttpToolSpec, egress: Egress, pace: Pace = REAL_PACE): PreparedTool {
  const { pagination, response, timeoutMs } = spec;
  const fill = createRequest(spec.request);
  const reader = createReplyReader(response);
  const selection = createSelection(response?.select);
  const retries = spec.effect === "at_most_once" ? 0 : (spec.retries ?? LIMITS.retries.default);
  // As long as the tool itself may take: its manifest says how slow the server is.
  const fixed = { egress, retries, redirects: redirectsOf(spec), headersTimeoutMs: timeoutMs, pace };
  const maxBytes = response?.maxBytes ?? LIMITS.responseBytes.default;

  const send = async (
    request: OutgoingRequest,
    context: ToolCallContext,
    limits: { signal: AbortSignal; deadline: number },
    reason: (error: unknown) => string,
  ): Promise<ToolResult> => {
    const budget = { left: maxBytes, max: maxBytes };
    const ask = (url: string) => exchange({ ...request, url }, { ...fixed, budget, ...limits });
    if (pagination === undefined) return reader.read(await ask(request.url));
    return readPages(request.url, pagination, { selection, ask, reason, maxOutputBytes: context.maxOutputBytes });
  };

  return {
    declaration: { name: spec.name, description: spec.description, parameters: spec.parameters },
    effect: spec.effect,
    annotations: annotationsOf(spec),
    checkArguments: createArgumentCheck(spec.parameters),
    call: (args, context) =>
      withinTimeout(context, timeoutMs, pace, async (limits, resultOf) =>
        send(await fill(args, context), context, limits, (error) => resultOf(error).output),
      ),
  };
}

/** What the method says of its effects (RFC 9110 §9.2.1), and what the manifest says of it. */
const annotationsOf = ({ request: { method }, annotations }: HttpToolSpec): ToolAnnotations => ({
  ...(method === "GET" || method === "HEAD" ? { readOnly: true } : {}),
  ...(method === "DELETE" ? { destructive: true } : {}),
  ...annotations,
});

/** Secrets stay with the server they are for: a redirect to another does not take them along. */
function redirectsOf({ redirects, request }: HttpToolSpec): Redirects | null {
  if (redirects === undefined) return null;
  const sensitive = Object.keys(request.headers).filter((name) => secretNamesIn(request.headers[name]).length > 0);
  return { max: redirects, sensitive, sensitiveBody: secretNamesIn([request.body, request.form]).length > 0 };
}
