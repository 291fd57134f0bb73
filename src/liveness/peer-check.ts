/**
 * The doctor, about a tunnel's peer: does it answer, and do packets get there that are as long as ours may be?
 *
 * A small echo says nothing about lengths: a peer (or a link before it) with a smaller MTU than ours answers it, and drops
 * every full packet. So one echo is as long as the longest datagram we would send, with Don't Fragment.
 */
import type { Examination } from "../api/feature.ts";
import type { Tunnel } from "../api/schema.ts";
import { type Check, fail, ok, warn } from "../api/schema-doctor.ts";
import type { PingResult } from "../api/schema-probe.ts";

export interface AskedPeer {
  readonly name: string;
  readonly remote: string;
  /** Is its silence a failure, and is its tunnel down already? */
  readonly isWatched: boolean;
  readonly isUp: boolean;
  /** The longest datagram that we send it, bytes of IP. */
  readonly longest: number;
}

/** One echo of `length` bytes with DF. */
export type Ping = (length: number) => Promise<PingResult>;

/** Bytes of an echo that only asks whether somebody is there. */
const SMALL = 64;

export async function checkPeer({ name, remote, isWatched, isUp, longest }: AskedPeer, ping: Ping): Promise<Check> {
  const key = `peer ${name}`;
  const first = await ping(SMALL);
  // One lost echo says nothing: a machine that is busy, a peer that resolves our address.
  const { kind, rttMs, reason, fix } = first.kind === "lost" ? await ping(SMALL) : first;
  if (kind === "off") return warn(key, `cannot be asked: ${reason}`, fix ?? "see the log");
  if (kind !== "reply") {
    const text = `${remote} does not answer an echo${isUp ? "" : ", and the tunnel is down"}`;
    const help = "is the machine up, is there a route to it and back, does a firewall drop ICMP?";
    return isWatched ? fail(key, text, help) : warn(key, text, help);
  }
  const text = `${remote} answers in ${rttMs!.toFixed(3)} ms`;
  const problem = await fullSized(ping, longest);
  if (problem === null) return ok(key, text);
  const help = `vtepctl ping ${name} --mtu finds what passes; have both ends and all between them the same MTU?`;
  return warn(key, `${text}, but ${problem}`, help);
}

/** One echo of `length` bytes, and once more where it is lost. @returns what is wrong, or null. */
async function fullSized(ping: Ping, length: number): Promise<string | null> {
  let { kind, mtu } = await ping(length);
  if (kind === "lost") ({ kind, mtu } = await ping(length));
  if (kind === "reply" || kind === "off") return null;
  if (kind === "lost") return `${length} bytes with DF, as long as we may send, get no answer`;
  return `${length} bytes with DF, as long as we may send, are too long${mtu === null ? "" : `: a router says ${mtu}`}`;
}

/** Peers of tunnels: each is asked, and the way to it is told where something narrows it. */
export function peerChecks(
  tunnels: () => readonly Tunnel[],
  underlayMtu: () => number,
  ping: (tunnel: string, length: number) => Promise<PingResult>,
): Examination[] {
  const ask = ({ name, remote, up, probe }: Tunnel) => {
    const longest = probe.pathMtu ?? underlayMtu();
    const peer = { name, remote, isWatched: probe.keepalive !== null, isUp: up, longest };
    return checkPeer(peer, (length) => ping(name, length));
  };
  const paths = () => {
    const most = underlayMtu();
    return tunnels().flatMap((tunnel) => checkPath(tunnel, most));
  };
  return [() => Promise.all(tunnels().map(ask)), paths];
}

function checkPath({ name, probe }: Tunnel, underlayMtu: number): Check[] {
  if (probe.pathMtu === null) return [];
  const key = `path MTU to ${name}`;
  if (probe.pathMtu >= underlayMtu) return [ok(key, `${probe.pathMtu} bytes, all of the underlay's`)];
  const text = `${probe.pathMtu} bytes, where the underlay has ${underlayMtu}`;
  return [warn(key, text, "a link on the way is narrower; guests are told, but a wider link is faster")];
}
