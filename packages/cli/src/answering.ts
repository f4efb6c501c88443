import type { Answering, ApprovalCall, Decision, ToolFunction } from "@maru/sdk";
import { type Asked, askedLines } from "./asked.ts";
import { harmless, oneLine } from "./format.ts";
import type { Output } from "./output.ts";
import type { Prompter } from "./prompt.ts";

/** Somebody at the terminal answers what a run asks, until the signal says that nobody needs it any more. */
export function answerAtTerminal(prompt: Prompter, output: Output, signal: AbortSignal): Answering {
  const { err } = output;
  const asked = (what: string) => output.note(`\n${err.style("yellow", "?")} ${what}`);

  const result: ToolFunction = async (args, { name, signal: needed }) => {
    asked(`${err.style("bold", name)} ${oneLine(JSON.stringify(args))} asks you for its result.`);
    return prompt.line("result: ", { signal: AbortSignal.any([signal, needed]) });
  };

  const approve = async ({ name, arguments: args, question }: ApprovalCall): Promise<Decision | undefined> => {
    const what = `${err.style("bold", name)} ${oneLine(JSON.stringify(args))}`;
    asked(
      question === "outcome"
        ? `${what} may have been done already. Make the call again?`
        : `${what} needs your approval.`,
    );
    for (;;) {
      const said = await prompt.line("[y]es, [n]o or why not, [e]dit, [l]eave it to others: ", { signal });
      const word = said.trim();
      if (/^(y|yes|a|approve)$/i.test(word)) return "approve";
      if (/^(n|no|r|reject)$/i.test(word)) return "reject";
      if (/^(l|leave)$/i.test(word)) return undefined;
      if (/^(e|edit)$/i.test(word)) {
        const edited = await prompt.line(`arguments (${harmless(JSON.stringify(args))}): `, { signal });
        try {
          return { decision: "approve", arguments: JSON.parse(edited) };
        } catch {
          output.note("That is not JSON.");
        }
      } else if (word.includes(" ")) return { decision: "reject", reason: word.replace(/^no?[,.: ]+/i, "") };
    }
  };

  return { onUnknownTool: result, approve };
}

/** Nobody here answers: what a run asks is said, with the commands that answer it, and `heard`. Somebody else may answer. */
export function answerNowhere(output: Output, heard: (asked: Asked) => void): Answering {
  const tell = (asked: Asked) => {
    for (const line of askedLines(asked)) output.note(line);
    heard(asked);
  };
  return {
    onUnknownTool: (args, { runId, callId, name }) => {
      tell({ runId, callId, name, args: JSON.stringify(args), question: "result" });
      return new Promise(() => {});
    },
    approve: ({ runId, callId, name, arguments: args, question }) => {
      tell({ runId, callId, name, args: JSON.stringify(args), question });
      return undefined;
    },
  };
}
