/**
 * The layer-3 part of the story: header checks, policy, FIB, next hop, rewrite. See steps-l2.ts.
 *
 * Not in the path of frames: it may allocate.
 */

import { DEFAULT_VRF } from "../control/inventory.ts";
import { formatIp, type Ip, networkOf } from "../control/ip.ts";
import type { WorkerContext } from "../dataplane/context.ts";
import { type Fate, type Frame, PUNTED, SENT } from "../dataplane/frame.ts";
import {
  POLICY_DEAD,
  POLICY_DEFAULT,
  POLICY_DEFAULTS,
  POLICY_DROP,
  POLICY_NEXT_HOP,
  POLICY_NEXT_HOPS,
} from "../dataplane/policy.ts";
import { OWN_PORT, OWN_VSI } from "../dataplane/send-words.ts";
import { S_AT, SEND_WORDS, VXLAN_BYTES } from "../io/port-io.ts";
import { DROP, MAX_RULES, PUNT } from "../tables/counters.ts";
import * as FIB from "../tables/fib.ts";
import { KIND_TUNNEL } from "../tables/vsi.ts";
import { u16 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_SRC, ETH_TYPE, formatMac, readMac, TYPE_VLAN, VLAN_TAG_BYTES } from "../wire/ethernet.ts";
import { PROTO_TCP } from "../wire/ipv4.ts";
import { isLinkLocal6 } from "../wire/ipv6.ts";
import { familyOf, type PacketFamily } from "./packet-family.ts";
import { type Names, resultOf, type Step, type WouldPunt } from "./step.ts";

/** Reasons that end a packet before policy and table are asked. */
const AT_THE_DOOR = new Set([DROP.ip_malformed, DROP.ip_checksum, DROP.ip_martian, DROP.ip_options, DROP.anti_spoof]);
const ACTIONS: Readonly<Record<number, string>> = {
  [FIB.ROUTE_DISCARD]: "discard",
  [FIB.ROUTE_UNREACHABLE]: "unreachable",
  [FIB.ROUTE_PROHIBIT]: "prohibit",
  [FIB.ROUTE_BROADCAST]: "broadcast or network address",
  [FIB.ROUTE_UNDERLAY]: "a VTEP's own address",
};

/** The steps of a packet that came to a gateway MAC and met `fate`. `original`: the frame as it came. */
export function routeSteps(
  worker: WorkerContext,
  names: Names,
  original: Uint8Array,
  fate: Fate,
  records: readonly WouldPunt[],
): Step[] {
  const f = worker.frame;
  const arrival = worker.vsis.interface[f.vsi]!;
  const family = familyOf(f.type);
  if (family === null) return [{ stage: "route", text: "not IP", result: resultOf(fate) }];
  if (arrival === 0)
    return [{ stage: "route", text: `${names.vsi(f.vsi)} has no VSI-interface`, result: resultOf(fate) }];
  // The frame as it came: what is in hand may have been given a tag, and been rewritten.
  const l3 = u16(original, ETH_TYPE) === TYPE_VLAN ? ETH_BYTES + VLAN_TAG_BYTES : ETH_BYTES;
  const vrf = worker.interfaces.vrf[arrival]!;
  if (AT_THE_DOOR.has(fate) || original.length < l3 + family.leastBytes)
    return [{ stage: "route", text: `header checks on ${names.interface(arrival)}`, result: resultOf(fate) }];
  const destination = family.destinationOf(original, l3);
  const host = family.routeAt(worker, vrf, destination, family.bits);
  if (fate === DROP.not_forwarded && host >> FIB.ROUTE_KIND_SHIFT !== FIB.ROUTE_BROADCAST) {
    // RFC 4291 §2.5.6: a link-local source is enough, whatever the destination.
    const source = family.sourceOf(original, l3);
    const text = isLinkLocal(source)
      ? `what comes from ${formatIp(source)} is not routed: it is of the link`
      : `${formatIp(destination)} is not routed`;
    return [{ stage: "route", text, result: resultOf(fate) }];
  }
  const punt = fate === PUNTED ? records.at(-1)! : null;
  const story = new RouteStory(worker, names, family, vrf, destination);
  // A link-local address has no route: it is the VSI-interface's own.
  if (punt?.kind === PUNT.local && (isLinkLocal(destination) || host >> FIB.ROUTE_KIND_SHIFT === FIB.ROUTE_LOCAL)) {
    const text = `${formatIp(destination)} is an address of ${names.interface(punt.arg)}`;
    return [{ stage: "fib", text, result: "to control" }];
  }
  if (punt?.kind === PUNT.ttl)
    return [
      {
        stage: "route",
        text: `${family.hops.name} ${original[l3 + family.hops.at]}: it ends here`,
        result: "to control",
      },
    ];
  story.policy(arrival);
  story.table(fate, punt);
  if (fate === SENT) story.rewritten(original, l3);
  return story.steps;
}

