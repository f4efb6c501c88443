export { prepareQueue, type QueueBackend } from "./backend.ts";
export { createLiveBus, type LiveBus, type LiveMessage } from "./live.ts";
export { createRedisRates } from "./rates.ts";
export * from "./run-live.ts";
export { createRedisSlots, type RedisSlots } from "./slots.ts";
export { createWakeUps, receiveWakeUps, type WakeUp, type WakeUps } from "./wakeups.ts";
