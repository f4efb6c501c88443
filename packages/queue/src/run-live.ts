/** Parts of a step's text; each grows on its own. Lengths and offsets count UTF-16 units. */
export const TEXT_PARTS = ["reasoning", "text", "tool_call"] as const;
export type TextPart = (typeof TEXT_PARTS)[number];

/**
 * One writing of a step's text. A step whose worker was lost is written anew by the next one, under a higher epoch: the
 * texts have nothing to do with each other.
 */
interface Writing {
  readonly epoch: number;
  readonly step: number;
}

/** New text. */
export type DeltaMessage = Writing & {
  readonly kind: "delta";
  readonly part: TextPart;
  readonly offset: number;
  readonly text: string;
};
/** How far the text is; all of it follows in pieces, and nothing else of this run comes between. */
export type SnapshotMessage = Writing & { readonly kind: "snapshot" } & Readonly<Record<TextPart, number>>;
export type PieceMessage = Omit<DeltaMessage, "kind"> & { readonly kind: "piece" };

/** What is said of a run's text on the bus. */
export type TextMessage = DeltaMessage | SnapshotMessage | PieceMessage;

/** Longest text of one message: within the bus's limit even where JSON escapes every unit as six bytes. */
export const PIECE_UNITS = 1_100;