function isLinkLocal(ip: Ip): boolean {
  return typeof ip === "bigint" && isLinkLocal6(ip);
}

class RouteStory {
  readonly steps: Step[] = [];
  private readonly worker: WorkerContext;
  private readonly f: Frame;
  private readonly names: Names;
  private readonly vrf: number;
  private readonly destination: Ip;
  private readonly family: PacketFamily;
  /** The action that a policy rule chose, 0: none. */
  private action = 0;

  constructor(worker: WorkerContext, names: Names, family: PacketFamily, vrf: number, destination: Ip) {
    this.family = family;
    this.worker = worker;
    this.f = worker.frame;
    this.names = names;
    this.vrf = vrf;
    this.destination = destination;
  }

  private say(stage: string, text: string, result: string): void {
    this.steps.push({ stage, text, result });
  }

  /** The counters tell which rule matched; the rule row itself what it says. Told only where it decides: the table may beat a default. */
  policy(arrival: number): void {
    const { worker, names } = this;
    const name = names.policy(arrival);
    const count = this.family.rulesOf(worker).count[worker.policyBank + arrival]!;
    if (count === 0) return;
    const id = worker.counters.rules.findIndex((hits) => hits > 0);
    if (id < 0) return;
    this.action = this.actionOf(arrival, count, id);
    if (this.isByDefault && this.isRouted()) return;
    this.say("policy", `${name ?? "policy"}, ${names.rule(id)}`, this.actionText());
  }

  /** What the table said, or the policy in its place. */
  table(fate: Fate, punt: WouldPunt | null): void {
    const { worker } = this;
    const kind = this.action & 0xff;
    if (kind === POLICY_DROP || kind === POLICY_DEAD) return;
    const used = worker.fib.adjacencyHit.indexOf(1);
    const state = this.stateOf(fate, punt, used);
    const isPolicy = kind === POLICY_NEXT_HOP || kind === POLICY_NEXT_HOPS || (this.isByDefault && !this.isRouted());
    if (isPolicy) return void this.say("fib", this.wayText(used), state);
    const { vrf, names } = this;
    const where = names.vrf(vrf) === DEFAULT_VRF ? "" : `VRF ${names.vrf(vrf)}: `;
    this.say("fib", `${where}${this.routeText(used, vrf)}`, state);
  }

  /** From the bytes that would be sent. */
  rewritten(original: Uint8Array, before: number): void {
    const { worker, f, names } = this;
    const s = (worker.sendCount - 1) * SEND_WORDS;
    const port = worker.sends[s + OWN_PORT]!;
    const at = worker.sends[s + S_AT]! + (worker.ports.kind[port] === KIND_TUNNEL ? VXLAN_BYTES : 0);
    const tag = worker.ports.kind[port] !== KIND_TUNNEL && worker.ports.vlan[port] !== 0 ? VLAN_TAG_BYTES : 0;
    const l3 = at + ETH_BYTES + tag;
    const { name, at: hops } = this.family.hops;
    const ttl = `${name} ${original[before + hops]}->${f.bytes[l3 + hops]}`;
    const macs = `${formatMac(readMac(f.bytes, at + ETH_SRC))} > ${formatMac(readMac(f.bytes, at))}`;
    const mss = this.mssText(original, before, l3);
    this.say("rewrite", `${ttl}, ${macs}${mss}`, `vsi ${names.vsi(worker.sends[s + OWN_VSI]!)}`);
  }

  /** D11: has the table anything more specific than a default route? */
  private isRouted(): boolean {
    for (let length = this.family.bits; length > 0; length--) {
      const found = this.routeAt(length);
      if (found !== 0 && found >> FIB.ROUTE_KIND_SHIFT !== FIB.ROUTE_UNDERLAY) return true;
    }
    return false;
  }

  private actionOf(arrival: number, count: number, id: number): number {
    const { policyBank } = this.worker;
    const { rules, first: firsts, rowWords, rest } = this.family.rulesOf(this.worker);
    const first = (policyBank === 0 ? 0 : MAX_RULES) + firsts[policyBank + arrival]!;
    for (let r = first * rowWords + rest; r < (first + count) * rowWords; r += rowWords)
      if (rules[r + FIB.RULE_ID] === id) return rules[r + FIB.RULE_ACTION]!;
    return 0;
  }

  private routeAt(length: number, vrf = this.vrf): number {
    return this.family.routeAt(this.worker, vrf, this.destination, length);
  }

  private get isByDefault(): boolean {
    const kind = this.action & 0xff;
    return kind === POLICY_DEFAULT || kind === POLICY_DEFAULTS;
  }

