import { storableText } from "@maru/domain";
import { type Attachment, cutToBytes, failed, type PreparedTool, type Progress, type ToolResult } from "../kind.ts";
import { createRedactor, type KnownSecret, type Redactor } from "./redact.ts";
import { type SecretAccess, SecretUnavailable } from "./reference.ts";

const PROGRESS_BYTES = 500;
const WHOLE_TEXT = "output.txt";
const TEXT = "text/plain; charset=utf-8";
const TEXTUAL = /^(?:text\/|application\/(?:[\w.+-]*\+)?(?:json|xml|yaml|javascript))/i;
const NONE: ReadonlyMap<string, string> = new Map();
/** Of a result; what is longer takes so long to search that others should not wait for several. */
const LARGE_BYTES = 262_144;

let before = Promise.resolve();
/**
 * Large results are searched one at a time, with room between them for what else the process has to do: a worker that stood
 * still for many of them would lose its leases.
 */
function turn(): Promise<void> {
  before = before.then(() => new Promise((done) => setImmediate(() => setTimeout(done, 0))));
  return before;
}

/** Values of one secret that are kept in mind in a run: it may be changed while the run goes on. */
const VALUES_KEPT = 8;

/**
 * Stands between a revision's tools and everything that reads what they return: the journal, events, logs, the model. All
 * calls of a run share what it learned. `names` are the secrets the revision refers to, in whichever tool: a value is taken
 * out of every tool's result, for a secret one tool sends may come back by another.
 */
export function createGuard(names: readonly string[]): (tool: PreparedTool) => PreparedTool {
  const known = new Map<string, string[]>();
  let redactor: Redactor | null = null;
  const learn = (values: ReadonlyMap<string, string>): void => {
    for (const [name, value] of values) {
      const before = known.get(name) ?? [];
      if (before.includes(value)) continue;
      known.set(name, [value, ...before].slice(0, VALUES_KEPT));
      redactor = null;
    }
  };
  const current = (): Redactor => {
    redactor ??= createRedactor(
      [...known].flatMap(([name, values]) => values.map((value): KnownSecret => ({ name, value }))),
    );
    return redactor;
  };
  const cleaned = (result: ToolResult, maxBytes: number): ToolResult => {
    const output = storableText(result.output);
    const { text, truncated } =
      known.size === 0 ? cutToBytes(output, maxBytes) : current().redactAndCut(output, maxBytes, result.truncated);
    const { kept, notes } = attachmentsOf(result);
    // What the tool itself had cut is not whole.
    if (truncated && !result.truncated)
      kept.push({
        name: WHOLE_TEXT,
        mediaType: TEXT,
        bytes: Buffer.from(known.size === 0 ? output : current().redact(output)),
      });
    const { attachments: _, ...rest } = result;
    return {
      ...rest,
      output: [text, ...notes].join("\n"),
      truncated: truncated || result.truncated,
      ...(kept.length === 0 ? {} : { attachments: kept }),
    };
  };

  const saidOf = ({ message, ...at }: Progress): Progress => {
    if (message === undefined) return at;
    const text = storableText(message);
    return { ...at, message: cutToBytes(known.size === 0 ? text : current().redact(text), PROGRESS_BYTES).text };
  };

  /** Attachments without secrets: out of text they are taken, other bytes that hold one are not kept at all. */
  const attachmentsOf = ({ attachments = [] }: ToolResult) => {
    const kept: Attachment[] = [];
    const notes: string[] = [];
    for (const attachment of attachments) {
      const { name, mediaType, bytes } = attachment;
      if (known.size === 0) kept.push(attachment);
      else if (TEXTUAL.test(mediaType))
        kept.push({
          name: current().redact(name),
          mediaType,
          bytes: Buffer.from(current().redact(Buffer.from(bytes).toString("utf8"))),
        });
      else if (current().holds(bytes) || current().holds(Buffer.from(name)))
        notes.push("[not kept: a file that may hold a secret]");
      else kept.push(attachment);
    }
    return { kept, notes };
  };

  return (tool) => ({
    ...tool,
    async call(args, context) {
      const { maxOutputBytes: maxBytes } = context;
      // Before the call, so that no result comes back to a redactor that does not know what to look for.
      const values = names.length === 0 ? NONE : await context.secrets(names);
      learn(values);
      const secrets: SecretAccess = async (wanted) => new Map([...values].filter(([name]) => wanted.includes(name)));
      try {
        const maxOutputBytes = maxBytes + (known.size === 0 ? 0 : current().margin);
        const progress = context.progress && ((at: Progress) => context.progress?.(saidOf(at)));
        const result = await tool.call(args, {
          ...context,
          secrets,
          maxOutputBytes,
          ...(progress ? { progress } : {}),
        });
        if (known.size > 0 && sizeOf(result) > LARGE_BYTES) await turn();
        return cleaned(result, maxBytes);
      } catch (error) {
        if (context.signal.aborted) throw context.signal.reason;
        if (error instanceof SecretUnavailable) return cleaned(failed("secret_unavailable", error.message), maxBytes);
        throw known.size === 0 ? error : redactedError(error, current());
      }
    },
  });
}

const sizeOf = ({ output, attachments = [] }: ToolResult): number =>
  attachments.reduce((sum, { bytes }) => sum + bytes.length, output.length);

/** An error that may be logged: neither its properties nor its cause come along, only words without secrets. */
function redactedError(error: unknown, redactor: Redactor): Error {
  const clean = new Error(redactor.redact(error instanceof Error ? error.message : String(error)));
  if (error instanceof Error) {
    clean.stack = redactor.redact(error.stack ?? "");
  }
  return clean;
}
