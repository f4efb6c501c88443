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
export { type EndpointSettings, endpointModel } from "./endpoint.ts";
export { describeModelError, ModelError } from "./errors.ts";
export { createEstimator, type Estimator } from "./estimator.ts";
export { hostOf, type ModelHost, readModelHosts, servingOf, simulatedHost } from "./hosts.ts";
export { listModels } from "./list.ts";
export { neutralised, restored } from "./neutralise.ts";
export { createLocalSlots, type SlotTerms, slotTerms, type UpstreamLimits, type UpstreamSlots } from "./pace.ts";
export { buildRequest, thinks } from "./request.ts";
export { createSseSplitter } from "./sse.ts";
export { estimateRequestTokens, estimateTokens } from "./tokens.ts";
export type { WireChunk } from "./wire.ts";
