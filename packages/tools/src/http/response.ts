import type { Dispatcher } from "undici";
import { failed, type ToolResult } from "../kind.ts";

const MAX_READ_BYTES = 8 * 1_048_576;
const TEXTUAL =
  /^(?:text\/|application\/(?:[\w.+-]*\+)?(?:json|xml|yaml|javascript|x-www-form-urlencoded|problem\+json)\b)/i;

/** Turns a reply into what the model reads, whole: secrets must be out of it before it is cut. */
export async function readResponse(response: Dispatcher.ResponseData): Promise<ToolResult> {
  const { statusCode, headers } = response;
  const refuse = (code: string, text: string): ToolResult => {
    response.body.destroy();
    response.body.on("error", () => {});
    return failed(code, text);
  };
  const isError = statusCode >= 400;
  const head = isError ? `HTTP ${statusCode}\n` : "";
  const type = String(headers["content-type"] ?? "");
  if (statusCode >= 300 && statusCode < 400)
    return refuse("tool_http_error", `The server answered ${statusCode}: redirects are not followed.`);
  const encoding = String(headers["content-encoding"] ?? "identity").toLowerCase();
  if (encoding !== "identity")
    return refuse(
      isError ? "tool_http_error" : "tool_failed",
      `${head}The server sent the reply encoded as ${encoding}, which was not asked for.`,
    );
  if (Number(headers["content-length"] ?? 0) > MAX_READ_BYTES)
    return refuse("tool_response_too_large", "The reply is larger than 8 MiB.");

  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_READ_BYTES) return refuse("tool_response_too_large", "The reply is larger than 8 MiB.");
    chunks.push(chunk);
  }
  const code = isError ? "tool_http_error" : null;
  if (size === 0) return { output: `${head}(no content)`, isError, code, truncated: false };
  const bytes = Buffer.concat(chunks);
  if (type === "" ? bytes.includes(0) : !TEXTUAL.test(type))
    return failed(
      code ?? "tool_failed",
      `${head}The reply is ${type.split(";", 1)[0] || "of no type"}, ${size} bytes: not text.`,
    );
  const text = decode(bytes, /charset\s*=\s*"?([\w-]+)/i.exec(type)?.[1]).replaceAll("\0", "");
  return { output: `${head}${compact(text, type)}`, isError, code, truncated: false };
}

/** In the charset the reply names; what is not valid in it becomes U+FFFD. */
function decode(bytes: Buffer, charset = "utf-8"): string {
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes);
  }
}

/**
 * JSON without its white space: the model pays for every token of it. The text is kept otherwise, not parsed and written
 * anew: that would round the long numbers that are ids.
 */
function compact(text: string, type: string): string {
  if (!/json/i.test(type)) return text;
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let output = "";
  let outside = 0;
  for (let quote = text.indexOf('"'); quote >= 0; quote = text.indexOf('"', outside)) {
    let end = text.indexOf('"', quote + 1);
    while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
    output += text.slice(outside, quote).replace(/\s+/g, "") + text.slice(quote, end + 1);
    outside = end + 1;
  }
  return output + text.slice(outside).replace(/\s+/g, "");
}

/** Whether an odd number of backslashes stands before. */
function isEscaped(text: string, index: number): boolean {
  let start = index;
  while (text[start - 1] === "\\") start--;
  return (index - start) % 2 === 1;
}
