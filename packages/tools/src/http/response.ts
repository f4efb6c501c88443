import type { Dispatcher } from "undici";
import { cutToBytes, failed, type ToolResult } from "../kind.ts";

const MAX_READ_BYTES = 8 * 1_048_576;
const TEXTUAL =
  /^(?:text\/|application\/(?:[\w.+-]*\+)?(?:json|xml|yaml|javascript|x-www-form-urlencoded|problem\+json)\b)/i;

/** Turns a reply into what the model reads. */
export async function readResponse(response: Dispatcher.ResponseData, maxOutputBytes: number): Promise<ToolResult> {
  const { statusCode, headers } = response;
  const refuse = (code: string, text: string): ToolResult => {
    response.body.destroy();
    response.body.on("error", () => {});
    return failed(code, text);
  };
  const type = String(headers["content-type"] ?? "");
  if (statusCode >= 300 && statusCode < 400)
    return refuse("tool_http_error", `The server answered ${statusCode}: redirects are not followed.`);
  const encoding = String(headers["content-encoding"] ?? "identity").toLowerCase();
  if (encoding !== "identity")
    return refuse("tool_failed", `The server sent the reply encoded as ${encoding}, which was not asked for.`);
  if (Number(headers["content-length"] ?? 0) > MAX_READ_BYTES)
    return refuse("tool_response_too_large", "The reply is larger than 8 MiB.");

  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_READ_BYTES) return refuse("tool_response_too_large", "The reply is larger than 8 MiB.");
    chunks.push(chunk);
  }
  const isError = statusCode >= 400;
  const code = isError ? "tool_http_error" : null;
  const head = isError ? `HTTP ${statusCode}\n` : "";
  if (size === 0) return { output: `${head}(no content)`, isError, code, truncated: false };
  if (type !== "" && !TEXTUAL.test(type))
    return failed("tool_failed", `${head}The reply is ${type.split(";", 1)[0]}, ${size} bytes: not text.`);
  const text = decode(Buffer.concat(chunks), /charset\s*=\s*"?([\w-]+)/i.exec(type)?.[1]).replaceAll("\0", "");
  const cut = cutToBytes(`${head}${compact(text, type)}`, maxOutputBytes);
  return { output: cut.text, isError, code, truncated: cut.truncated };
}

/** In the charset the reply names; what is not valid in it becomes U+FFFD. */
function decode(bytes: Buffer, charset = "utf-8"): string {
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes);
  }
}

/** JSON without its white space: the model pays for every token of it. */
function compact(text: string, type: string): string {
  if (!/json/i.test(type)) return text;
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}
