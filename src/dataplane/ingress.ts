/**
 * The door: which VSI is this frame in, and does it have the right to be?
 *
 * From a TAP: the 802.1Q tag (or none) chooses the AC; the tag is stripped. From the underlay: RFC 7348 §5 and §6.1
 * checks, RFC 6040 decapsulation; the VNI *and* the tunnel together choose the VSI. After this file nothing asks
 * where the bytes came from except through `port` and `fromTunnel`.
 */

import { F_OUTER_TOS, FLAG_CSUM_BAD, FLAG_GSO_BAD, FLAG_TRUNCATED, GSO_MASK, VXLAN_BYTES } from "../io/port-io.ts";
import { DROP, MISC_RESERVED_BITS, MISC_SUPER_RECEIVE } from "../tables/counters.ts";
import { SET_BFD_VNI, SET_STRICT_RESERVED } from "../tables/tables.ts";
import { IO_TAP, PORT_STRICT, PORT_UP, VSI_KEEP_INNER_VLAN } from "../tables/vsi.ts";
import { move, setU16, u16 } from "../wire/bytes.ts";
import {
  ETH_BYTES,
  ETH_DST,
  ETH_SRC,
  ETH_TYPE,
  TYPE_IPV4,
  TYPE_IPV6,
  TYPE_QINQ,
  TYPE_VLAN,
  VLAN_TAG_BYTES,
} from "../wire/ethernet.ts";
import { IP_CHECKSUM, IP_TOS, IPV4_BYTES } from "../wire/ipv4.ts";
import { hasReservedBits, hasVni, vniAt } from "../wire/vxlan.ts";
import type { WorkerContext } from "./context.ts";
import { type Fate, type Frame, GO_ON, PUNTED } from "./frame.ts";
import { raGuard } from "./ra-guard.ts";
import { sourceGuard } from "./source-guard.ts";
import { toBfd } from "./to-bfd.ts";

/** Tags of VLAN id 0 that are taken off one frame; no honest host sends two. */
const MAX_PRIORITY_TAGS = 4;

/** Bytes to Ethernet fields. A datagram's VXLAN header stays before `at`; ingress() looks at it. */
export function parse(worker: WorkerContext, f: Frame): Fate {
  const isDatagram = worker.ports.ioKind[f.source] !== IO_TAP;
  if ((f.flags & GSO_MASK) !== 0) worker.countSuper(f, MISC_SUPER_RECEIVE, isDatagram ? 1 : 0);
  if (isDatagram) {
    if ((f.flags & FLAG_TRUNCATED) !== 0 || f.length < VXLAN_BYTES + ETH_BYTES)
      return turnAway(worker, f, worker.ports.ofIo[f.source]!, DROP.vxlan_truncated);
    f.fromTunnel = 1;
    f.at += VXLAN_BYTES;
    f.length -= VXLAN_BYTES;
    f.head -= VXLAN_BYTES;
  } else if (f.length < ETH_BYTES) return turnAway(worker, f, 0, DROP.runt);
  readEthernet(f);
  return f.flags === 0 ? GO_ON : distrust(worker, f);
}

/** What the io found wrong with a frame that is not a plain one. */
function distrust(worker: WorkerContext, f: Frame): Fate {
  const flags = f.flags & (FLAG_GSO_BAD | FLAG_CSUM_BAD);
  if (flags === 0) return GO_ON;
  const reason = (flags & FLAG_GSO_BAD) !== 0 ? DROP.gso_bad : DROP.csum_bad;
  // Whose a tagged frame of a TAP is, only ingress() could say.
  const isTagged = f.fromTunnel === 0 && f.type === TYPE_VLAN;
  return turnAway(worker, f, isTagged ? 0 : worker.ports.ofIo[f.source]!, reason);
}

/** The frame is dropped before it is in a VSI: by which port it came is counted all the same. 0: that is not known. */
function turnAway(worker: WorkerContext, f: Frame, port: number, reason: Fate): Fate {
  f.port = port;
  worker.counters.turnedAway[port]! += f.units;
  return reason;
}

/** The Ethernet header at `at` into the cursor's fields. */
export function readEthernet(f: Frame): void {
  const view = f.view;
  const at = f.at;
  f.dstHi = view.getUint16(at + ETH_DST);
  f.dstLo = view.getInt32(at + ETH_DST + 2);
  f.srcHi = view.getUint16(at + ETH_SRC);
  f.srcLo = view.getInt32(at + ETH_SRC + 2);
  f.type = view.getUint16(at + ETH_TYPE);
}

/** AC or tunnel to VSI. */
export function ingress(worker: WorkerContext, f: Frame): Fate {
  const fate = f.fromTunnel ? fromTunnel(worker, f) : fromAc(worker, f);
  if (fate !== GO_ON) return fate === PUNTED ? fate : turnAway(worker, f, f.port, fate);
  worker.countReceived(f);
  if ((worker.ports.flags[f.port]! & PORT_STRICT) !== 0) {
    const unbound = sourceGuard(worker, f);
    if (unbound !== GO_ON) return unbound;
  }
  return raGuard(worker, f);
}

