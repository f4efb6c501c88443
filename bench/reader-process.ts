// Reads streams to their ends, many at once, and answers how many milliseconds that took.
import { request } from "node:http";

process.on("message", (asked: { url: string; key: string; clients: number }) => {
  const began = performance.now();
  const one = () =>
    new Promise<void>((done, failed) => {
      const call = request(
        asked.url,
        { agent: false, headers: { authorization: `Bearer ${asked.key}`, accept: "text/event-stream" } },
        (response) => {
          if (response.statusCode !== 200) failed(new Error(`${response.statusCode}`));
          response.resume();
          response.on("end", done);
          response.on("error", failed);
        },
      );
      call.on("error", failed);
      call.end();
    });
  void Promise.all(Array.from({ length: asked.clients }, one)).then(() => process.send?.(performance.now() - began));
});
process.once("disconnect", () => process.exit(0));
