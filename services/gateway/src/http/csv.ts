import { Readable } from "node:stream";
import { stringify } from "csv-stringify";
import { stringify as stringifyWhole } from "csv-stringify/sync";
import type { FastifyReply, FastifyRequest } from "fastify";
import { STREAMED, type Streamed } from "./bind.ts";

/** Whether the caller asked for a table (RFC 4180). */
export const wantsCsv = (request: FastifyRequest): boolean => /\btext\/csv\b/i.test(request.headers.accept ?? "");

/** Cells that a spreadsheet would take for a formula get a quote before them: names and users are others' text. */
const OPTIONS = { header: true, escape_formulas: true, record_delimiter: "windows" } as const;

/** Answers rows as a table with a header line, as they come: nothing is held but a page. */
export function sendCsv(
  reply: FastifyReply,
  name: string,
  columns: readonly string[],
  rows: AsyncIterable<object>,
): Streamed {
  reply.header("content-type", "text/csv; charset=utf-8");
  reply.header("content-disposition", `attachment; filename="${name}.csv"`);
  reply.header("cache-control", "private, no-cache");
  reply.send(Readable.from(rows).pipe(stringify({ ...OPTIONS, columns: [...columns] })));
  return STREAMED;
}

/** The same for rows that are all there. */
export function sendWholeCsv(
  reply: FastifyReply,
  name: string,
  columns: readonly string[],
  rows: readonly object[],
): Streamed {
  reply.header("content-type", "text/csv; charset=utf-8");
  reply.header("content-disposition", `attachment; filename="${name}.csv"`);
  reply.send(stringifyWhole([...rows], { ...OPTIONS, columns: [...columns] }));
  return STREAMED;
}
