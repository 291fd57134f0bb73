/**
 * All that is asked of a gateway, and what an answer must look like before any of it is believed.
 *
 * A gateway may be of another version, broken, or no gateway at all: what it answers is read by these shapes, of which one holds what
 * this process and its page use, and no more. What is not named here goes no further; what is named and is something else makes
 * the answer a Refusal, so that the other gateways stay on the screen and this one has a sentence. Words (a state, a
 * kind) are texts: a later gateway may have others.
 */
import { z } from "zod";
import { ask, EXIT, type Method, type Question, Refusal } from "../ctl/client.ts";

/** No answer of a real gateway comes near: tables are asked for in part. */
const MOST_BYTES = 32 << 20;
/** Bridge ports and VSIs that a gateway can have. */
const MOST_PORTS = 4096;
/** Rows that are asked for of one table. */
export const MOST_ROWS = 2000;
const LONGEST_COMPLAINT = 240;

const text = z.string();
const orNull = <T extends z.ZodType>(shape: T) => z.nullable(shape);
const texts = z.array(text).max(MOST_PORTS);
const number = z.number();

const traffic = z.object({ packets: number, bytes: number });
const both = { receive: traffic, transmit: traffic };
const via = orNull(z.object({ kind: text, name: text }));

const Status = z.object({
  ready: z.boolean(),
  missing: texts,
  node: text,
  version: text,
  uptimeSeconds: number,
  underlay: z.object({ address: text, port: number, mtu: number }),
  workers: number,
  counts: z.object({
    ...{ vsis: number, acs: number, acsUp: number, tunnels: number, interfaces: number },
    ...{ macs: number, neighbors: number, routes: number },
  }),
});

const Vsi = z.object({
  ...{ name: text, vni: orNull(number), interface: orNull(text), arp: text, acs: texts, tunnels: texts },
  macs: number,
  ...both,
});

const Ac = z.object({
  ...{ name: text, vsi: text, device: orNull(text), mtu: number, up: z.boolean(), linkDown: z.boolean().optional() },
  ...both,
});

const Bfd = z.object({ verdict: text, transmitMs: number, detectionMs: number });

const Tunnel = z.object({
  ...{ name: text, remote: text, up: z.boolean(), state: text, mtu: number, vsis: texts },
  probe: z.object({ rttMs: orNull(number) }),
  ...{ draining: z.boolean().optional(), watchedBy: orNull(text).optional(), bfd: orNull(Bfd).optional() },
  ...both,
});

const Interface = z.object({
  ...{ name: text, vsis: texts, addresses: texts, mac: text, vrf: text, distributed: z.boolean(), mtu: number },
});

const Drop = z.object({
  ...{ reason: text, count: number, text },
  last: orNull(z.object({ secondsAgo: number, frame: text })),
});

const Neighbor = z.object({
  ...{ interface: orNull(text), vsi: orNull(text), ip: text, mac: orNull(text), state: text, kind: text, via },
  from: orNull(text).default(null),
  vrf: orNull(text).optional(),
});
const Mac = z.object({ vsi: text, mac: text, via, origin: text });
const Route = z.object({
  ...{ vrf: text, prefix: text, origin: text, action: text, interface: orNull(text), viaVrf: orNull(text).optional() },
  nextHops: z
    .array(
      z.object({
        ...{ ip: text, alive: z.boolean(), priority: number.optional() },
        ...{ tunnel: orNull(text).optional(), track: orNull(text).optional() },
      }),
    )
    .max(MOST_PORTS),
});

const ports = <T extends z.ZodType>(row: T) => z.array(row).max(MOST_PORTS);

/** Of a gateway that names them all, all: they are cut where they are told on (redundancy.ts). */
const uses = { uses: z.array(text), useCount: number.optional() };
const Track = z.object({
  ...{ name: text, target: text, state: text, blind: orNull(text), seconds: number, rttMs: orNull(number) },
  ...uses,
});
const HeldHop = z.object({
  ...{ ip: text, tunnel: orNull(text), interface: text, deadSeconds: orNull(number) },
  ...uses,
});
const BfdView = z.object({
  problem: orNull(text),
  sessions: ports(
    z.object({
      ...{ tunnel: text, remote: text, mode: text, state: text, verdict: text, diagnosis: text },
      ...{ transmitMs: number, detectionMs: number, longestGapMs: number },
      peer: z.object({ state: text, diagnosis: text }),
    }),
  ),
});

const rows = <T extends z.ZodType>(row: T) => z.array(row).max(MOST_ROWS);

const Snapshot = z.object({
  at: z.object({ mono: z.string().regex(/^\d{1,19}$/) }),
  truncated: texts,
  status: Status.optional(),
  vsis: ports(Vsi).optional(),
  acs: ports(Ac).optional(),
  tunnels: ports(Tunnel).optional(),
  interfaces: ports(Interface).optional(),
  drops: ports(Drop).optional(),
  neighbors: rows(Neighbor).optional(),
  macs: rows(Mac).optional(),
  routes: rows(Route).optional(),
});

const Diagnosis = z.object({
  checks: ports(z.object({ name: text, result: z.enum(["ok", "warn", "fail"]), text, fix: orNull(text) })),
});

