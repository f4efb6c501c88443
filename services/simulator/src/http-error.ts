/**
 * The body of an error other than 422, in OpenAI's form. What the real host sends with 400, 401, 404, 429 and 5xx is
 * not documented; clients should rely on the status.
 */
export function errorBody(status: number, message: string, code: string | null = null): object {
  return { error: { message, type: typeOf(status), param: null, code: code ?? String(status) } };
}

function typeOf(status: number): string {
  if (status === 401 || status === 403) return "authentication_error";
  if (status === 404) return "not_found_error";
  if (status === 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
