/**
 * Numbered packets of many flows, one way: `traffic.js send TARGET FLOWS EVERY_MS` and `traffic.js receive`, each until its input ends.
 *
 * Both then say in JSON what they know. A sender that was late makes up for some milliseconds at most, so that no queue is flooded by
 * our own lateness; the numbers go on without a hole. The receiver knows of each flow the highest number and the longest run of
 * numbers that did not come: a gap in packets, which no lateness of ours makes longer.
 */
import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";

const FIRST_PORT = 9000;
/** Each receiving socket has a buffer of its own. */
const PORTS = 8;
const BYTES = 32;
const TURN_MS = 2;
const MOST_LATE_MS = 10;
const BUFFER = 4 << 20;

export interface Sent {
  /** Packets of each flow. */
  readonly each: readonly number[];
  readonly seconds: number;
}

export interface Heard {
  readonly flows: readonly {
    readonly flow: number;
    readonly count: number;
    readonly highest: number;
    readonly run: number;
  }[];
  /** Datagrams that came and found no room: no gateway lost them. */
  readonly refused: number;
}

async function send(target: string, flows: number, everyMs: number): Promise<void> {
  const sockets = await Promise.all(
    Array.from(
      { length: flows },
      (_, flow) =>
        new Promise<Socket>((resolve) => {
          const socket = createSocket("udp4");
          // A router that knows no way says so by ICMP; that is the loss we count.
          socket.on("error", () => undefined);
          socket.bind(() => socket.connect(FIRST_PORT + (flow % PORTS), target, () => resolve(socket)));
        }),
    ),
  );
  const each = new Array<number>(flows).fill(0);
  const began = performance.now();
  const gap = everyMs / flows;
  let due = began;
  let flow = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - due > MOST_LATE_MS) due = now - MOST_LATE_MS;
    for (; due <= now; due += gap) {
      const packet = Buffer.alloc(BYTES);
      packet.writeUInt32BE(flow, 0);
      packet.writeUInt32BE(each[flow]!, 4);
      each[flow]!++;
      sockets[flow]!.send(packet, () => undefined);
      flow = (flow + 1) % flows;
    }
  }, TURN_MS);
  await inputEnds();
  clearInterval(timer);
  say({ each, seconds: (performance.now() - began) / 1000 } satisfies Sent);
}

interface Flow {
  count: number;
  highest: number;
  run: number;
}

async function receive(): Promise<void> {
  const before = refusals();
  const known = new Map<number, Flow>();
  const hear = (packet: Buffer) => {
    if (packet.length !== BYTES) return;
    const number = packet.readUInt32BE(4);
    let flow = known.get(packet.readUInt32BE(0));
    if (flow === undefined) known.set(packet.readUInt32BE(0), (flow = { count: 0, highest: -1, run: 0 }));
    flow.count++;
    if (number <= flow.highest) return;
    flow.run = Math.max(flow.run, number - flow.highest - 1);
    flow.highest = number;
  };
  await Promise.all(
    Array.from({ length: PORTS }, (_, n) => {
      const socket = createSocket({ type: "udp4", recvBufferSize: BUFFER });
      socket.on("message", hear);
      return new Promise<void>((resolve) => void socket.bind(FIRST_PORT + n, resolve));
    }),
  );
  process.stdout.write("listening\n");
  await inputEnds();
  const flows = Array.from(known, ([flow, all]) => ({ flow, ...all }));
  say({ flows, refused: refusals() - before } satisfies Heard);
}

/** RcvbufErrors of this namespace's UDP. */
function refusals(): number {
  const [names, values] = readFileSync("/proc/net/snmp", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("Udp: "))
    .map((line) => line.split(" "));
  return Number(values![names!.indexOf("RcvbufErrors")]);
}

const inputEnds = () => new Promise<void>((resolve) => void process.stdin.resume().once("end", resolve));

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`, () => process.exit(0));
}

if (process.argv[1]?.endsWith("traffic.js")) {
  const [verb, target, flows, everyMs] = process.argv.slice(2);
  if (verb === "send") await send(target!, Number(flows), Number(everyMs));
  else await receive();
}
