/**
 * The root part: every load on every peer, interleaved. One round is one pass over the peers, so that whatever else the
 * machine does falls on all of them; the order within a round rotates.
 */
import { pause } from "../../src/lab/deadline.ts";
import { type Figures, note, valuesOf } from "./figures.ts";
import { kernelPeer } from "./kernel-peer.ts";
import { bestUdp, openSink, type Sink, tcp, udp } from "./loads.ts";
import type { Options } from "./options.ts";
import { ovsPeer, whyNoOvs } from "./ovs-peer.ts";
import { ownPeer } from "./own-peer.ts";
import type { Peer } from "./peer.ts";
import { print, say } from "./screen.ts";
import { processUsage, threadTimes, usageOf } from "./usage.ts";
import { assertWire, crossing, setWire, WIRES, type Wire } from "./wire.ts";

const PAYLOADS = [18, 64, 256, 1400];
const FLOWS = [1, 64];
const PROBE_SECONDS = 0.5;

export interface Ground {
  readonly peers: Peer[];
  /** What could not take part, and why. */
  readonly missing: string[];
}

/** Start all peers into `ground`, which an interrupt may close at any moment. */
export async function openPeers({ peers, missing }: Ground, against?: string): Promise<void> {
  say("starting the kernel's vxlan");
  peers.push(await kernelPeer());
  const reason = against === undefined ? await whyNoOvs() : null;
  if (reason === null) {
    say(`starting vtepd of ${against}`);
    peers.push(await ownPeer(false, against));
  } else if (reason !== undefined) missing.push(`OVS userspace: ${reason}`);
  else {
    say("starting OVS userspace");
    // A peer that does not come up is one column less, not the end of the measurement.
    await ovsPeer().then(
      (peer) => peers.push(peer),
      (error: Error) => missing.push(`OVS userspace: ${error.message}`),
    );
  }
  say("starting vtepd");
  peers.push(await ownPeer());
}

/** What each peer pays once, before it is measured: a program compiles what its first packets run through. */
export async function warmUp(peers: readonly Peer[], seconds: number): Promise<void> {
  for (const peer of peers) for (const isReverse of [false, true]) await tcp(peer, 1, isReverse, seconds);
}

export async function closePeers({ peers }: Ground): Promise<void> {
  for (const peer of peers) await peer.remove();
}

/** Each peer once, another one first in each round. */
export async function eachPeer(
  peers: readonly Peer[],
  round: number,
  visit: (peer: Peer) => Promise<void>,
): Promise<void> {
  for (let i = 0; i < peers.length; i++) await visit(peers[(i + round) % peers.length]!);
}

// ---- TCP ---------------------------------------------------------------------------------------------------------

export const tcpMetric = (wire: Wire, streams: number, isReverse: boolean) =>
  `TCP ${wire}, ${streams} ${streams === 1 ? "stream" : "streams"}${isReverse ? ", reverse" : ""}, Gbit/s`;

export async function tcpRounds(options: Options, { peers, missing }: Ground, figures: Figures): Promise<void> {
  const ways = options.isQuick ? [false] : [false, true];
  for (const wire of WIRES) {
    for (const peer of peers) await setWire(peer, wire);
    for (let round = 0; round < options.rounds; round++) {
      for (const streams of [1, 4]) {
        for (const isReverse of ways) {
          const words: string[] = [];
          await eachPeer(peers, round, async (peer) => {
            try {
              words.push(`${peer.name} ${await tcpOnce(options, peer, wire, streams, isReverse, figures)}`);
            } catch (error) {
              missing.push(`${tcpMetric(wire, streams, isReverse)}, ${peer.name}: ${(error as Error).message}`);
            }
          });
          say(`round ${round + 1}: ${tcpMetric(wire, streams, isReverse)}: ${words.join(", ")}`);
        }
      }
    }
  }
  for (const peer of peers) await setWire(peer, "passthrough");
}

