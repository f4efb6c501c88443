import { createInterface } from "node:readline";
import { Interrupted } from "./exit.ts";

export interface Prompter {
  /** Whether there is somebody to ask: input and the channel of questions are a terminal. */
  readonly interactive: boolean;
  /** One line; questions that come together are asked one after another. @throws Interrupted, the signal's reason */
  line(question: string, options?: { signal?: AbortSignal; history?: string[] }): Promise<string>;
  /** One line that is not shown while it is typed; all of the standard input where that is no terminal. @throws Interrupted */
  secret(question: string): Promise<string>;
  /** Yes or no; Enter alone is no. @throws Interrupted */
  confirm(question: string): Promise<boolean>;
  /** All of the standard input, as text. */
  readAll(): Promise<string>;
  /** The standard input line by line, where it is no terminal. */
  lines(): AsyncIterable<string>;
}

interface Input extends NodeJS.ReadableStream {
  readonly isTTY?: boolean;
}
interface Screen extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
}

/** Questions are asked on `screen`, standard error: the answer of the command may be in a pipe. */
export function createPrompter(input: Input, screen: Screen): Prompter {
  let before: Promise<unknown> = Promise.resolve();
  /** What was typed, or pasted, beyond the line a question was answered with: it answers the next ones. */
  const ahead: string[] = [];
  let begun = "";

  const ask = (question: string, { signal, history }: { signal?: AbortSignal; history?: string[] }, shown: boolean) =>
    new Promise<string>((resolve, reject) => {
      signal?.throwIfAborted();
      const typed = shown ? ahead.shift() : undefined;
      if (typed !== undefined) {
        screen.write(`${question}${typed}\n`);
        return resolve(typed);
      }
      // While nothing may be shown the line editor writes nowhere; what was typed is not in a history either.
      const reader = createInterface({
        input,
        output: shown ? screen : undefined,
        terminal: true,
        ...(shown && history !== undefined ? { history: [...history], historySize: 200 } : { historySize: 0 }),
      });
      let settled = false;
      const settle = (then: () => void) => {
        if (settled) return;
        settled = true;
        signal?.removeEventListener("abort", onAbort);
        // After the keys that came together with the last one.
        setImmediate(() => {
          begun = shown ? reader.line : "";
          reader.close();
          if (!shown) screen.write("\n");
          then();
        });
      };
      const onAbort = () => {
        screen.write("\n");
        settle(() => reject(signal?.reason));
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      if (!shown) screen.write(question);
      reader.on("line", (text) => {
        if (settled) return void (shown && ahead.push(text));
        if (shown && text.trim() !== "") history?.unshift(text);
        settle(() => resolve(text));
      });
      // A terminal in raw mode sends Ctrl-C as a character. Who listens to the signal is told as if it were one.
      reader.on("SIGINT", () => {
        if (process.listenerCount("SIGINT") > 0) process.emit("SIGINT");
        else settle(() => reject(new Interrupted()));
      });
      reader.on("close", () => {
        if (!settled && shown) screen.write("\n");
        settle(() => reject(new Interrupted()));
      });
      if (shown) {
        reader.setPrompt(question);
        reader.prompt();
        if (begun !== "") reader.write(begun);
        begun = "";
      }
    });
  const queue = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = before.then(work);
    before = mine.catch(() => {});
    return mine;
  };

  const prompter: Prompter = {
    interactive: input.isTTY === true && screen.isTTY === true,
    line: (question, options = {}) => queue(() => ask(question, options, true)),
    secret: async (question) =>
      prompter.interactive ? queue(() => ask(question, {}, false)) : (await prompter.readAll()).replace(/\r?\n$/, ""),
    confirm: async (question) => /^(y|yes|예|네)$/i.test((await prompter.line(`${question} [y/N] `)).trim()),
    async readAll() {
      const chunks: Buffer[] = [];
      for await (const chunk of input) chunks.push(Buffer.from(chunk as Buffer));
      return Buffer.concat(chunks).toString("utf8");
    },
    lines: () => createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }),
  };
  return prompter;
}
