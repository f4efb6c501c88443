import type { FastifyReply } from "fastify";
import { type Delivery, JSON_TYPE } from "./delivery.ts";
import { scheduleOf, scheduleThinking, type Write, writePaced } from "./pacing.ts";
import type { Refusal } from "./refusal.ts";

/** Sends what a call was answered with. `intervalMs` is the least time between two writes of a stream. */
export function sendAnswer(
  reply: FastifyReply,
  answer: Refusal | Delivery,
  intervalMs: number,
  chunkBytes: number | null,
): FastifyReply {
  if ("status" in answer) {
    reply
      .code(answer.status)
      .type(JSON_TYPE)
      .headers(answer.headers ?? {});
    return reply.send(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
  }
  const { transmission, thoughts, stream } = chunkBytes === null ? answer : inChunks(answer, chunkBytes);
  const { headers, pieces, pace, separate, ending } = transmission;
  // Without latency the whole answer is one write: benches measure the platform, not this process's system calls.
  if (pace.lastMs === 0 && !separate && ending === "end" && pieces.every((piece) => typeof piece === "string")) {
    return reply.headers(headers).send(pieces.join(""));
  }
  let writes: Write[];
  if (separate) writes = oneByOne(pieces, pace.firstMs, pace.lastMs);
  else if (stream) writes = scheduleThinking(pieces, thoughts, pace, intervalMs);
  else writes = scheduleOf(pieces, { firstMs: pace.lastMs, lastMs: pace.lastMs }, intervalMs);
  reply.hijack();
  writePaced(reply.raw, headers, writes, ending);
  return reply;
}

function inChunks(delivery: Delivery, bytes: number): Delivery {
  const body = Buffer.concat(delivery.transmission.pieces.map((piece) => Buffer.from(piece)));
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += bytes) pieces.push(body.subarray(at, at + bytes));
  return { ...delivery, transmission: { ...delivery.transmission, pieces, separate: true } };
}

function oneByOne(pieces: readonly (string | Buffer)[], firstMs: number, lastMs: number): Write[] {
  const gaps = Math.max(1, pieces.length - 1);
  return pieces.map((text, index) => ({ atMs: firstMs + ((lastMs - firstMs) * index) / gaps, text }));
}