async function tcpOnce(
  { seconds }: Options,
  peer: Peer,
  wire: Wire,
  streams: number,
  isReverse: boolean,
  figures: Figures,
): Promise<string> {
  let result = { gigabitsPerSecond: 0, gigabits: 0, retransmits: 0 };
  let crossed = { packets: 0, bytesPerPacket: 0 };
  const gateways = () => peer.daemons.map((pid) => threadTimes([pid]));
  const before = gateways();
  const usage = await usageOf(async () => {
    crossed = await crossing(peer, isReverse, async () => {
      result = await tcp(peer, streams, isReverse, seconds);
    });
  });
  assertWire(peer, wire, crossed);
  const metric = tcpMetric(wire, streams, isReverse);
  note(figures, metric, peer.name, result.gigabitsPerSecond);
  const of = metric.replace("Gbit/s", "");
  note(figures, `${of}bytes per packet on the underlay`, peer.name, crossed.bytesPerPacket);
  note(figures, `${of}CPU seconds of the machine per Gbit`, peer.name, usage.cpuSeconds / result.gigabits);
  note(figures, `${of}context switches per Gbit`, peer.name, usage.contextSwitches / result.gigabits);
  note(figures, `${of}retransmits`, peer.name, result.retransmits);
  const [sends = 0, receives = 1] = isReverse ? [1, 0] : [];
  for (const [role, gateway] of [["send", sends] as const, ["receive", receives] as const]) {
    const [from, to] = [before[gateway], gateways()[gateway]];
    if (from === undefined || to === undefined) continue;
    // By the daemon's own time on a processor: what one core could do, whatever else had it meanwhile.
    note(figures, `${of}Gbit/s a gateway core, ${role}`, peer.name, result.gigabits / (to.run - from.run));
    note(figures, `${of}run delay of the gateway, ${role}, s per s`, peer.name, (to.delay - from.delay) / seconds);
  }
  return result.gigabitsPerSecond.toFixed(2);
}

// ---- small UDP ---------------------------------------------------------------------------------------------------

export const udpMetric = (wire: Wire, payload: number, flows: number, what: string) =>
  `UDP ${wire}, ${payload} B, ${flows} ${flows === 1 ? "flow" : "flows"}, ${what}, kpps`;
export const WITHOUT_LOSS = "delivered at ≤ 1 % loss";
export const OVERLOADED = "delivered at overload";

export async function udpRounds(options: Options, { peers, missing }: Ground, figures: Figures): Promise<void> {
  const sinks = new Map<Peer, Sink>();
  for (const peer of peers) sinks.set(peer, await openSink(peer));
  const combinations = (wire: Wire) =>
    options.isQuick || wire !== "passthrough"
      ? FLOWS.map((flows) => [18, flows] as const)
      : PAYLOADS.flatMap((payload) => FLOWS.map((flows) => [payload, flows] as const));
  try {
    for (const wire of options.isQuick ? WIRES.slice(0, 1) : WIRES) {
      for (const peer of peers) await setWire(peer, wire);
      for (let round = 0; round < options.rounds; round++) {
        for (const [payload, flows] of combinations(wire)) {
          const words: string[] = [];
          await eachPeer(peers, round, async (peer) => {
            try {
              words.push(await udpOnce(options, peer, sinks.get(peer)!, wire, payload, flows, figures));
            } catch (error) {
              missing.push(`${udpMetric(wire, payload, flows, "")}, ${peer.name}: ${(error as Error).message}`);
            }
          });
          say(`round ${round + 1}: UDP ${wire}, ${payload} B, ${flows} flows, kpps: ${words.join(", ")}`);
        }
      }
    }
  } finally {
    for (const sink of sinks.values()) sink.close();
    for (const peer of peers) await setWire(peer, "passthrough");
  }
}

