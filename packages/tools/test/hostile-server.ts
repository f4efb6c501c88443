import { type AddressInfo, createServer, type Socket } from "node:net";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** What the server does with a connection once a request came. */
type Behaviour = (socket: Socket) => void;

/** Of an answer that is almost all something else than its body. */
export const ONE_BYTE_CHUNKS = 500_000;
const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
/** Writes the same piece again and again, as fast as it is taken. */
const endlessly =
  (head: string, piece: string | Buffer): Behaviour =>
  (socket) => {
    socket.write(head);
    const more = () => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on("drain", more);
    more();
  };
const dripping =
  (head: string, piece: string): Behaviour =>
  (socket) => {
    socket.write(head);
    const timer = setInterval(() => socket.write(piece), 50);
    socket.on("close", () => clearInterval(timer));
  };
const compressed =
  (encoding: string, body: () => Buffer): Behaviour =>
  (socket) => {
    const bytes = body();
    socket.write(`${HEAD}content-encoding: ${encoding}\r\ncontent-length: ${bytes.length}\r\n\r\n`);
    socket.end(bytes);
  };
const zeros = () => Buffer.alloc(128 << 20);
const megabyte = Buffer.alloc(1 << 20, "x");

const behaviours = {
  "streams ten gigabytes": endlessly(`${HEAD}content-length: 10737418240\r\n\r\n`, megabyte),
  "streams without an end": endlessly(`${HEAD}\r\n`, megabyte),
  "sends chunks without an end": endlessly(
    `${HEAD}transfer-encoding: chunked\r\n\r\n`,
    `10000\r\n${"x".repeat(65_536)}\r\n`,
  ),
  "sends chunks of one byte": (socket) =>
    void socket.end(`${HEAD}transfer-encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(ONE_BYTE_CHUNKS)}0\r\n\r\n`),
  "drips a body": dripping(`${HEAD}content-length: 100000\r\n\r\n`, "x"),
  "drips a head": dripping("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
  "says nothing": () => {},
  "falls silent in a body": (socket) => void socket.write(`${HEAD}content-length: 10\r\n\r\nfirst`),
  "sends a million headers": endlessly("HTTP/1.1 200 OK\r\n", "x-header: value\r\n".repeat(1_000)),
  "sends a header without an end": endlessly("HTTP/1.1 200 OK\r\nx: ", "y".repeat(65_536)),
  "sends a trailer without an end": endlessly(
    `${HEAD}transfer-encoding: chunked\r\ntrailer: x\r\n\r\n1\r\nx\r\n0\r\n`,
    "x-trailer: value\r\n".repeat(1_000),
  ),
  "sends a chunk's extension without an end": endlessly(
    `${HEAD}transfer-encoding: chunked\r\n\r\n1;x=`,
    "y".repeat(65_536),
  ),
  "sends early hints without an end": endlessly("", "HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n".repeat(100)),
  "changes to another protocol": (socket) =>
    void socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
  "speaks no HTTP": endlessly("SSH-2.0-OpenSSH_9.6\r\n", "x".repeat(1_000)),
  "hangs up": (socket) => void socket.destroy(),
  "has two lengths": (socket) => void socket.end(`${HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\nhello!`),
  "has a length and chunks": (socket) =>
    void socket.end(`${HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
  "a gzip bomb of 1 to 1,000": compressed("gzip", () => gzipSync(zeros())),
  "a brotli bomb": compressed("br", () =>
    brotliCompressSync(zeros(), { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  ),
  "gzip without an end": endlessly(`${HEAD}content-encoding: gzip\r\n\r\n`, gzipSync(Buffer.alloc(1 << 20))),
  "six encodings": compressed("gzip, gzip, gzip, gzip, gzip, gzip", () => gzipSync("x")),
} satisfies Record<string, Behaviour>;
export type BehaviourName = keyof typeof behaviours;

// A process of its own, so that what it holds is not taken for what its caller holds. The path of a request names the behaviour.
if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (head) => {
      const name = decodeURIComponent(/^GET \/(\S*)/.exec(head.toString("latin1"))?.[1] ?? "");
      behaviours[name as BehaviourName](socket);
    });
  });
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
  process.on("disconnect", () => process.exit(0));
}
