import type { CallToolResult, Tool } from "@modelcontextprotocol/client";
import { type Attachment, failed, type ToolResult } from "../kind.ts";
import { createArgumentCheck } from "../schema/check.ts";
import { plainText } from "./definition.ts";
import { simplified } from "./server-schema.ts";

const MAX_ATTACHMENTS = 16;
const MAX_LINK = 2_048;
const NOTHING = "(no content)";

const EXTENSIONS: Readonly<Record<string, string>> = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/gif": "gif",
  "image/webp": "webp",
  "image/svg+xml": "svg",
  "audio/wav": "wav",
  "audio/mpeg": "mp3",
  "audio/ogg": "ogg",
  "application/pdf": "pdf",
  "application/json": "json",
  "application/gzip": "gz",
  "application/zip": "zip",
  "text/plain": "txt",
  "text/csv": "csv",
};

/**
 * What a server answered, as the model reads it: structured content where there is some, as JSON, else the texts in their order.
 * Pictures, sound and files are attachments, of which the text says only where they stood: whether they are kept is not known yet.
 */
export function readResult(result: CallToolResult, tool: Tool): ToolResult {
  const attachments: Attachment[] = [];
  const notes: string[] = [];
  const keep = (kind: string, mediaType: string, base64: string): string => {
    const type = /^[\w.+-]{1,64}\/[\w.+-]{1,64}$/.test(mediaType) ? mediaType : "application/octet-stream";
    const bytes = Buffer.from(base64, "base64");
    if (attachments.length >= MAX_ATTACHMENTS)
      return `[${type}, ${size(bytes.length)}, not kept: too many in one result]`;
    const name = `${kind}-${attachments.length + 1}.${EXTENSIONS[type] ?? "bin"}`;
    attachments.push({ name, mediaType: type, bytes });
    return `[${name}: ${type}, ${size(bytes.length)}]`;
  };
  const texts: string[] = [];
  const note = (text: string) => {
    texts.push(text);
    notes.push(text);
  };
  for (const item of result.content ?? [])
    switch (item.type) {
      case "text":
        texts.push(item.text);
        break;
      case "image":
      case "audio":
        note(keep(item.type, item.mimeType, item.data));
        break;
      case "resource": {
        const { resource } = item;
        if ("text" in resource) texts.push(`${line(resource.uri)}:\n${resource.text}`);
        else note(`${line(resource.uri)}: ${keep("file", resource.mimeType ?? "", resource.blob)}`);
        break;
      }
      case "resource_link":
        texts.push(line([item.title ?? item.name, item.uri, item.description ?? ""].filter(Boolean).join(" – ")));
        break;
      default:
        texts.push("[content of a kind that is not known here]");
    }
  const isError = result.isError === true;
  const structured = result.structuredContent;
  if (structured !== undefined && !isError && !declared(structured, tool))
    return failed("tool_output_invalid", "The tool was called, and its result is not what the server says it gives.");
  const output =
    structured === undefined || isError ? texts.join("\n") : [JSON.stringify(structured), ...notes].join("\n");
  return {
    output: output === "" ? NOTHING : output,
    isError,
    code: isError ? "tool_failed" : null,
    truncated: false,
    ...(attachments.length === 0 ? {} : { attachments }),
  };
}

const checks = new WeakMap<Tool, (value: unknown) => string | null>();

/** Whether a structured result is one by the schema the server gave. What of that can't be run here is taken as fulfilled. */
function declared(structured: unknown, tool: Tool): boolean {
  let check = checks.get(tool);
  if (check === undefined) {
    const schema = tool.outputSchema === undefined ? null : simplified(tool.outputSchema);
    check = schema === null ? () => null : createArgumentCheck(schema.schema);
    checks.set(tool, check);
  }
  return check(structured) === null;
}

const line = (text: string): string => plainText(text, MAX_LINK).replace(/\s+/g, " ");

const size = (bytes: number): string =>
  bytes < 1_024
    ? `${bytes} bytes`
    : bytes < 1_048_576
      ? `${Math.round(bytes / 1_024)} KB`
      : `${(bytes / 1_048_576).toFixed(1)} MB`;
