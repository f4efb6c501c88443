import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { spawn as spawnInTerminal } from "@lydell/node-pty";
import { afterAll } from "vitest";
import { bundle } from "../../packages/cli/scripts/build.ts";

/** Of all commands that are started here: the command, and what Node has compiled of it. */
const SHARED = mkdtempSync(join(tmpdir(), "maru-cli-shared-"));
afterAll(() => rmSync(SHARED, { recursive: true, force: true }));
/** Bundled, which begins in half the time; SOURCE is what it is made of, and what this repository's `maru` starts. */
const BINARY = await bundle(SHARED);
export const SOURCE = resolve("packages/cli/src/main.ts");

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
export interface CliOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}
/** A terminal with the command in it. */
export interface Terminal {
  /** All that was on the screen so far, without colours and moves of the cursor. */
  screen(): string;
  /** The same as it came. */
  raw(): string;
  type(text: string): void;
  /** Waits until the screen says this, after what it said at the last call; fails after a while. */
  sees(text: string | RegExp): Promise<void>;
  /** Waits for the end and answers the exit code. */
  ended(): Promise<number>;
}

/** The command line of one person, with a home folder of its own. */
export interface CommandLine {
  readonly folder: string;
  /** Every command that was run: the words before the first argument. */
  readonly tried: string[][];
  run(args: readonly string[], options?: CliOptions): Promise<Ended>;
  terminal(args: readonly string[], options?: CliOptions & { columns?: number }): Terminal;
  /** A terminal with any other program in it. */
  shell(file: string, args: readonly string[], options?: CliOptions): Terminal;
  close(): void;
}

export function openCommandLine(own: Readonly<Record<string, string>> = {}): CommandLine {
  const folder = mkdtempSync(join(tmpdir(), "maru-cli-"));
  const tried: string[][] = [];
  const terminals: { kill(): void }[] = [];
  // Nothing of this machine's: no keys, no colours, no configuration.
  const environment = (env: Readonly<Record<string, string>> = {}) => ({
    PATH: process.env.PATH ?? "",
    HOME: folder,
    XDG_CONFIG_HOME: join(folder, "config"),
    XDG_CACHE_HOME: join(SHARED, "cache"),
    TZ: "Asia/Seoul",
    ...own,
    ...env,
  });
  const open = (
    file: string,
    args: readonly string[],
    { env, columns = 100 }: CliOptions & { columns?: number } = {},
  ): Terminal => {
    let raw = "";
    let seen = 0;
    let look = () => {};
    let code: number | null = null;
    const screen = () => stripVTControlCharacters(raw).replaceAll("\r\n", "\n");
    const child = spawnInTerminal(file, [...args], {
      name: "xterm-256color",
      cols: columns,
      rows: 40,
      cwd: folder,
      env: { ...environment(env), TERM: "xterm-256color" },
    });
    terminals.push(child);
    child.onData((text) => {
      raw += text;
      look();
    });
    child.onExit(({ exitCode }) => {
      code = exitCode;
      look();
    });
    const waits = (what: string, holds: () => boolean) =>
      new Promise<void>((done, fail) => {
        const timer = setTimeout(() => fail(new Error(`never came: ${what}; the screen:\n${screen()}`)), 20_000);
        look = () => {
          if (!holds()) return;
          clearTimeout(timer);
          look = () => {};
          done();
        };
        look();
      });
    return {
      screen,
      raw: () => raw,
      type: (text) => child.write(text),
      sees: (text) =>
        waits(String(text), () => {
          const rest = screen().slice(seen);
          const at = typeof text === "string" ? rest.indexOf(text) : rest.search(text);
          if (at === -1) return false;
          seen += at + 1;
          return true;
        }),
      async ended() {
        await waits("the end", () => code !== null);
        return code ?? -1;
      },
    };
  };
  return {
    folder,
    tried,
    run(args, { input, env } = {}) {
      tried.push([...args]);
      return new Promise((done, fail) => {
        const child = spawn(process.execPath, [BINARY, ...args], { cwd: folder, env: environment(env) });
        let out = "";
        let err = "";
        child.stdout.setEncoding("utf8").on("data", (text) => {
          out += text;
        });
        child.stderr.setEncoding("utf8").on("data", (text) => {
          err += text;
        });
        child.on("error", fail);
        child.on("close", (code) => done({ code: code ?? -1, out, err }));
        child.stdin.on("error", () => {});
        child.stdin.end(input ?? "");
      });
    },
    terminal: (args, options) => {
      tried.push([...args]);
      return open(process.execPath, [BINARY, ...args], options);
    },
    shell: (file, args, options) => open(file, args, options),
    close() {
      for (const child of terminals) {
        try {
          child.kill();
        } catch {
          // It has ended.
        }
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