function fromAc(worker: WorkerContext, f: Frame): Fate {
  const ports = worker.ports;
  if (f.type < TYPE_VLAN) f.port = ports.ofIo[f.source]!;
  else {
    const fate = tagged(worker, f);
    if (fate !== GO_ON) return fate;
  }
  if (f.port === 0) return DROP.ac_unbound;
  f.vsi = ports.vsi[f.port]!;
  return f.vsi === 0 ? DROP.ac_unbound : GO_ON;
}

/**
 * The AC of a frame that may have tags. The first one chooses it; VLAN id 0 is a priority tag (IEEE 802.1Q §6.9): the frame is untagged.
 * Hosts take off all priority tags there are, of either type, so none may stay to hide from us what is behind it.
 */
function tagged(worker: WorkerContext, f: Frame): Fate {
  const { ports } = worker;
  f.port = ports.ofIo[f.source]!;
  if (f.type === TYPE_VLAN) {
    if (f.head < ETH_BYTES + VLAN_TAG_BYTES) return DROP.runt;
    const vlan = vlanOf(f);
    if (vlan !== 0) {
      f.port = ports.ofVlan.get(f.source, vlan);
      if (f.port === 0) return DROP.ac_unbound;
      stripTag(f);
    }
  }
  for (let n = 0; f.type === TYPE_VLAN || f.type === TYPE_QINQ; n++) {
    if (f.head < ETH_BYTES + VLAN_TAG_BYTES) return DROP.runt;
    if (vlanOf(f) !== 0) return GO_ON;
    if (n === MAX_PRIORITY_TAGS) return DROP.ac_unbound;
    stripTag(f);
  }
  return GO_ON;
}

function vlanOf(f: Frame): number {
  return u16(f.bytes, f.at + ETH_BYTES) & 0xfff;
}

/** Take the tag out: the MACs move up by four bytes. */
function stripTag(f: Frame): void {
  move(f.bytes, f.at + VLAN_TAG_BYTES, f.at, ETH_TYPE);
  f.at += VLAN_TAG_BYTES;
  f.length -= VLAN_TAG_BYTES;
  f.head -= VLAN_TAG_BYTES;
  if (f.flags !== 0) {
    f.csumStart -= VLAN_TAG_BYTES;
    f.csumOffset -= VLAN_TAG_BYTES;
  }
  f.type = u16(f.bytes, f.at + ETH_TYPE);
}

function fromTunnel(worker: WorkerContext, f: Frame): Fate {
  const t = worker.tables;
  const header = f.at - VXLAN_BYTES;
  f.port = t.ports.ofIo[f.source]!;
  if (f.port === 0) return DROP.unknown_vtep;
  if (!hasVni(f.bytes, header)) return DROP.bad_flags;
  if (hasReservedBits(f.bytes, header)) {
    if (t.settings[SET_STRICT_RESERVED] === 1) return DROP.reserved_bits;
    worker.counters.misc[MISC_RESERVED_BITS]! += f.units;
  }
  const vni = vniAt(f.bytes, header);
  f.vsi = t.vsis.ofVni.get(vni, f.port);
  if (f.vsi === 0) return vni !== 0 && vni === t.settings[SET_BFD_VNI] ? toBfd(worker, f) : DROP.unknown_vni;
  if ((t.ports.flags[f.port]! & PORT_UP) === 0) return DROP.tunnel_down;
  if ((f.type === TYPE_VLAN || f.type === TYPE_QINQ) && (t.vsis.flags[f.vsi]! & VSI_KEEP_INNER_VLAN) === 0)
    return DROP.inner_vlan;
  const ecn = f.received(F_OUTER_TOS) & 3;
  return ecn === 0 ? GO_ON : decapsulateEcn(f, ecn);
}

/** RFC 6040 §4.2, figure 4: what the outer ECN field (not 00 here) does to the inner one. */
function decapsulateEcn(f: Frame, outer: number): Fate {
  const bytes = f.bytes;
  const l3 = f.at + ETH_BYTES;
  if (f.type === TYPE_IPV4 && f.head >= ETH_BYTES + IPV4_BYTES) {
    const inner = bytes[l3 + IP_TOS]! & 3;
    const now = mergedEcn(inner, outer);
    if (now < 0) return DROP.ecn;
    if (now !== inner) {
      // RFC 1624 eqn. 3 on the word of version, IHL and TOS: a wrong checksum stays wrong for the next to see.
      const before = u16(bytes, l3);
      bytes[l3 + IP_TOS] = (bytes[l3 + IP_TOS]! & ~3) | now;
      let sum = (~u16(bytes, l3 + IP_CHECKSUM) & 0xffff) + (~before & 0xffff) + u16(bytes, l3);
      sum = (sum & 0xffff) + (sum >> 16);
      sum = (sum & 0xffff) + (sum >> 16);
      setU16(bytes, l3 + IP_CHECKSUM, ~sum & 0xffff);
    }
  } else if (f.type === TYPE_IPV6 && f.head >= ETH_BYTES + 40) {
    const inner = (bytes[l3 + 1]! >> 4) & 3;
    const now = mergedEcn(inner, outer);
    if (now < 0) return DROP.ecn;
    bytes[l3 + 1] = (bytes[l3 + 1]! & 0xcf) | (now << 4);
  }
  return GO_ON;
}

/** The ECN field to forward, or -1 to drop. 0 not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. */
export function mergedEcn(inner: number, outer: number): number {
  if (outer === 3) return inner === 0 ? -1 : 3;
  if (outer === 1 && inner === 2) return 1;
  return inner;
}
