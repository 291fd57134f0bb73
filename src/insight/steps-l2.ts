/**
 * The story of a what-if packet: a line for each thing that was decided about it.
 *
 *   1 ingress   ac vm1, untagged                       vsi vsi10
 *   2 bridge    destination is the gateway MAC         route
 *   …
 *
 * Told after each stage, from what the stage left behind. Nothing here decides anything: what is looked up again (a MAC,
 * a prefix) is looked up with the data plane's own functions, to name what it found.
 *
 * Not in the path of frames: it may allocate.
 */

import { senderText } from "../control/security/offenders.ts";
import type { WorkerContext } from "../dataplane/context.ts";
import { type Fate, type Frame, GO_ON, PUNTED, SENT } from "../dataplane/frame.ts";
import { VXLAN_BYTES } from "../io/port-io.ts";
import { DROP, DROPS, PUNT, PUNTS, RECORD_LEARN } from "../tables/counters.ts";
import { MAC_FLOOD, MAC_GATEWAY, MAC_PORT_MASK, MAC_STATIC, macKey } from "../tables/mac.ts";
import { SET_OVERHEAD } from "../tables/tables.ts";
import { FLOOD_ALL, IO_TAP, KIND_TUNNEL } from "../tables/vsi.ts";
import { u16 } from "../wire/bytes.ts";
import {
  ETH_BYTES,
  ETH_TYPE,
  formatMac,
  isBroadcast,
  isGroupHi,
  macOf,
  TYPE_ARP,
  TYPE_IPV6,
  TYPE_VLAN,
} from "../wire/ethernet.ts";
import { plural } from "../wire/plural.ts";
import { vniAt } from "../wire/vxlan.ts";
import { type Names, resultOf, type Step, type WouldPunt, type WouldSend } from "./step.ts";
import { routeSteps } from "./steps-l3.ts";

/** What of a type of frame is control's, beside DHCP. */
const CONTROLS: Readonly<Record<number, string>> = {
  [TYPE_ARP]: "ARP",
  [TYPE_IPV6]: "neighbour discovery",
};

export class Story {
  readonly steps: Step[] = [];
  private readonly worker: WorkerContext;
  private readonly f: Frame;
  private readonly names: Names;
  /** The frame as it came, from the Ethernet header on: forwarding changes it in place. */
  private readonly original: Uint8Array;
  private readonly isDatagram: boolean;

  constructor(worker: WorkerContext, names: Names, bytes: Uint8Array) {
    this.worker = worker;
    this.f = worker.frame;
    this.names = names;
    this.isDatagram = worker.ports.ioKind[worker.frame.source] !== IO_TAP;
    this.original = this.isDatagram ? bytes.slice(VXLAN_BYTES) : bytes.slice();
  }

  /** `stage` has answered `fate`; `records` is what control has been told so far. */
  after(stage: string, fate: Fate, records: readonly WouldPunt[]): void {
    if (stage === "parse") this.parsed(fate);
    else if (stage === "ingress") this.admitted(fate);
    else if (stage === "source") this.learned(fate, records);
    else if (stage === "toCpu") this.toControl(fate, records);
    else this.forwarded(fate, records);
  }

  /** The ways out, and copies that find none. */
  end(fate: Fate, sends: readonly WouldSend[], lost: ReadonlyMap<number, number>): void {
    for (const send of sends) this.say("egress", this.wayOut(send), this.sizeOf(send));
    for (const [reason, copies] of lost)
      this.say("egress", plural(copies, "copy", "copies"), `drop ${DROPS[reason - 1]![0]}`);
    if (fate === SENT && sends.length === 0) throw new Error("a what-if packet was sent nowhere");
  }

  private say(stage: string, text: string, result: string): void {
    this.steps.push({ stage, text, result });
  }

  private parsed(fate: Fate): void {
    if (fate !== GO_ON) this.say("parse", `${this.original.length} bytes`, resultOf(fate));
  }

  private admitted(fate: Fate): void {
    const { f, names } = this;
    const place = f.port === 0 ? (this.isDatagram ? "unknown sender" : "TAP") : names.port(f.port);
    let how: string;
    if (this.isDatagram) how = `vni ${vniAt(f.bytes, f.at - VXLAN_BYTES)}`;
    else if (u16(this.original, ETH_TYPE) === TYPE_VLAN) how = `tag ${u16(this.original, ETH_BYTES) & 0xfff}`;
    else how = "untagged";
    const isUnbound = fate === DROP.port_security;
    // Of the VNI of BFD, which no VSI has.
    const isBfd = fate === PUNTED && f.vsi === 0;
    const isInVsi = fate === GO_ON || (fate === PUNTED && !isBfd) || isUnbound;
    this.say("ingress", `${place}, ${how}`, isInVsi ? `vsi ${names.vsi(f.vsi)}` : resultOf(fate));
    if (isBfd) return;
    if (isUnbound)
      this.say("security", `no binding of ${place} has ${senderText(f.bytes.subarray(f.at, f.end))}`, resultOf(fate));
    else if (fate === PUNTED) this.say("security", "a DHCP request without a binding", resultOf(fate));
  }

