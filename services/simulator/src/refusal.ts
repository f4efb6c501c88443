/**
 * A call that is refused, on the wire. `body` is sent as JSON, or as it stands when it is text.
 */
export interface Refusal {
  readonly status: number;
  readonly body: object | string;
  readonly headers?: Readonly<Record<string, string>>;
}