  /** The next hop of the rule, or how many there are, and which of them was `used` (below 0: none). */
  private wayText(used: number): string {
    const kind = this.action & 0xff;
    if (kind !== POLICY_NEXT_HOPS && kind !== POLICY_DEFAULTS) return this.hopText(this.action >> 8);
    return `one of ${membersOf(this.worker.fib.groups, this.action >> 8)} next hops${this.chosen(used)}`;
  }

  private actionText(): string {
    switch (this.action & 0xff) {
      case POLICY_DROP:
        return "drop policy_drop";
      case POLICY_DEAD:
        return "drop policy_next_hop_dead";
      case POLICY_NEXT_HOP:
      case POLICY_NEXT_HOPS:
        return this.wayText(-1);
      case POLICY_DEFAULT:
      case POLICY_DEFAULTS:
        return `by default ${this.wayText(-1)}`;
      default:
        return "permit: the table decides";
    }
  }

  private hopText(adjacency: number): string {
    const { fib } = this.worker;
    return `next hop ${this.names.nextHop(adjacency)} on ${this.names.interface(fib.adjacencyInterface[adjacency]!)}`;
  }

  private stateOf(fate: Fate, punt: WouldPunt | null, used: number): string {
    if (punt?.kind === PUNT.local) return `an address of ${this.names.interface(punt.arg)}: to control`;
    if (punt?.kind === PUNT.unresolved) return `${this.whom(punt.arg2)} is not resolved`;
    if (punt?.kind === PUNT.mtu) return `too long: ${punt.arg} bytes fit`;
    if (fate > 0) return resultOf(fate);
    if (used >= 0) return `${this.whom(used)} is resolved`;
    return fate === PUNTED ? "unreachable" : "";
  }

  /** `adjacency` 0: the destination's own, which it has not got yet. */
  private whom(adjacency: number): string {
    const destination = formatIp(this.destination);
    const address = adjacency === 0 ? destination : this.names.nextHop(adjacency);
    return address === destination ? `host ${address}` : `next hop ${address}`;
  }

  /** The route of `vrf` in words: its prefix and what it says. A resolved host has a route of its own. */
  private routeText(used: number, vrf: number): string {
    const { worker, names, destination } = this;
    const { bits } = this.family;
    const host = this.routeAt(bits, vrf);
    if (host >> FIB.ROUTE_KIND_SHIFT === FIB.ROUTE_HOST)
      return `${formatIp(destination)}/${bits} host on ${names.interface(worker.fib.adjacencyInterface[host & FIB.ROUTE_ARG_MASK]!)}`;
    for (let length = bits; length >= 0; length--) {
      const found = this.routeAt(length, vrf);
      if (found === 0) continue;
      const prefix = `${formatIp(networkOf(destination, length))}/${length}`;
      const arg = found & FIB.ROUTE_ARG_MASK;
      const kind = found >> FIB.ROUTE_KIND_SHIFT;
      if (kind === FIB.ROUTE_GLEAN) return `${prefix} connected ${names.interface(arg)}`;
      if (kind === FIB.ROUTE_ADJACENCY) return `${prefix} ${this.hopText(arg)}`;
      if (kind === FIB.ROUTE_GROUP)
        return `${prefix} one of ${membersOf(worker.fib.groups, arg)} next hops${this.chosen(used)}`;
      if (kind === FIB.ROUTE_LOCAL) return `${prefix} local`;
      if (kind === FIB.ROUTE_BROADCAST && typeof destination === "bigint") return `${prefix} anycast of all routers`;
      if (kind === FIB.ROUTE_VRF) return `${prefix} to VRF ${names.vrf(arg)}${this.beyond(used, vrf, arg)}`;
      return `${prefix} ${ACTIONS[kind] ?? "unknown"}`;
    }
    return "no route";
  }

  /** What the other VRF says: it is asked once. */
  private beyond(used: number, vrf: number, other: number): string {
    return vrf === this.vrf ? `: ${this.routeText(used, other)}` : ", where a second VRF is not asked";
  }

  private chosen(used: number): string {
    return used < 0 ? "" : `: ${this.names.nextHop(used)}`;
  }

  /** The MSS clamp changed the option of a SYN (RFC 9293 §3.7.1). */
  private mssText(original: Uint8Array, before: number, l3: number): string {
    const { bytes } = this.f;
    if (bytes[l3 + this.family.protocolAt] !== PROTO_TCP) return "";
    const header = this.family.headerBytes(bytes, l3);
    for (let i = header + 20; before + i + 4 <= original.length; i++)
      if (original[before + i] === 2 && original[before + i + 1] === 4) {
        const [was, is] = [u16(original, before + i + 2), u16(bytes, l3 + i + 2)];
        return was === is ? "" : `, mss ${was}->${is}`;
      }
    return "";
  }
}

/** Different next hops of a group that have places. */
function membersOf(groups: Int32Array, group: number): number {
  return new Set(groups.subarray(group * FIB.GROUP_WORDS, (group + 1) * FIB.GROUP_WORDS)).size;
}
