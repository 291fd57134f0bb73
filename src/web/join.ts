/**
 * Frames of several gateways joined to one story: which belong to a ping, and which went from where to where. Pure.
 *
 * A frame that left by a tunnel and one that came in at the other end are the same when their inner bytes, their VNI and the
 * gateways of both are. One that left and never came is an orphan, and told: that *is* the fault of a VNI that is missing or an
 * MTU that is too small. Which frames belong to a ping is followed from its echo: by what the gateways say caused what, by
 * the two ends of a tunnel, and from a question to its answer.
 */
import { packetOf } from "./fields.ts";
import type { Packet } from "./packet.ts";
import type { FrameLine, RecordedGateway, Recording } from "./recording.ts";

/** A frame on one side of a gateway. */
export interface Sight {
  readonly gateway: RecordedGateway;
  readonly line: FrameLine;
  readonly bytes: Uint8Array;
  readonly packet: Packet;
  /** Nanoseconds. */
  readonly at: bigint;
  /** The other end of the tunnel it took. */
  twin: Sight | null;
  /** Control's word on the same frame, when it had waited. */
  late: FrameLine | null;
}

/** The ping that is followed. */
export interface Ping {
  readonly source: string;
  readonly destination: string;
  /** Identification and sequence number of its echo. */
  readonly echo: string;
}

const MS = 1_000_000n;
const BY_CONTROL = /\(by control, after it was punted\)$/;
/** Clocks of two machines differ; a frame does not take a second. */
const EARLIEST_NS = -50n * MS;
const LATEST_NS = 1000n * MS;
const AFTER_NS = 400n * MS;

export function sightsOf({ gateways }: Recording): Sight[] {
  const all = gateways.flatMap((gateway) => sightsAt(gateway));
  all.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  joinTunnels(all);
  return all;
}

function sightsAt(gateway: RecordedGateway): Sight[] {
  const all: Sight[] = [];
  for (const line of gateway.frames) {
    const bytes = Buffer.from(line.data, "base64");
    const packet = packetOf(bytes);
    if (packet === null) continue;
    // Control tells a frame it gave up a second time: it is the one that was punted, with its end.
    const punted = line.direction === "in" && BY_CONTROL.test(line.fate) ? firstTold(all, line, bytes) : null;
    if (punted !== null) punted.late = line;
    else all.push({ gateway, line, bytes, packet, at: BigInt(line.at), twin: null, late: null });
  }
  return all;
}

function firstTold(all: readonly Sight[], { cause, via }: FrameLine, bytes: Buffer): Sight | null {
  const came = all.filter(({ line, late }) => line.direction === "in" && late === null);
  const named = cause === null ? undefined : came.findLast(({ line }) => line.id === cause);
  const isSame = (sight: Sight) => sight.line.via?.name === via?.name && Buffer.compare(sight.bytes, bytes) === 0;
  return named ?? came.findLast(isSame) ?? null;
}

function joinTunnels(all: readonly Sight[]): void {
  const isTunnel = ({ line }: Sight) => line.outer !== null || line.via?.kind === "tunnel";
  const arriving = all.filter((sight) => sight.line.direction === "in" && isTunnel(sight));
  for (const out of all) {
    if (out.line.direction !== "out" || !isTunnel(out)) continue;
    const twin = arriving.find(
      (sight) =>
        sight.twin === null &&
        farEnd(out) === sight.gateway.address &&
        farEnd(sight) === out.gateway.address &&
        vniOf(sight) === vniOf(out) &&
        sight.at - out.at > EARLIEST_NS &&
        sight.at - out.at < LATEST_NS &&
        Buffer.compare(sight.bytes, out.bytes) === 0,
    );
    if (twin === undefined) continue;
    out.twin = twin;
    twin.twin = out;
  }
}

/** VTEP address at the other end of the tunnel; null: no tunnel, or not known. */
export function farEnd({ gateway, line }: Sight): string | null {
  if (line.outer !== null) return line.direction === "out" ? line.outer.destination : line.outer.source;
  if (line.via?.kind !== "tunnel") return null;
  return gateway.tunnels.find(({ name }) => name === line.via!.name)?.remote ?? null;
}

