export type { Answering, ApprovalCall, AskedCall, Decision, ToolContext, ToolFunction } from "./answers.ts";
export { type Client, createClient, type DeploymentsResource, type DeployOptions } from "./client.ts";
export * from "./errors.ts";
export type * from "./generated.ts";
export type { CallOptions, ClientOptions, Input, OperationId } from "./options.ts";
export type { Pages } from "./pages.ts";
export type { RunOptions, RunResult, RunSource, RunStream, RunsResource, WaitOptions } from "./runs.ts";
export type { DurableEvent, RunEvent, StreamOptions } from "./stream.ts";
export { createTranscript, type Transcript } from "./text.ts";
