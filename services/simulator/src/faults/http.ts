import type { Dialect } from "../wire/dialect.ts";
import type { HttpFault } from "./fault.ts";

const fault = (summary: string, refuse: HttpFault["refuse"]): HttpFault => ({
  layer: "http",
  streams: "both",
  on: "any",
  summary,
  refuse,
});

const plain = (
  status: number,
  summary: string,
  message: string,
  more: { code?: string; headers?: (now: Date) => Record<string, string> } = {},
): HttpFault =>
  fault(summary, (dialect: Dialect, _model, now) => ({
    status,
    body: dialect.errorBody(status, message, more.code ?? null),
    ...(more.headers === undefined ? {} : { headers: more.headers(now) }),
  }));

const BAD_GATEWAY =
  "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

export const HTTP_FAULTS = {
  "error-422": fault("422 with a detail list, as for a body the host does not understand.", () => ({
    status: 422,
    body: {
      detail: [{ type: "value_error", loc: ["body", "messages", 0], msg: "Value error, forced by the simulator" }],
    },
  })),
  "error-400": plain(400, "400: a request the host does not take.", "The request is not valid."),
  "unauthorized-401": plain(401, "401: the key is not known.", "Invalid or missing API key."),
  "credit-402": plain(402, "402: the account has no credit left.", "Insufficient credit."),
  "forbidden-403": plain(403, "403: the key may not use this model.", "This key has no access to the model."),
  "model-withdrawn": fault(
    "404: the model is no longer served, as when a host drops it between two steps.",
    (d, model) => ({
      status: 404,
      body: d.errorBody(404, `The model ${model.slice(0, 200)} does not exist.`),
    }),
  ),
  "context-overflow": plain(
    400,
    "400 for a prompt longer than the model's context.",
    "This model's maximum context length is 262144 tokens, the messages are longer.",
    { code: "context_length_exceeded" },
  ),
  "rate-limit-429": plain(429, "429 that does not say when to come back.", "Too many requests."),
  "rate-limit-429-seconds": plain(429, "429 with Retry-After: 1.", "Too many requests.", {
    headers: () => ({ "retry-after": "1" }),
  }),
  "rate-limit-429-date": plain(
    429,
    "429 with a Retry-After that is a date, two seconds from now.",
    "Too many requests.",
    {
      headers: (now) => ({ "retry-after": new Date(now.getTime() + 2_000).toUTCString() }),
    },
  ),
  "server-error-500": plain(500, "500 with an error body.", "Internal server error."),
  "html-502": fault("502 with a proxy's HTML page.", () => ({
    status: 502,
    body: BAD_GATEWAY,
    headers: { "content-type": "text/html" },
  })),
  "overloaded-503": plain(503, "503: the host has no capacity.", "The model is overloaded."),
  "timeout-504": fault("504 with an empty body.", () => ({ status: 504, body: "" })),
} as const satisfies Record<string, HttpFault>;
