import { type BuiltinToolSpec, LIMITS } from "@maru/contract";
import type { DecompressedResponse, Egress } from "../egress/index.ts";
import { leave } from "../http/exchange.ts";
import { CallFailed, failureOf } from "../http/failure.ts";
import { isText, mediaTypeOf } from "../http/text.ts";
import { failed, type PreparedTool, succeeded, type ToolResult } from "../kind.ts";
import { createArgumentCheck } from "../schema/check.ts";
import { decodePage } from "./charset.ts";
import { type HostRule, hostRule } from "./hosts.ts";
import { readable } from "./readable.ts";

const MAX_REDIRECTS = 3;
/** Of a page; what is beyond is not read. */
const PAGE_BYTES = 2 * 1_048_576;
/** A page is cut before it is refused for its size. */
const DECOMPRESS = { maxBytes: 2 * PAGE_BYTES, maxRatio: 200 };
const TIMEOUT_MS = LIMITS.toolTimeoutMs.default;
/** Nothing of the run, its user or its workspace. */
const HEADERS = {
  "user-agent": "maru",
  accept: "text/html, application/xhtml+xml, text/*;q=0.9, application/json;q=0.8, */*;q=0.1",
};

const PARAMETERS = {
  type: "object",
  properties: {
    url: {
      type: "string",
      description: "The page's address, for example https://example.com/news",
      minLength: 1,
      maxLength: 2_048,
    },
  },
  required: ["url"],
  additionalProperties: false,
};

/**
 * Reads a page whose URL the model chooses: GET only, through the egress guard, without cookies, secrets or anything else of
 * the run. Each redirect is judged like the first URL.
 */
export function prepareFetchPage({ name, hosts }: BuiltinToolSpec, egress: Egress): PreparedTool {
  const mayRead = hostRule(hosts);
  const where = hosts === undefined ? "" : ` Only of ${hosts.join(", ")}.`;
  return {
    declaration: {
      name,
      description: `Reads a web page and answers its title and its text as Markdown.${where}`,
      parameters: PARAMETERS,
    },
    effect: "safe",
    checkArguments: createArgumentCheck(PARAMETERS),
    async call({ url }, context) {
      const late = AbortSignal.timeout(TIMEOUT_MS);
      try {
        const signal = AbortSignal.any([context.signal, late]);
        return await read(String(url), mayRead, where, (to) =>
          egress.request({ method: "GET", url: to, headers: HEADERS, body: null, signal, decompress: DECOMPRESS }),
        );
      } catch (error) {
        if (context.signal.aborted) throw context.signal.reason;
        if (late.aborted) return failed("tool_timeout", `The page did not come in ${TIMEOUT_MS} ms.`);
        return failureOf(error);
      }
    },
  };
}

async function read(
  text: string,
  mayRead: HostRule,
  where: string,
  get: (url: string) => Promise<DecompressedResponse>,
): Promise<ToolResult> {
  let url = URL.parse(text);
  for (let redirects = 0; ; redirects++) {
    if (url === null) throw new CallFailed("tool_arguments_invalid", "The address is not a URL.");
    url.hash = "";
    if (!mayRead(url))
      throw new CallFailed("egress_blocked", `Pages of ${url.host || "this address"} may not be read.${where}`);
    const response = await get(url.href);
    const { location } = response.headers;
    if (response.statusCode < 300 || response.statusCode >= 400 || location === undefined)
      return pageOf(response, url.href);
    leave(response);
    if (redirects === MAX_REDIRECTS)
      throw new CallFailed("tool_http_error", `The page redirects more than ${MAX_REDIRECTS} times.`);
    url = URL.parse(String(location), url.href);
  }
}

async function pageOf(response: DecompressedResponse, url: string): Promise<ToolResult> {
  const { statusCode, headers } = response;
  const refuse = (code: string, words: string): never => {
    leave(response);
    throw new CallFailed(code, words);
  };
  if (statusCode < 200 || statusCode >= 300) refuse("tool_http_error", `HTTP ${statusCode}: there is no page to read.`);
  const contentType = String(headers["content-type"] ?? "");
  const type = mediaTypeOf(contentType);
  const notText = `The page is ${type || "of no type"}, not text: it can't be read.`;
  if (type !== "" && !isText(Buffer.alloc(0), contentType)) refuse("tool_response_invalid", notText);

  const { bytes, cut } = await beginningOf(response);
  if (!isText(bytes, contentType)) throw new CallFailed("tool_response_invalid", notText);
  const text = decodePage(bytes, contentType);
  const isHtml =
    type === "text/html" ||
    type === "application/xhtml+xml" ||
    (type === "" && /^\s*(?:<!doctype html|<html)/i.test(text.slice(0, 1_024)));
  const page = isHtml ? readable(text, url) : { title: "", text, cut: false };
  return succeeded(
    [
      ...(page.title === "" ? [] : [`Title: ${page.title}`]),
      `URL: ${url}`,
      `Type: ${type || "none"}`,
      ...(cut || page.cut ? ["(only the beginning of the page was read: it is too large)"] : []),
      "",
      page.text || "(no text)",
    ].join("\n"),
  );
}

async function beginningOf(response: DecompressedResponse): Promise<{ bytes: Buffer; cut: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > PAGE_BYTES) {
      leave(response);
      return { bytes: Buffer.concat(chunks).subarray(0, PAGE_BYTES), cut: true };
    }
  }
  return { bytes: Buffer.concat(chunks), cut: false };
}
