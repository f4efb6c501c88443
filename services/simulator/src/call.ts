import type { FaultName } from "./faults/faults.ts";
import type { Directives } from "./model/directives.ts";
import type { Utterance } from "./model/utterance.ts";
import type { Host } from "./options.ts";
import type { Latency, Timing } from "./pacing.ts";
import type { State } from "./state.ts";
import type { Dialect } from "./wire/dialect.ts";

/** A chat call, already let in. */
export interface ChatCall {
  readonly body: string;
  readonly dialect: Dialect;
  /** Whose requests are counted and whose prompt is cached. */
  readonly key: string;
  readonly team: string | null;
  /** A fault named in a header. */
  readonly fault: string | null;
}

/** What answering needs beside the call. */
export interface ChatDeps {
  readonly host: Host;
  readonly state: State;
  readonly latency: Latency;
  readonly timing: Timing;
  readonly now: () => Date;
}

/** What the model, a script or a scenario said to a request. */
export interface Said {
  readonly utterance: Utterance & { readonly raw?: string };
  readonly directives: Directives;
  /** A fault the scenario's rule asks for. */
  readonly fault: FaultName | null;
}
