/** The answer's stream ended without the answer. */
export class StreamEnded extends Error {
  constructor() {
    super("The server broke off.");
    this.name = "StreamEnded";
  }
}

/** More tools, or a longer list of them, than is read. */
export class ListTooLong extends Error {
  constructor() {
    super("The server's list of tools is too long.");
    this.name = "ListTooLong";
  }
}

/** As many sessions are open as may be. */
export class NoSession extends Error {
  constructor() {
    super("As many MCP sessions are open as may be: try again later.");
    this.name = "NoSession";
  }
}

export class StdioOff extends Error {
  constructor() {
    super("This installation does not start MCP servers as commands.");
    this.name = "StdioOff";
  }
}
