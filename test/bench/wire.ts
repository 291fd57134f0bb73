/**
 * Two kinds of underlay out of one veth pair.
 *
 * `passthrough`: the veth as it comes. A 64 KB super-segment crosses it whole, which no wire does; it flatters
 * everybody, the kernel most. `wire`: whatever leaves is cut to packets of the MTU first, with `gro off` (each arrives
 * by itself) and with `gro on` (they are joined on arrival, as a NIC driver does). That it is so is not believed but
 * measured: bytes per packet, by the veth's own counters.
 */
import type { Peer } from "./peer.ts";

export type Wire = "passthrough" | "wire, gro off" | "wire, gro on";
export const WIRES: readonly Wire[] = ["passthrough", "wire, gro off", "wire, gro on"];

/** Features that a wire does not have; the order matters to ethtool, which refuses what depends on another. */
const CUTTERS = [
  ...["tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation", "tx-udp-segmentation"],
  ...["tx-checksum-ip-generic", "tso", "gso"],
];
/** Ethernet header, IP packet of the MTU. */
const LONGEST_PACKET = 1550 + 14;
const SHORTEST_MEAN = 1300;

export async function setWire(peer: Peer, wire: Wire): Promise<void> {
  const isWire = wire !== "passthrough";
  const order = isWire ? CUTTERS : CUTTERS.toReversed();
  const settings = order.flatMap((feature) => [feature, isWire ? "off" : "on"]);
  const gro = wire === "wire, gro on" ? "on" : "off";
  for (const gateway of ["gw1", "gw2"]) {
    await peer.bed.must(gateway, "ethtool", ["-K", "ul0", ...settings, "gro", gro]);
  }
}

export interface Crossing {
  readonly packets: number;
  readonly bytesPerPacket: number;
}

/** What crosses the underlay toward b (or back) while `load` runs. */
export async function crossing(peer: Peer, isReverse: boolean, load: () => Promise<void>): Promise<Crossing> {
  const receiver = isReverse ? "gw1" : "gw2";
  const before = await peer.bed.counters(receiver, "ul0");
  await load();
  const after = await peer.bed.counters(receiver, "ul0");
  const packets = after.receivedPackets - before.receivedPackets;
  const bytes = after.receivedBytes - before.receivedBytes;
  return { packets, bytesPerPacket: packets === 0 ? 0 : bytes / packets };
}

/** Throws unless bulk TCP crossed in packets of the MTU. */
export function assertWire(peer: Peer, wire: Wire, { bytesPerPacket }: Crossing): void {
  if (wire === "passthrough") return;
  if (bytesPerPacket > LONGEST_PACKET || bytesPerPacket < SHORTEST_MEAN) {
    throw new Error(
      `${peer.name}, ${wire}: ${bytesPerPacket.toFixed(0)} bytes per packet on the underlay, not ${SHORTEST_MEAN}..${LONGEST_PACKET}`,
    );
  }
}
