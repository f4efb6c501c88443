export { type Assembler, type AssemblerOptions, createAssembler } from "./assembler.ts";
export { CATALOGUE, DEFAULT_MODEL_ID, findModel, priceMicros } from "./catalogue.ts";
export { type AnswerClass, classifyAnswer } from "./classify.ts";
export {
  type CompleteOptions,
  createModelClient,
  type ModelClient,
  type ModelClientOptions,
  type ModelTimeouts,
} from "./client.ts";
export type { ModelClock } from "./clock.ts";
export { DIALECTS, type Dialect, type DialectName } from "./dialect.ts";
export { describeModelError, ModelError } from "./errors.ts";
export { neutralised, restored } from "./neutralise.ts";
export { buildRequest } from "./request.ts";
export { estimateRequestTokens, estimateTokens } from "./tokens.ts";
export type { WireChunk } from "./wire.ts";
