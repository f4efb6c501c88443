import { createHash } from "node:crypto";
import { LIMITS, type OpenApiToolSpec, type PinnedDocument, type ProblemDetail, SUBMIT_TOOL } from "@maru/contract";
import { canonicalJson, storableText } from "@maru/domain";
import {
  blockedBy,
  DecompressionLimit,
  type Egress,
  EncodingRefused,
  OverheadLimit,
  PolicyDenied,
} from "../egress/index.ts";
import { mentionsSecret } from "../secrets/reference.ts";
import { expandApart } from "./apart.ts";
import type { Expanded, Finding } from "./expand.ts";

const FETCH_MS = 10_000;
/** Bytes that a byte of a compressed document may stand for; texts have 3 to 20. */
const MAX_RATIO = 200;
const TOO_LARGE = `The document is larger than ${LIMITS.documentBytes / 1_048_576} MiB: host a part of it, with the operations you need.`;

export const EXPANSION_LIMITS = { tools: LIMITS.toolsPerAgent, pinnedBytes: LIMITS.pinnedBytes };
/** One is Maru's own, the other would be read as something else than a name. */
export const RESERVED = [SUBMIT_TOOL, "__proto__"];

/** Why a document could not be fetched, for the deployer. */
class NotFetched extends Error {}

/** The entry with what its document says of the chosen operations, fetched once. */
export async function pinOpenApi(
  spec: OpenApiToolSpec,
  pointer: string,
  deps: { readonly egress: Egress; readonly allowedHosts: readonly string[]; readonly signal: AbortSignal },
): Promise<{ spec: OpenApiToolSpec; problems: ProblemDetail[]; warnings: ProblemDetail[] }> {
  const { document } = spec;
  const told = ({ place, ...finding }: Finding): ProblemDetail => ({ pointer: `${pointer}${place}`, ...finding });
  const refused = (place: string, code: Finding["code"], detail: string) => ({
    spec,
    problems: [told({ place, code, detail })],
    warnings: [],
  });
  let bytes: Buffer | null = null;
  try {
    if (document.url !== undefined) bytes = await fetchDocument(document.url, deps.egress, deps.signal);
  } catch (error) {
    if (!(error instanceof NotFetched)) throw error;
    return refused("/document/url", "document_unavailable", error.message);
  }
  const source = bytes === null ? { value: document.inline } : { text: bytes.toString("utf8") };
  const sha256 = createHash("sha256")
    .update(bytes ?? canonicalJson(document.inline))
    .digest("hex");
  let found: Expanded | null = null;
  try {
    found = await expandApart(
      {
        source,
        sha256,
        spec: { ...spec, document: document.url === undefined ? {} : { url: document.url } },
        allowedHosts: deps.allowedHosts,
        limits: EXPANSION_LIMITS,
        reserved: RESERVED,
      },
      deps.signal,
    );
  } catch (error) {
    if (!deps.signal.aborted) throw error;
  }
  if (found === null)
    return refused(
      "/document",
      "document_invalid",
      "The document takes too much time or memory to read: deploy a part of it.",
    );
  return {
    spec: found.pinned === null ? spec : { ...spec, pinned: storable(found.pinned) },
    problems: found.problems.map(told),
    warnings: [...found.warnings.map(told), ...elsewhere(spec, found.pinned, pointer)],
  };
}

/** A document decides where calls go, and with them what authorises them. */
function elsewhere(
  { server, document: { url }, auth, headers, query }: OpenApiToolSpec,
  pinned: PinnedDocument | null,
  pointer: string,
): ProblemDetail[] {
  const secret =
    Object.keys(auth).length > 0 || [...Object.values(headers), ...Object.values(query)].some(mentionsSecret);
  if (server !== undefined || url === undefined || !secret || pinned === null) return [];
  const { host } = new URL(url);
  const others = [...new Set(Object.values(pinned.operations).map((operation) => new URL(operation.server).host))];
  const strange = others.filter((name) => name !== host).slice(0, 8);
  if (strange.length === 0) return [];
  return [
    {
      pointer: `${pointer}/document/url`,
      code: "server_elsewhere",
      detail: `The document at ${host} has calls, and the credentials with them, sent to ${strange.join(", ")}. Write server to decide that yourself.`,
    },
  ];
}

/** @throws NotFetched */
async function fetchDocument(url: string, egress: Egress, signal: AbortSignal): Promise<Buffer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(FETCH_MS)]);
  try {
    const response = await egress.request({
      method: "GET",
      url,
      headers: {
        "user-agent": "maru",
        accept: "application/json, application/yaml, text/yaml, */*;q=0.1",
      },
      body: null,
      signal: limit,
      decompress: { maxBytes: LIMITS.documentBytes, maxRatio: MAX_RATIO },
    });
    const { statusCode, body } = response;
    const refuse = (why: string): never => {
      body.on("error", () => {});
      body.destroy();
      throw new NotFetched(why);
    };
    if (statusCode >= 300 && statusCode < 400)
      refuse(`The server answered ${statusCode}: redirects are not followed. Write the URL the document really has.`);
    if (statusCode !== 200) refuse(`The server answered ${statusCode}, not the document.`);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > LIMITS.documentBytes) refuse(TOO_LARGE);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof NotFetched) throw error;
    if (error instanceof DecompressionLimit || error instanceof OverheadLimit) throw new NotFetched(TOO_LARGE);
    if (error instanceof EncodingRefused) throw new NotFetched(error.message);
    if (limit.aborted) throw new NotFetched("The document did not arrive in time.");
    const blocked = blockedBy(error);
    if (blocked instanceof PolicyDenied) throw new NotFetched(blocked.message);
    if (blocked !== null) throw new NotFetched("The document's address is not one Maru may reach.");
    throw new NotFetched("The document's server could not be reached or broke off.");
  }
}

/** What a document says can have characters that Postgres can't store. */
function storable<Value>(value: Value): Value {
  if (typeof value === "string") return storableText(value) as Value;
  if (Array.isArray(value)) return value.map(storable) as Value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [storableText(key), storable(item)])) as Value;
}
