/** What parent and sandbox process say to each other: JSON over IPC, so that a child taken over can send nothing but JSON. */

export const CODE_OUTPUT_BYTES = 262_144;
export const CODE_CONSOLE_BYTES = 65_536;

export interface CodeLimits {
  /** Wall time of the code, from when a process begins with it. */
  readonly timeoutMs: number;
  /** What the engine may allocate for it. */
  readonly memoryBytes: number;
}

export interface CodeJob extends CodeLimits {
  /**
   * body: the source is the body of an async function of `input`; module: an ES module whose default export is a function
   * of it; load: such a module, which is only loaded, its function not called.
   */
  readonly kind: "body" | "module" | "load";
  readonly source: string;
  /** JSON. */
  readonly input: string;
}

export type CodeErrorCode =
  | "code_timeout"
  | "code_memory"
  | "code_output_invalid"
  | "code_output_too_large"
  | "code_error";

export interface CodeFailure {
  readonly ok: false;
  readonly code: CodeErrorCode;
  /** With the error's name, where there is one: `TypeError: x is not a function`. */
  readonly message: string;
  /** Where in the source, from 1. */
  readonly line: number | null;
  readonly column: number | null;
  readonly console: string;
}
export type CodeOutcome =
  /** `output` is JSON; null where the code returned nothing. */
  { readonly ok: true; readonly output: string | null; readonly console: string } | CodeFailure;

export type ParentMessage = { readonly job: CodeJob };
export type ChildMessage =
  | { readonly kind: "ready" }
  /** The code's first instruction comes after this: a process lost before it may be replaced and the job repeated. */
  | { readonly kind: "began" }
  /** `worn`: the process should not be used again. */
  | { readonly kind: "done"; readonly outcome: CodeOutcome; readonly worn: boolean };
