export { type Assembler, createAssembler, type WireChunk } from "./assembler.ts";
export { CATALOGUE, DEFAULT_MODEL_ID, findModel, priceMicros } from "./catalogue.ts";
export { type AnswerClass, classifyAnswer } from "./classify.ts";
export { createModelClient, type ModelClient, type ModelClientOptions } from "./client.ts";
export { describeModelError, ModelError } from "./errors.ts";
export { buildRequest, DIALECTS, type DialectName, neutralised } from "./request.ts";
export { estimateRequestTokens, estimateTokens } from "./tokens.ts";
