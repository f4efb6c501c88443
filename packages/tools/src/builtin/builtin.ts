import type { JsonSchema } from "@maru/contract";

/** A tool of the platform's own: it computes, and touches nothing. */
export interface Builtin {
  /** For the model: what it does, in a line or two with an example. */
  readonly description: string;
  readonly parameters: JsonSchema;
  /**
   * What the model reads. It holds the worker's event loop, so whatever the arguments are it ends within some 0.2 s.
   * @throws Refusal when the arguments ask for what can't be done.
   */
  run(args: Record<string, unknown>, now: Date): string;
}

/** Why a tool did not do what it was asked, in words a model can act on. */
export class Refusal extends Error {}
