import type { Dispatcher } from "undici";

/** What is heard of a request beside the one it is for. */
export interface Overheard {
  onStart?(): void;
  onBody?(bytes: number): void;
  /** The answer is complete, or broke off. */
  onEnd?(): void;
}

/** A handler that is told the same, after somebody else heard of it. */
export const overhear = (
  handler: Dispatcher.DispatchHandler,
  { onStart, onBody, onEnd }: Overheard,
): Dispatcher.DispatchHandler => ({
  onRequestStart: (...args) => {
    onStart?.();
    handler.onRequestStart?.(...args);
  },
  onResponseStarted: () => handler.onResponseStarted?.(),
  onResponseStart: (...args) => handler.onResponseStart?.(...args),
  onResponseData: (controller, chunk) => {
    onBody?.(chunk.length);
    handler.onResponseData?.(controller, chunk);
  },
  onResponseEnd: (...args) => {
    onEnd?.();
    handler.onResponseEnd?.(...args);
  },
  onResponseError: (...args) => {
    onEnd?.();
    handler.onResponseError?.(...args);
  },
});
