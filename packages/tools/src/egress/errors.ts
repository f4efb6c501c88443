/** The destination is not one that users' requests may reach. Says no more: an address would map the inside. */
export class EgressBlocked extends Error {
  readonly code: "egress_blocked" | "policy_denied" = "egress_blocked";
  /** It came out when a redirect led there: the requests before it were sent. */
  afterRedirect = false;
  constructor(message = "The destination is not allowed.") {
    super(message);
    this.name = "EgressBlocked";
  }
}

/** The workspace itself does not let the host be reached. */
export class PolicyDenied extends EgressBlocked {
  override readonly code = "policy_denied";
  constructor() {
    super("The workspace's policy does not allow this host.");
    this.name = "PolicyDenied";
  }
}

/** A redirect that is not followed although its destination may be reached: one too many, or from https to http. */
export class RedirectRefused extends Error {
  constructor(why: string) {
    super(`The redirect was not followed: ${why}.`);
    this.name = "RedirectRefused";
  }
}

/** What a redirect led to failed. Its reason is not its `cause`, so that nobody takes the whole request for not sent. */
export class RedirectFailed extends Error {
  readonly reason: unknown;
  constructor(reason: unknown) {
    super("A redirect led to a server that could not be reached or broke off.");
    this.name = "RedirectFailed";
    this.reason = reason;
  }
}

/** A name that has no addresses, or whose servers did not say in time. */
export class NameNotResolved extends Error {
  /** As of the system's resolver. */
  readonly code: "ENOTFOUND" | "EAI_AGAIN";
  constructor(host: string, code: NameNotResolved["code"]) {
    super(`${host} ${code === "ENOTFOUND" ? "has no address" : "could not be looked up"}`);
    this.name = "NameNotResolved";
    this.code = code;
  }
}

/** A body grew beyond what its reader allows, or beyond what is plausible for its compressed size. */
export class DecompressionLimit extends Error {
  constructor() {
    super("The reply is larger than allowed once it is decompressed.");
    this.name = "DecompressionLimit";
  }
}

/** An answer that was too long something else than its body. */
export class OverheadLimit extends Error {
  constructor() {
    super("The reply has more beside its body than is allowed.");
    this.name = "OverheadLimit";
  }
}

/** A body in an encoding that is not read, or in several of them. */
export class EncodingRefused extends Error {
  constructor(encoding: string) {
    super(`The reply is encoded as ${encoding.slice(0, 100)}, which is not read.`);
    this.name = "EncodingRefused";
  }
}

/** The refusal within an error, where it is one: clients wrap what their transport throws. */
export function blockedBy(error: unknown): EgressBlocked | null {
  for (let item = error; item instanceof Error; item = item.cause) if (item instanceof EgressBlocked) return item;
  return null;
}
