import { harmless, oneLine } from "./format.ts";

/** A call a run waits for somebody to answer. */
export interface Asked {
  readonly runId: string;
  readonly callId: string;
  readonly name: string;
  /** Its arguments, as JSON. */
  readonly args: string;
  /** For its result, whether it may be made, or whether to make it again after nobody knows what came of it. */
  readonly question: "result" | "approval" | "outcome";
}

/** What a run asks, and under it the commands that answer. */
export function askedLines({ runId, callId, name, args, question }: Asked): string[] {
  const call = `${harmless(name)} ${oneLine(args)}`;
  if (question === "result") return [`${call} asks for its result:`, `  maru answer ${runId} ${callId} OUTPUT`];
  return [
    question === "outcome" ? `${call} may have been done already. Make the call again?` : `${call} needs an approval:`,
    `  maru approve ${runId} ${callId}`,
    `  maru reject ${runId} ${callId} WHY`,
  ];
}
