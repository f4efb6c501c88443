import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";

/** What a name server answers to one question. */
export type DnsAnswer =
  | readonly { readonly type: "A" | "AAAA" | "CNAME"; readonly data: string; readonly name?: string }[]
  | "silence"
  | "failure";

const TYPES: Readonly<Record<string, number>> = { A: 1, CNAME: 5, AAAA: 28 };

/**
 * A name server on loopback that answers what it is told to, with a time to live of 0, and a resolver that asks it alone.
 * `count` grows with every question of the same name and type, from 1.
 */
export async function startDns(answer: (name: string, type: string, count: number) => DnsAnswer) {
  const asked = new Map<string, number>();
  const socket = createSocket("udp4");
  socket.on("message", (message, { port, address }) => {
    const { name, type, end } = question(message);
    const key = `${name} ${type}`;
    const count = (asked.get(key) ?? 0) + 1;
    asked.set(key, count);
    const given = answer(name, type, count);
    if (given === "silence") return;
    const records = given === "failure" ? [] : given;
    const head = Buffer.alloc(12);
    message.copy(head, 0, 0, 2);
    head.writeUInt16BE(given === "failure" ? 0x8182 : 0x8180, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(records.length, 6);
    const body = records.map((record) => encode(record.name ?? name, record.type, record.data));
    socket.send(Buffer.concat([head, message.subarray(12, end), ...body]), port, address);
  });
  await new Promise<void>((done) => socket.bind(0, "127.0.0.1", done));
  const resolver = new Resolver({ timeout: 200, tries: 2 });
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  return {
    resolver,
    /** Questions so far about a name, of one type. */
    asked: (name: string, type: string) => asked.get(`${name} ${type}`) ?? 0,
    close: () => new Promise<void>((done) => socket.close(done)),
  };
}

function question(message: Buffer): { name: string; type: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at] as number; length > 0; length = message[at] as number) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  const code = message.readUInt16BE(at + 1);
  const type = Object.keys(TYPES).find((name) => TYPES[name] === code) ?? String(code);
  return { name: labels.join(".").toLowerCase(), type, end: at + 5 };
}

const encodeName = (name: string): Buffer =>
  Buffer.concat([
    ...name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ]);

function encode(name: string, type: "A" | "AAAA" | "CNAME", data: string): Buffer {
  const value =
    type === "CNAME"
      ? encodeName(data)
      : type === "A"
        ? Buffer.from(data.split(".").map(Number))
        : Buffer.from(groups(data).flatMap((group) => [group >> 8, group & 0xff]));
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(TYPES[type] as number, 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(0, 4);
  fixed.writeUInt16BE(value.length, 8);
  return Buffer.concat([encodeName(name), fixed, value]);
}

/** The eight groups of an IPv6 address in hex. */
function groups(address: string): number[] {
  const [head = "", tail] = address.split("::");
  const read = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const [first, last] = [read(head), read(tail ?? "")];
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
}
