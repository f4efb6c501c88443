import type { ModelHost } from "./hosts.ts";
import { isObject } from "./json.ts";

const ANSWER_MS = 10_000;
const MAX_BYTES = 4_194_304;

/** The names a host lists at `GET /models`; null when it has no such list, or can't be reached. */
export async function listModels(host: ModelHost, signal: AbortSignal): Promise<ReadonlySet<string> | null> {
  try {
    const response = await fetch(`${host.baseUrl}/models`, {
      headers: {
        authorization: `Bearer ${host.apiKey}`,
        ...(host.team === null ? {} : { "x-friendli-team": host.team }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
      redirect: "error",
    });
    if (!response.ok || Number(response.headers.get("content-length") ?? 0) > MAX_BYTES) {
      await response.body?.cancel();
      return null;
    }
    const body: unknown = await response.json();
    const data = isObject(body) ? (body.data ?? body.models) : body;
    if (!Array.isArray(data) || data.length === 0) return null;
    return new Set(data.flatMap((item: unknown) => (isObject(item) && typeof item.id === "string" ? [item.id] : [])));
  } catch {
    return null;
  }
}