export function vniOf({ gateway, line }: Sight): number | null {
  return line.outer?.vni ?? gateway.vsis.find(({ name }) => name === line.vsi)?.vni ?? null;
}

/**
 * The first ping that came in by an AC, of `from` where it is named; null: there is none. Pings to a gateway's own address do not
 * count: health checks make them all the time, and they go nowhere.
 */
export function pingIn(all: readonly Sight[], from: string | null): Ping | null {
  const gateways = new Set(all.map(({ gateway }) => gateway));
  const own = new Set(
    [...gateways].flatMap(({ interfaces }) =>
      interfaces.flatMap(({ addresses }) => addresses.map((text) => text.split("/")[0]!)),
    ),
  );
  const first = all.find(
    ({ line, packet }) =>
      line.direction === "in" &&
      line.via?.kind === "ac" &&
      (from === null || line.via.name === from) &&
      packet.icmp?.what === "echo request" &&
      !own.has(packet.ip!.destination),
  );
  if (first === undefined) return null;
  const { source, destination } = first.packet.ip!;
  return { source, destination, echo: first.packet.icmp!.echo };
}

export const isEcho = ({ packet }: Sight, ping: Ping, what: "echo request" | "echo reply"): boolean =>
  packet.icmp?.what === what && packet.icmp.echo === ping.echo;

/** The last of a ping: its answer, or an error in place of one, on the way out to who sent it. */
export function isEnd(sight: Sight, ping: Ping): boolean {
  const { line, packet } = sight;
  if (line.direction !== "out" || line.via?.kind !== "ac" || packet.ip?.destination !== ping.source) return false;
  return isEcho(sight, ping, "echo reply") || (packet.icmp !== null && !packet.icmp.what.startsWith("echo"));
}

/** Of all frames those that have to do with `ping`; without one, all ARP and ND that asks for another's address. */
export function storyOf(all: readonly Sight[], ping: Ping | null): Sight[] {
  const isQuestion = ({ packet: { resolution: said } }: Sight) => said !== null && said.senderIp !== said.targetIp;
  if (ping === null) return all.filter(isQuestion);
  const story = new Set(all.filter((sight) => isPings(sight, ping) || (isQuestion(sight) && isAbout(sight, ping))));
  for (let size = 0; size !== story.size; ) {
    size = story.size;
    const ids = new Set([...story].filter(({ line }) => line.direction === "in").map(keyOf));
    const talks = new Set([...story].filter(isQuestion).map(talkOf));
    for (const sight of all) {
      const { line, gateway, twin } = sight;
      const by = line.parent ?? line.cause;
      const isCaused = line.direction === "out" && by !== null && ids.has(`${gateway.node} ${by}`);
      if (isCaused || (twin !== null && story.has(twin)) || (isQuestion(sight) && talks.has(talkOf(sight))))
        story.add(sight);
    }
  }
  const home = all.find((sight) => isEnd(sight, ping));
  // What the machines' kernels ask each other seconds later is another story.
  return all.filter((sight) => story.has(sight) && (home === undefined || sight.at - home.at < AFTER_NS));
}

const keyOf = ({ gateway, line }: Sight): string => `${gateway.node} ${line.id}`;

/** The echo itself, and an error that came back to who sent it. */
function isPings({ packet: { ip, icmp } }: Sight, { source, destination, echo }: Ping): boolean {
  if (ip === null || icmp === null) return false;
  if (icmp.what.startsWith("echo"))
    return (
      icmp.echo === echo && [source, destination].includes(ip.source) && [source, destination].includes(ip.destination)
    );
  return ip.destination === source;
}

function isAbout({ packet: { resolution } }: Sight, { source, destination }: Ping): boolean {
  return [source, destination].some((ip) => resolution!.senderIp === ip || resolution!.targetIp === ip);
}

/** A question and its answer have the same two addresses. */
const talkOf = ({ packet: { resolution } }: Sight): string =>
  [resolution!.senderIp, resolution!.targetIp].sort().join(" ");
