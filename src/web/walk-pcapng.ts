/**
 * A walk as a capture file, for Wireshark and tshark: one packet for each hop, in the order of the walk, on an interface named after its
 * place, with the article's step and what became of it as its comment.
 *
 * A capture of a gateway has inner frames, with what it knows of the outer header; here the datagram stands around them again, as
 * it was on the underlay. Its MAC addresses, its identification and TTL were not seen by any gateway: MACs are made of the VTEP
 * addresses, and the rest is what a sender of ours writes.
 */
import { Pcapng } from "../ctl/pcapng.ts";
import { setI32, setU16 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_TYPE, setMac, TYPE_IPV4 } from "../wire/ethernet.ts";
import {
  FRAGMENT_DF,
  IP_DST,
  IP_FRAGMENT,
  IP_LENGTH,
  IP_PROTOCOL,
  IP_SRC,
  IP_TTL,
  IPV4_BYTES,
  PROTO_UDP,
  parseIpv4,
  setHeaderChecksum,
} from "../wire/ipv4.ts";
import { L4_DST_PORT, L4_SRC_PORT, UDP_BYTES } from "../wire/udp-tcp.ts";
import { emitVxlan, VXLAN_HEADER_BYTES, VXLAN_PORT } from "../wire/vxlan.ts";
import { SNAPLEN } from "./recording.ts";
import type { Hop, Walk } from "./said-walk.ts";

const OUTER_BYTES = ETH_BYTES + IPV4_BYTES + UDP_BYTES + VXLAN_HEADER_BYTES;
/** Where the gateway's source port was not seen: the first dynamic one (RFC 6335 §6). */
const SOME_PORT = 49_152;
const MAC_PREFIX = 0x0200;

export function walkPcapng(walk: Walk, version: string): Buffer {
  const parts: Buffer[] = [];
  const file = new Pcapng(
    (bytes) => void parts.push(bytes),
    `vtepctl web ${version}: ${walk.title}`,
    SNAPLEN + OUTER_BYTES,
  );
  const label = (id: string) => walk.actors.find((actor) => actor.id === id)?.label ?? id;
  const kindOf = (id: string) => walk.actors.find((actor) => actor.id === id)?.kind;
  const began = BigInt(walk.beganNs);
  for (const [i, hop] of walk.hops.entries()) {
    // A frame that was never sent has no bytes.
    if (hop.hex === "") continue;
    const inner = Buffer.from(hop.hex, "hex");
    const outer = outerOf(hop);
    const isSent = kindOf(hop.from) === "gateway";
    const gateway = isSent ? hop.from : hop.to;
    const beside = hop.tunnel === null ? label(isSent ? hop.to : hop.from) : "underlay";
    file.packet({
      port: `${label(gateway)} ${beside}`,
      at: began + BigInt(Math.round(hop.atMs * 1e6)),
      direction: isSent ? "out" : "in",
      length: outer.length + Math.max(hop.length, inner.length),
      bytes: Buffer.concat([outer, inner]),
      comment: commentOf(walk, hop, i + 1),
    });
  }
  file.end(walk.lost);
  return Buffer.concat(parts);
}

function commentOf({ scenario }: Walk, { step, text, state, reason, fate, rows }: Hop, number: number): string {
  const at = step === null || scenario === null ? "" : `, S${scenario}.${step}`;
  const end = state === "passed" ? (fate ?? "") : `${state}: ${reason?.text ?? ""}`;
  const judged = rows.map(({ holds, expected }) => `${holds ? "as expected" : "NOT as expected"}: ${expected}`);
  return [`hop ${number}${at}: ${text}`, end, ...judged].filter((line) => line !== "").join("\n");
}

/** What the datagram has in front of the inner frame; nothing where there is none, or where the underlay is IPv6. */
function outerOf({ tunnel, length }: Hop): Buffer {
  const source = parseIpv4(tunnel?.source ?? "");
  const destination = parseIpv4(tunnel?.destination ?? "");
  if (tunnel === null || source === null || destination === null) return Buffer.alloc(0);
  const bytes = Buffer.alloc(OUTER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  setMac(bytes, 0, MAC_PREFIX, destination);
  setMac(bytes, 6, MAC_PREFIX, source);
  setU16(bytes, ETH_TYPE, TYPE_IPV4);
  const ip = ETH_BYTES;
  bytes[ip] = 0x45;
  setU16(bytes, ip + IP_LENGTH, OUTER_BYTES - ETH_BYTES + length);
  setU16(bytes, ip + IP_FRAGMENT, FRAGMENT_DF);
  bytes[ip + IP_TTL] = 64;
  bytes[ip + IP_PROTOCOL] = PROTO_UDP;
  setI32(bytes, ip + IP_SRC, source);
  setI32(bytes, ip + IP_DST, destination);
  setHeaderChecksum(bytes, ip);
  const udp = ip + IPV4_BYTES;
  setU16(bytes, udp + L4_SRC_PORT, tunnel.sourcePort ?? SOME_PORT);
  setU16(bytes, udp + L4_DST_PORT, VXLAN_PORT);
  // A checksum of zero: none was computed (RFC 7348 §5).
  setU16(bytes, udp + 4, UDP_BYTES + VXLAN_HEADER_BYTES + length);
  emitVxlan(view, udp + UDP_BYTES, tunnel.vni ?? 0);
  return bytes;
}
