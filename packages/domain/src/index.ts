export { hashApiSecret, type NewKey, newApiKey, parseApiKey, sameBytes } from "./api-key.ts";
export { type CanaryResults, type CanaryVerdict, judgeCanary } from "./canary.ts";
export { canonicalJson, diffSpecs, escapePointer, manifestDigest } from "./canonical.ts";
export { decodeCursor, encodeCursor } from "./cursor.ts";
export { deeperThan } from "./depth.ts";
export { trimHistory } from "./history.ts";
export { limitProblem, perOf, spanSeconds } from "./limit.ts";
export { type DenormaliseDeps, denormaliseManifest, type WrittenDeploy } from "./manifest/denormalise.ts";
export {
  type NormaliseDeps,
  type NormalManifest,
  normaliseManifest,
  refusal as manifestRefusal,
  refusalOf as manifestRefusalOf,
} from "./manifest/normalise.ts";
export { type ParsedManifest, type Place, parseManifests } from "./manifest/parse.ts";
export { manifestYaml } from "./manifest/yaml.ts";
export { type MemoryPlace, memoryKey, memoryPlace, memoryPlaces } from "./memory/place.ts";
export { MEMORY_SEARCH, type MemoryTerm, memoryTerms, memoryWords } from "./memory/words.ts";
export { allowsHost, deniesTool, hostPattern, OPEN_POLICY } from "./policy.ts";
export {
  aheadUsOf,
  judgeCall,
  moreRoomInUs,
  type RateBucket,
  type RatePolicy,
  type RateStore,
  type RateVerdict,
  rateBucket,
  roomOf,
} from "./rate.ts";
export {
  CRON_NICKNAMES,
  cronProblem,
  dayIn,
  dueAt,
  type FireStep,
  fireStep,
  isTimeZone,
  nextFires,
  type SchedulePolicy,
  type ScheduleTimes,
  scheduledInput,
  tidyCron,
} from "./schedule.ts";
export {
  aboutSecret,
  createEnvelopeSealer,
  createSealer,
  deriveKey,
  ENDPOINT_KEYS,
  type Envelope,
  type EnvelopeSealer,
  SECRETS,
  type Sealer,
} from "./sealing.ts";
export { isPointer, renderTemplate, templatePlaces, valueAt, valueText } from "./template.ts";
export { storableText } from "./text.ts";
export {
  deliveryKey,
  newTriggerSecret,
  opensTrigger,
  type ShownToTrigger,
  TRIGGER_SECRETS,
  threadOfKey,
} from "./trigger.ts";
export {
  newWebhookSecret,
  signWebhook,
  WEBHOOK_SECRETS,
  webhookRetryMs,
} from "./webhook.ts";
export { dayEnd, daysLeft, type QuotaPolicy, type QuotaSpan, windowAt } from "./window.ts";
