import type { HttpResponseSpec } from "@maru/contract";
import { succeeded, type ToolResult } from "../kind.ts";
import { type Reply, retryAfterMs } from "./exchange.ts";
import { CallFailed } from "./failure.ts";
import { compactJson, isJson } from "./json-text.ts";
import { createSelection } from "./select.ts";
import { charsetOf, decode, isText, mediaTypeOf } from "./text.ts";

/** How the replies of a tool are read. */
export interface ReplyReader {
  /** Turns a reply into what the model reads, whole: secrets must be out of it before it is cut. @throws CallFailed */
  read(reply: Reply): ToolResult;
}

export function createReplyReader(spec: HttpResponseSpec = {}): ReplyReader {
  const { select } = spec;
  const selection = createSelection(select);
  const type = spec.type ?? (select === undefined ? "any" : "json");
  return {
    read(reply) {
      refuseFailure(reply);
      const { bytes } = reply;
      if (bytes.length === 0) return succeeded("(no content)");
      const contentType = typeOf(reply);
      if (type === "any" && !isText(bytes, contentType)) return received(reply);
      if (type === "json") return succeeded(selection.ofReply(jsonOf(reply)));
      const text = textOf(reply);
      return succeeded(/json/i.test(contentType) && isJson(text) ? compactJson(text) : text);
    },
  };
}

/** @throws CallFailed with the server's words when the reply says that the request failed, or is none that was asked for */
export function refuseFailure(reply: Reply): void {
  const { status, headers, bytes } = reply;
  if (status >= 300 && status < 400)
    throw new CallFailed("tool_http_error", `The server answered ${status}: this redirect is not followed.`);
  const asks = retryAfterMs(headers, 0) === null ? "" : `, Retry-After: ${headers["retry-after"]}`;
  const head = `HTTP ${status}${asks}\n`;
  if (status < 400) return;
  if (bytes.length === 0) throw new CallFailed("tool_http_error", `${head}(no content)`);
  const contentType = typeOf(reply);
  if (!isText(bytes, contentType)) throw new CallFailed("tool_http_error", `${head}The reply is ${described(reply)}.`);
  const text = decoded(reply);
  throw new CallFailed(
    "tool_http_error",
    `${head}${/json/i.test(contentType) && isJson(text) ? compactJson(text) : text}`,
  );
}

/** A reply's text. @throws CallFailed when it is none */
export function textOf(reply: Reply): string {
  if (!isText(reply.bytes, typeOf(reply)))
    throw new CallFailed("tool_response_invalid", `The reply is ${described(reply)}, where text is expected.`);
  return decoded(reply);
}

/** Characters of what is no JSON that are said: enough to see that it is a page that asks to log in. */
const EXCERPT = 200;

/** A reply's JSON, by its look: servers call it many names. @throws CallFailed when it is none */
export function jsonOf(reply: Reply): string {
  const text = textOf(reply);
  if (isJson(text)) return text;
  throw new CallFailed(
    "tool_response_invalid",
    `The reply is ${mediaTypeOf(typeOf(reply)) || "of no type"}, where JSON is expected. It begins: ${text.slice(0, EXCERPT)}`,
  );
}

const typeOf = ({ headers }: Reply): string => String(headers["content-type"] ?? "");
const decoded = (reply: Reply): string => decode(reply.bytes, charsetOf(typeOf(reply))).replaceAll("\0", "");
const described = (reply: Reply): string =>
  `${mediaTypeOf(typeOf(reply)) || "of no type"}, ${reply.bytes.length} bytes: not text`;

/** Extensions for what an agent is likely to be given; names without one are harder to open. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  "application/pdf": "pdf",
  "application/zip": "zip",
  "audio/mpeg": "mp3",
  "audio/wav": "wav",
  "image/gif": "gif",
  "image/jpeg": "jpg",
  "image/png": "png",
  "image/webp": "webp",
  "video/mp4": "mp4",
};

/** Bytes that do not go into the prompt. */
function received(reply: Reply): ToolResult {
  const mediaType = mediaTypeOf(typeOf(reply)) || "application/octet-stream";
  return {
    ...succeeded(`The reply is ${described(reply)}.`),
    attachments: [{ name: nameOf(reply, mediaType), mediaType, bytes: reply.bytes }],
  };
}

/** The name the server gave (RFC 6266), as far as it is one of a file and no way to another folder. */
function nameOf({ headers }: Reply, mediaType: string): string {
  const given = /filename\s*=\s*(?:"([^"]*)"|([^\s;]+))/i.exec(String(headers["content-disposition"] ?? ""));
  const name = (given?.[1] ?? given?.[2] ?? "")
    .replace(/^.*[/\\]/, "")
    .replace(/[^\w. -]/g, "_")
    .replace(/^[. ]+/, "")
    .slice(0, 100);
  return name || `reply.${EXTENSIONS[mediaType] ?? "bin"}`;
}