  private learned(fate: Fate, records: readonly WouldPunt[]): void {
    const { worker, f, names } = this;
    const mac = formatMac(macOf(f.srcHi, f.srcLo));
    if (fate !== GO_ON) return void this.say("source", mac, resultOf(fate));
    const value = worker.macs.get(f.srcLo, macKey(f.vsi, f.srcHi));
    const known = value & MAC_PORT_MASK;
    const isTold = records.some((record) => record.kind === RECORD_LEARN);
    if (known === f.port) return;
    const where = known === 0 ? "unknown" : `behind ${names.port(known)}`;
    if (isTold) this.say("source", `${mac} is ${where}`, `control learns: ${names.port(f.port)}`);
    else if ((value & MAC_STATIC) !== 0) this.say("source", `${mac} is static ${where}`, "not learned");
    else if ((value & MAC_GATEWAY) !== 0) this.say("source", `${mac} is a gateway MAC`, "not learned");
  }

  private toControl(fate: Fate, records: readonly WouldPunt[]): void {
    const isDhcp = fate === DROP.dhcp_guard || records.some(({ kind }) => kind === PUNT.dhcp);
    const what = isDhcp ? "DHCP" : CONTROLS[this.f.type];
    if (what === undefined) return;
    const told = records.some(({ kind }) => kind === PUNT.arp || kind === PUNT.nd);
    if (fate !== GO_ON) this.say("cpu", what, resultOf(fate));
    else if (told) this.say("cpu", what, "a copy to control");
  }

  private forwarded(fate: Fate, records: readonly WouldPunt[]): void {
    const { worker, f, names } = this;
    if (isGroupHi(f.dstHi))
      return void this.flooded(fate, isBroadcast(f.dstHi, f.dstLo) ? "broadcast" : "a group address");
    const value = worker.macs.get(f.dstLo, macKey(f.vsi, f.dstHi));
    const mac = formatMac(macOf(f.dstHi, f.dstLo));
    const port = value & MAC_PORT_MASK;
    if (value === 0) return void this.flooded(fate, `destination ${mac} is unknown`);
    if ((value & MAC_GATEWAY) !== 0 && (port === 0 || f.fromTunnel === 0)) {
      const whose = port === 0 ? "the gateway MAC" : `the gateway MAC of ${names.port(port)}`;
      this.say("bridge", `destination is ${whose}`, "route");
      this.steps.push(...routeSteps(worker, names, this.original, fate, records));
      return;
    }
    if ((value & MAC_FLOOD) !== 0) return void this.flooded(fate, `destination ${mac} is a flood exception`);
    const result = fate === SENT ? "forward" : resultOf(fate);
    this.say("bridge", `destination ${mac} is behind ${names.port(port)}`, result);
  }

  private flooded(fate: Fate, why: string): void {
    const { worker, f, names } = this;
    this.say("bridge", why, fate === DROP.reserved_mac || fate === DROP.storm_limited ? resultOf(fate) : "flood");
    if (fate === DROP.reserved_mac || fate === DROP.storm_limited) return;
    const ports = worker.vsis.flood[worker.vsis.floodAt[f.vsi]! + FLOOD_ALL]!;
    const horizon = f.fromTunnel !== 0 ? ", to ACs alone (split horizon)" : "";
    const list = `flood list of ${names.vsi(f.vsi)}: ${plural(ports, "port")}${horizon}`;
    this.say("flood", list, fate === SENT ? plural(worker.sendCount, "copy", "copies") : resultOf(fate));
  }

  private wayOut({ port, vsi }: WouldSend): string {
    const { worker, names } = this;
    if (worker.ports.kind[port] === KIND_TUNNEL) return `${names.port(port)}, vni ${worker.vsis.vni[vsi]}`;
    const vlan = worker.ports.vlan[port]!;
    return `${names.port(port)}, ${vlan === 0 ? "untagged" : `tag ${vlan}`}`;
  }

  /** Bytes of the IP packet that the way out has to carry, and how many it takes. */
  private sizeOf({ port, bytes }: WouldSend): string {
    const { worker } = this;
    const isTunnel = worker.ports.kind[port] === KIND_TUNNEL;
    const overhead = isTunnel ? worker.settings[SET_OVERHEAD]! : 0;
    const tag = !isTunnel && worker.ports.vlan[port] !== 0 ? 4 : 0;
    const inner = bytes.length - (isTunnel ? VXLAN_BYTES : 0) - ETH_BYTES - tag;
    return `${inner + overhead} of ${worker.ports.mtu[port]! + overhead} bytes`;
  }
}

/** The sentence of a punt class. */
export function puntText(kind: number): string {
  return PUNTS[kind - 1]![1];
}