async function udpOnce(
  options: Options,
  peer: Peer,
  sink: Sink,
  wire: Wire,
  payload: number,
  flows: number,
  figures: Figures,
): Promise<string> {
  const gateways = () => peer.daemons.map((pid) => threadTimes([pid]).run);
  const before = gateways();
  const overload = await udp(peer, sink, payload, flows, 0, PROBE_SECONDS);
  for (const [gateway, run] of gateways().entries()) {
    const [role, packets] = gateway === 0 ? ["send", overload.offered] : ["receive", overload.delivered];
    const kilo = (packets * PROBE_SECONDS) / 1000 / (run - before[gateway]!);
    note(figures, udpMetric(wire, payload, flows, `a gateway core, ${role}`), peer.name, kilo);
  }
  const best = await bestUdp(peer, sink, payload, flows, overload, options.isQuick ? 5 : 7, PROBE_SECONDS);
  note(figures, udpMetric(wire, payload, flows, OVERLOADED), peer.name, overload.delivered / 1000);
  note(figures, udpMetric(wire, payload, flows, "offered at overload"), peer.name, overload.offered / 1000);
  note(figures, udpMetric(wire, payload, flows, WITHOUT_LOSS), peer.name, (best?.delivered ?? 0) / 1000);
  const kilo = (value: number | undefined) => (value === undefined ? "none" : (value / 1000).toFixed(0));
  const reordered = overload.reordered + (best?.reordered ?? 0);
  return `${peer.name} ${kilo(best?.delivered)} (overload ${kilo(overload.delivered)} of ${kilo(overload.offered)}${reordered > 0 ? `, ${reordered} reordered` : ""})`;
}

// ---- memory, idle CPU, full tables ---------------------------------------------------------------------------------

export const RESIDENT = "resident memory of a VTEP, MB";
/** With several peers up there are eight gateways to share Node's text. */
const PROPORTIONAL = "proportional memory of a VTEP (PSS), MB";

/** A start goes on for a while: neighbours are asked, V8 compiles what has run often. */
const SETTLE_MS = 20_000;

/** Before anything is sent: what a gateway takes that waits. */
export async function restingRounds(options: Options, ground: Ground, figures: Figures): Promise<void> {
  const idleSeconds = options.isQuick ? 2 : 10;
  const resting = ground.peers.filter(({ daemons }) => daemons.length > 0);
  await pause(options.isQuick ? 0 : SETTLE_MS);
  const uses = ({ daemons }: Peer) => daemons.map((pid) => processUsage(pid));
  const before = resting.map(uses);
  await pause(idleSeconds * 1000);
  for (const [i, peer] of resting.entries()) {
    for (const [k, { cpuSeconds, residentMb, proportionalMb }] of uses(peer).entries()) {
      note(
        figures,
        "CPU of an idle VTEP, %",
        peer.name,
        ((cpuSeconds - before[i]![k]!.cpuSeconds) / idleSeconds) * 100,
      );
      note(figures, RESIDENT, peer.name, residentMb);
      note(figures, PROPORTIONAL, peer.name, proportionalMb);
    }
  }
}

export async function fullRounds(options: Options, ground: Ground, figures: Figures): Promise<void> {
  const empty = ground.peers.find(({ name }) => name === "vtepd")!;
  say("starting vtepd with 100,000 MACs and 50,000 neighbours");
  const full = await ownPeer(true).catch((error: Error) => {
    ground.missing.push(`full tables: ${error.message}`);
  });
  if (full === undefined) return;
  try {
    for (const { residentMb, proportionalMb } of full.daemons.map((pid) => processUsage(pid))) {
      note(figures, RESIDENT, full.name, residentMb);
      note(figures, PROPORTIONAL, full.name, proportionalMb);
    }
    await warmUp([full], options.seconds);
    const sinks = [await openSink(empty), await openSink(full)] as const;
    for (let round = 0; round < options.rounds; round++) {
      await eachPeer([empty, full], round, async (peer) => {
        const { gigabitsPerSecond } = await tcp(peer, 1, false, options.seconds);
        note(figures, "full tables: TCP passthrough, 1 stream, Gbit/s", peer.name, gigabitsPerSecond);
        const { delivered } = await udp(peer, sinks[peer === empty ? 0 : 1], 18, 64, 0, PROBE_SECONDS * 2);
        note(figures, "full tables: UDP 18 B, 64 flows, overload, kpps", peer.name, delivered / 1000);
      });
    }
    for (const sink of sinks) sink.close();
    const last = (peer: Peer) => valuesOf(figures, "full tables: TCP passthrough, 1 stream, Gbit/s", peer.name).at(-1);
    print(`full tables: TCP ${last(full)?.toFixed(2)} Gbit/s, empty ${last(empty)?.toFixed(2)}`);
  } finally {
    await full.remove();
  }
}
