/** What `maru` exits with; docs/cli.md tells users. */
export const EXIT = {
  ok: 0,
  /** The run did not complete, or the request was refused. */
  failed: 1,
  usage: 2,
  /** Not signed in, or not allowed. */
  access: 3,
  notFound: 4,
  conflict: 5,
  /** Quota, a limit of the workspace, or too many calls. */
  quota: 6,
  /** No reply came, or none that the service could give. */
  connection: 7,
  /** The run asks what nobody here answers, and was left as it waits. */
  waiting: 8,
  interrupted: 130,
} as const;

/** A mistake in how the command was called, which its own options can't see. */
export class UsageError extends Error {}

/** Nobody is signed in, so nothing was asked. */
export class NotSignedIn extends Error {}

/** There is nothing of that name. */
export class UnknownName extends Error {}

/** Somebody pressed Ctrl-C, or ended the input a question was read from. */
export class Interrupted extends Error {
  constructor() {
    super("Interrupted");
  }
}
