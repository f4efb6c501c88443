import type { SpokenCall } from "../model/utterance.ts";
import type { Ending, Pace } from "../pacing.ts";
import type { Refusal } from "../refusal.ts";
import type { Dialect, WireContext } from "../wire/dialect.ts";
import type { StreamItem, WireObject } from "../wire/envelope.ts";

interface Described {
  /** What goes wrong, in one sentence. */
  readonly summary: string;
  /** Which calls can have it: streamed ones, others, or both. In the rest it does nothing and is not counted. */
  readonly streams: "both" | "stream" | "whole";
  /** Which answers it waits for: those that call a tool, final texts, those with thinking on, or any. */
  readonly on: "call" | "text" | "think" | "any";
}

/** What the model was about to write. */
export interface Subject {
  readonly raw: string;
  readonly think: string;
  readonly text: string;
  readonly calls: readonly SpokenCall[];
  readonly thinking: boolean;
  /** The first call made since the last user message, else the one it is about to make. */
  readonly repeatable: SpokenCall | null;
}

/** Changes the model's raw text; the parsers then make of it what they do. */
export interface RawFault extends Described {
  readonly layer: "raw";
  /** `cut` = the answer ended for want of tokens. */
  readonly rewrite: (subject: Subject) => { readonly raw: string; readonly cut?: boolean };
}

/** Changes what the parsers are told, or the JSON they made: the body of a whole answer, the items of a stream. */
export interface WireFault extends Described {
  readonly layer: "wire";
  readonly parsers?: (context: WireContext) => WireContext;
  /** Both may change what they are given: it is a copy. */
  readonly body?: (body: WireObject) => WireObject;
  readonly items?: (items: StreamItem[]) => StreamItem[];
}

/** A response with status 200 before it is written. */
export interface Transmission {
  readonly headers: Readonly<Record<string, string>>;
  /** Server-sent events, or the one body. */
  readonly pieces: readonly (string | Buffer)[];
  readonly pace: Pace;
  /** Each piece is a write of its own, instead of one for all that fall due together. */
  readonly separate: boolean;
  readonly ending: Ending;
}

/** Changes bytes, times or the connection. `scale` multiplies times. */
export interface TransportFault extends Described {
  readonly layer: "transport";
  readonly transmit: (transmission: Transmission, scale: number) => Transmission;
}

/** Answers with another status. */
export interface HttpFault extends Described {
  readonly layer: "http";
  readonly refuse: (dialect: Dialect, model: string, now: Date) => Refusal;
}

export type Fault = RawFault | WireFault | TransportFault | HttpFault;
