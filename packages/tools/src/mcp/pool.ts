import { createHash } from "node:crypto";
import { canonicalJson } from "@maru/domain";
import { type EgressGate, egressFetch } from "../egress/index.ts";
import { aborting } from "./abort.ts";
import { NoSession, StdioOff } from "./errors.ts";
import type { openSession, Session, Target } from "./session.ts";

/** What a call found of its tool beside what was said at deploy. */
export interface McpFinding {
  readonly workspaceId: string;
  readonly agent: string;
  readonly runId: string;
  /** The manifest's name for the server, and the server's for the tool. */
  readonly entry: string;
  readonly tool: string;
  /**
   * gone, parameters: the tool is not called any more; description: it is, and the model goes by what was said at deploy;
   * null: it is what it was.
   */
  readonly drift: "gone" | "parameters" | "description" | null;
}

export interface McpOptions {
  readonly egress: EgressGate;
  /** Lets entries with a command start it, on this machine and as this process's user. */
  readonly stdio?: boolean;
  /** Hears of every tool that is called, once in a session and when it changes. */
  readonly onFinding?: (finding: McpFinding) => void;
  readonly limits?: Partial<typeof POOL_LIMITS>;
  readonly now?: () => number;
}

export const POOL_LIMITS = {
  /** Sessions of this process, and of one workspace in it. */
  sessions: 256,
  perWorkspace: 32,
  /** After which one nobody uses is closed. */
  idleMs: 60_000,
};

export interface Lease {
  readonly session: Session;
  /** What calls in the session last found of tools. */
  readonly found: Map<string, McpFinding["drift"]>;
  /** Nobody else gets this session; who has it may go on. */
  discard(): void;
  release(): void;
}

/** Open sessions with MCP servers, shared by the runs of a workspace that come as the same caller. */
export interface McpSessions {
  readonly options: McpOptions;
  /**
   * A session with a server, an open one or a new one. @throws NoSession, StdioOff, the signal's reason, or whatever connecting
   * fails with
   */
  lease(workspaceId: string, target: Target, signal: AbortSignal): Promise<Lease>;
  /** Ends every session. */
  close(): Promise<void>;
}

interface Entry {
  readonly key: string;
  readonly workspaceId: string;
  readonly session: Promise<Session>;
  opened: Session | null;
  readonly found: Lease["found"];
  users: number;
  idle: NodeJS.Timeout | null;
}

/** The SDK is loaded when it is first needed: it takes a third of a second and 30 MB, and most installations never do. */
const openLazily: typeof openSession = async (...args) => (await import("./session.ts")).openSession(...args);

export function createMcpSessions(options: McpOptions): McpSessions {
  const limits = { ...POOL_LIMITS, ...options.limits };
  const now = options.now ?? (() => performance.now());
  const closing = new AbortController();
  /** Least recently used first. */
  const entries = new Map<string, Entry>();
  const ending = new Set<Promise<void>>();

  const end = (entry: Entry): void => {
    if (entry.idle !== null) clearTimeout(entry.idle);
    const ended = entry.session.then(
      (session) => session.close(),
      () => {},
    );
    ending.add(ended);
    void ended.finally(() => ending.delete(ended));
  };
  const forget = (entry: Entry): void => {
    if (entries.get(entry.key) === entry) entries.delete(entry.key);
  };
  /** Makes room by ending what has been idle longest. */
  const makeRoom = (workspaceId: string): void => {
    const own = [...entries.values()].filter((entry) => entry.workspaceId === workspaceId);
    const full =
      own.length >= limits.perWorkspace ? own : entries.size >= limits.sessions ? [...entries.values()] : null;
    if (full === null) return;
    const spare = full.find(({ users }) => users === 0);
    if (spare === undefined) throw new NoSession();
    forget(spare);
    end(spare);
  };

  const open = (key: string, workspaceId: string, target: Target): Entry => {
    makeRoom(workspaceId);
    const session = openLazily(target, {
      fetch: egressFetch(options.egress.forWorkspace(workspaceId)),
      signal: closing.signal,
      now,
    });
    const entry: Entry = { key, workspaceId, session, opened: null, found: new Map(), users: 0, idle: null };
    session.then(
      (opened) => {
        entry.opened = opened;
      },
      () => forget(entry),
    );
    return entry;
  };

  return {
    options,
    async lease(workspaceId, target, signal) {
      if (closing.signal.aborted) throw new NoSession();
      if ("command" in target && !options.stdio) throw new StdioOff();
      // A secret that changed is another header, so another session; what it was does not stay in a key.
      const key = createHash("sha256")
        .update(canonicalJson([workspaceId, target]))
        .digest("hex");
      let entry = entries.get(key);
      if (entry?.opened?.open() === false) {
        forget(entry);
        if (entry.users === 0) end(entry);
        entry = undefined;
      }
      const taken = entry ?? open(key, workspaceId, target);
      entries.delete(key);
      entries.set(key, taken);
      taken.users++;
      if (taken.idle !== null) clearTimeout(taken.idle);
      taken.idle = null;
      let released = false;
      const release = () => {
        if (released) return;
        released = true;
        if (--taken.users > 0) return;
        if (entries.get(key) !== taken || taken.opened?.open() !== true) {
          forget(taken);
          return end(taken);
        }
        taken.idle = setTimeout(() => {
          forget(taken);
          end(taken);
        }, limits.idleMs).unref();
      };
      try {
        return {
          session: await aborting(signal, taken.session),
          found: taken.found,
          discard: () => forget(taken),
          release,
        };
      } catch (error) {
        release();
        throw error;
      }
    },
    async close() {
      closing.abort();
      for (const entry of entries.values()) end(entry);
      entries.clear();
      await Promise.all(ending);
    },
  };
}
