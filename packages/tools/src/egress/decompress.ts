import { pipeline, type Readable, Transform } from "node:stream";
import { constants, createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { DecompressionLimit, EncodingRefused } from "./errors.ts";

export interface Decompress {
  /** Of a compressed body, once it is not. */
  readonly maxBytes: number;
  /** Bytes a body may have for each byte of its compressed form; not looked at in its first 64 KiB. */
  readonly maxRatio: number;
}

/** Small bodies may be of one letter. */
const RATIO_FROM_BYTES = 65_536;

const DECODERS = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  // RFC 9659: no larger window than 8 MiB; the library would go along with 128.
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 23 } }),
} as const;

export const ACCEPTED_ENCODINGS = "gzip, deflate, br, zstd";

/** The one encoding of a body, null when it has none. @throws EncodingRefused for several, and for others */
export function encodingOf(header: string | readonly string[] | undefined): keyof typeof DECODERS | null {
  const text = [header ?? []].flat().join(",").toLowerCase();
  const encodings = text.split(",").flatMap((item) => item.trim() || []);
  const applied = encodings.filter((item) => item !== "identity");
  const [encoding, second] = applied;
  if (encoding === undefined) return null;
  if (second !== undefined || !Object.hasOwn(DECODERS, encoding)) throw new EncodingRefused(text);
  return encoding as keyof typeof DECODERS;
}

/**
 * A body without its encoding. It is read as fast as it is taken, a few hundred KiB ahead; beyond the caps it ends with
 * DecompressionLimit, and the connection with it.
 */
export function decompressed(
  body: Readable,
  encoding: keyof typeof DECODERS,
  { maxBytes, maxRatio }: Decompress,
): Readable {
  const decoder = DECODERS[encoding]();
  let size = 0;
  const capped = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      const isBomb = size > RATIO_FROM_BYTES && size > maxRatio * decoder.bytesWritten;
      if (size > maxBytes || isBomb) done(new DecompressionLimit());
      else done(null, chunk);
    },
  });
  // As of every body: see the request.
  capped.on("error", () => {});
  return pipeline(body, decoder, capped, () => {});
}
