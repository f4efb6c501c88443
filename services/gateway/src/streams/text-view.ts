import type { LiveEvent } from "@maru/contract";
import { TEXT_PARTS, type TextMessage, type TextPart } from "@maru/queue";
import type { StoredEvent, StoredStep } from "@maru/store";

/** A snapshot asked for is asked for again after this long, when text that does not fit keeps coming. */
const ASK_AGAIN_MS = 500;

type Lengths = Record<TextPart, number>;
const nothing = (): Lengths => ({ reasoning: 0, text: 0, tool_call: 0 });

/**
 * What one reader was shown of a run's text, and what to show it next. Messages may be lost, come late, or be of a worker that
 * lost the run: the reader's text never has a gap, a repetition or a mixture. Where the next text does not fit, the whole is
 * asked for and shown as one snapshot.
 *
 * `ask`: asks the worker for all the text of the step in flight. `now`: a monotonic clock in milliseconds.
 */
export function createTextView(runId: string, ask: () => void, now: () => number = () => performance.now()) {
  let epoch = 0;
  let step = 0;
  let shown = nothing();
  /** When the text in flight was last asked for; null when nothing is missing. */
  let asked: number | null = null;
  let gathering: { readonly lengths: Lengths; readonly texts: Record<TextPart, string> } | null = null;

  const miss = () => {
    if (asked !== null && now() - asked < ASK_AGAIN_MS) return;
    asked = now();
    ask();
  };
  const blank = () => ({ reasoning: "", text: "", tool_call: "" });
  const snapshot = (texts: Record<TextPart, string>): LiveEvent => ({
    type: "snapshot",
    run_id: runId,
    step,
    ...texts,
  });
  /** Moves on to a later writing. Answers the event that takes back what was shown of the same step. */
  const turnTo = (later: { epoch: number; step: number }): LiveEvent | null => {
    const anew = later.step === step && TEXT_PARTS.some((part) => shown[part] > 0);
    ({ epoch, step } = later);
    shown = nothing();
    gathering = null;
    return anew ? snapshot(blank()) : null;
  };
  const isOld = (message: TextMessage) => message.epoch < epoch || (message.epoch === epoch && message.step < step);
  const isLater = (message: TextMessage) => !isOld(message) && (message.epoch > epoch || message.step > step);

  return {
    /** Joins in the middle, or again after messages were dropped. */
    join(): void {
      asked = null;
      gathering = null;
      miss();
    },
    /**
     * The text a finished step has, as one snapshot, where its reader was shown less: the rows were read before the last of it came
     * over the bus, or that was lost. Null when there is nothing to add.
     */
    close({ type, data }: Pick<StoredEvent, "type" | "data">): LiveEvent | null {
      const closed = type === "step.finished" ? (data.step as StoredStep) : null;
      if (closed === null || closed.kind !== "model" || closed.output === null || closed.seq !== step) return null;
      const { reasoning, text, toolCalls } = closed.output;
      // What calls looked like while they were written is not kept; the event itself has them.
      if (toolCalls.length > 0 || (shown.reasoning >= reasoning.length && shown.text >= text.length)) return null;
      shown = { reasoning: reasoning.length, text: text.length, tool_call: 0 };
      gathering = null;
      return snapshot({ reasoning, text, tool_call: "" });
    },
    *take(message: TextMessage): Generator<LiveEvent, void> {
      if (isOld(message)) return;
      if (isLater(message) && message.kind !== "piece") {
        const taken = turnTo(message);
        if (taken !== null) yield taken;
      }
      if (message.kind === "snapshot") {
        const { reasoning, text, tool_call } = message;
        const ahead = TEXT_PARTS.some((part) => message[part] > shown[part]);
        gathering = ahead ? { lengths: { reasoning, text, tool_call }, texts: blank() } : null;
        if (!ahead) asked = null;
        return;
      }
      const { part, offset, text } = message;
      if (message.kind === "piece") {
        if (gathering === null || gathering.texts[part].length !== offset) return;
        gathering.texts[part] += text;
        const { lengths, texts } = gathering;
        if (TEXT_PARTS.some((of) => texts[of].length < lengths[of])) return;
        shown = lengths;
        gathering = null;
        asked = null;
        yield snapshot(texts);
        return;
      }
      const known = shown[part];
      if (offset > known) return miss();
      const fresh = text.slice(known - offset);
      if (fresh === "") return;
      shown[part] = known + fresh.length;
      yield { type: "delta", run_id: runId, step, kind: part, offset: known, text: fresh };
    },
  };
}
