export { type Assembler, type AssemblerOptions, createAssembler } from "./assembler.ts";
export { CATALOGUE, DEFAULT_MODEL_ID, findModel, priceAt, priceMicros } from "./catalogue/index.ts";
export { type AnswerClass, classifyAnswer } from "./classify.ts";
export {
  type CompleteOptions,
  createModelClient,
  type ModelClient,
  type ModelClientOptions,
  type ModelTimeouts,
} from "./client.ts";
export type { ModelClock } from "./clock.ts";
export { DIALECT_NAMES, DIALECTS, type Dialect, type DialectName, dialectOf } from "./dialect.ts";
export { describeModelError, ModelError } from "./errors.ts";
export { neutralised, restored } from "./neutralise.ts";
export { cellRate, createLocalSlots, type UpstreamLimits, type UpstreamSlots } from "./pace.ts";
export { buildRequest, thinks } from "./request.ts";
export { estimateRequestTokens, estimateTokens } from "./tokens.ts";
export type { WireChunk } from "./wire.ts";