const port = z.object({ kind: z.enum(["ac", "tunnel"]), name: text });
const Trace = z.object({
  packet: text,
  steps: ports(z.object({ stage: text, text, result: text })),
  fate: z.object({ kind: text, reason: orNull(text), class: orNull(text), text, next: orNull(text) }),
  sends: ports(z.object({ via: port, vsi: text, vni: orNull(number), bytes: number, frame: text })),
  next: ports(z.object({ tunnel: text, remote: text, local: text, vni: number, hex: text })).optional(),
  injected: z.boolean(),
});

/** One event; its fields are told to people, whatever they are called. */
export const Event = z.object({
  ...{ time: text, level: text, event: text, step: orNull(text).default(null) },
  fields: z.record(z.string(), z.union([text, number, z.boolean(), z.null()])),
});

const Frame = z.object({
  ...{ kind: z.literal("frame"), id: number, parent: orNull(number), cause: orNull(number) },
  at: z.string().regex(/^\d{1,19}$/),
  via: orNull(port),
  ...{ vsi: orNull(text), direction: z.enum(["in", "out"]), length: number, summary: text, fate: text },
  ...{ reason: orNull(text), step: orNull(text), data: text },
  outer: orNull(
    z.object({ source: orNull(text), destination: orNull(text), sourcePort: orNull(number), vni: orNull(number) }),
  ),
});

const entries = z.object({ used: number, shadowed: number, out: number });
const Evpn = z.object({
  engine: z.object({ socket: text, up: z.boolean(), api: orNull(text), problem: orNull(text) }),
  ...{ as: number, routerId: text, vtep: text, state: text, stateSeconds: number, backlog: number },
  routes: z.object({ in: number, out: number, stale: number, pending: number }),
  peers: ports(
    z.object({
      ...{ address: text, as: number, state: text, upSince: orNull(number), complete: z.boolean(), routes: number },
    }),
  ),
  vsis: ports(
    z.object({
      ...{ vsi: text, vni: number, rd: text, import: texts, export: texts, vteps: number, macs: entries, ips: entries },
      ...{ duplicates: number, moves: z.object({ in: number, out: number }) },
    }),
  ),
});
const EvpnRoute = z.object({
  ...{ type: number, route: text, rd: text, nextHop: text, direction: z.enum(["in", "out"]), vsi: orNull(text) },
  ...{ state: text, sequence: orNull(number), sticky: z.boolean() },
});
const EvpnVtep = z.object({
  ...{ vtep: text, tunnel: orNull(text), vnis: z.array(number).max(MOST_PORTS), routes: number, refused: orNull(text) },
});
const EvpnDuplicate = z.object({
  ...{ vsi: text, mac: text, moves: number, sinceSeconds: number, recoversInSeconds: number },
});
const EvpnRefused = z.object({ reason: text, count: number, text });

/** A line of a capture. */
export const CaptureLine = z.union([
  Frame,
  z.object({ kind: z.literal("lost"), frames: number }),
  z.object({ kind: z.literal("start") }),
  z.object({ kind: z.literal("end"), reason: text }),
]);
export type CaptureLine = z.infer<typeof CaptureLine>;
export type FrameLine = z.infer<typeof Frame>;

/** By path: what is asked, and no other question is. */
const ANSWERS: Readonly<Record<string, z.ZodType>> = {
  "GET /v1/status": Status,
  "GET /v1/snapshot": Snapshot,
  "GET /v1/acs": ports(Ac),
  "GET /v1/tunnels": ports(Tunnel),
  "GET /v1/vsis": ports(Vsi),
  "GET /v1/interfaces": ports(Interface),
  "GET /v1/neighbors": z.array(Neighbor),
  "GET /v1/tracks": ports(Track),
  "GET /v1/next-hops": z.array(HeldHop),
  "GET /v1/bfd": BfdView,
  "GET /v1/doctor": Diagnosis,
  "GET /v1/events/recent": z.array(Event),
  "GET /v1/evpn": Evpn,
  "GET /v1/evpn/routes": z.array(EvpnRoute),
  "GET /v1/evpn/vteps": z.array(EvpnVtep),
  "GET /v1/evpn/duplicates": z.array(EvpnDuplicate),
  "GET /v1/evpn/refused": ports(EvpnRefused),
  "POST /v1/trace": Trace,
};

/** Ask the gateway behind `socket`, and believe no answer of another shape. Throws a Refusal. */
export async function askGateway<T>(
  socket: string,
  path: string,
  method: Method = "GET",
  question: Question = {},
): Promise<T> {
  const what = `${method} ${path.split("?", 1)[0]}`;
  const shape = ANSWERS[what];
  if (shape === undefined) throw new Error(`${what} is not asked of gateways here`);
  const answer = await ask<unknown>(socket, path, method, { ...question, mostBytes: MOST_BYTES });
  return believed<T>(shape, answer, what);
}

/** A line of a stream. Throws a Refusal. */
export function believedLine<T>(shape: z.ZodType, line: string, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw nonsense(`what it answered to ${what} is no JSON`);
  }
  return believed<T>(shape, value, what);
}

/** Throws a Refusal. */
export function believed<T>(shape: z.ZodType, answer: unknown, what: string): T {
  const read = shape.safeParse(answer);
  if (read.success) return read.data as T;
  const { path, message } = read.error.issues[0]!;
  const complaint = `${path.join(".")}: ${message}`.replace(/^: /, "").slice(0, LONGEST_COMPLAINT);
  throw nonsense(`what it answered to ${what} makes no sense: ${complaint}`);
}

export const nonsense = (message: string): Refusal =>
  new Refusal("nonsense", message, "is it a vtepd, and of this version?", EXIT.unreachable);
