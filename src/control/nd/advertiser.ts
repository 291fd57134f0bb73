/**
 * Router advertisements (RFC 4861 §6.2): each gateway tells the hosts behind its own ACs that it is their router, which prefixes
 * are theirs, and what else their configuration wants (behaviour.md §11). Never into a tunnel: each site has its own gateway.
 *
 *   at an AC that comes up, and everywhere when MAC, addresses or what is said change: three, half a second apart
 *   each interval, a quarter of it earlier or later, to all ACs
 *   to a host that solicits: within half a second, to it alone
 *
 * A gateway that stops does not take itself back (lifetime 0): hosts would drop the route at once and not ask again, and a restart
 * takes a second. It does so where the configuration does not want it any more (§6.2.5), or at another link-local address (§6.2.8).
 */

import { DROP } from "../../tables/counters.ts";
import { formatMac, isGroup, type Mac } from "../../wire/ethernet.ts";
import { ICMP6_ROUTER_SOLICITATION } from "../../wire/icmp6.ts";
import { formatIpv6, type Ipv6, isLinkLocal6 } from "../../wire/ipv6.ts";
import { ALL_NODES, groupMac, parseNd, UNSPECIFIED } from "../../wire/nd.ts";
import type { AdvertisedPrefix, RouterPreference } from "../../wire/router-advertisement.ts";
import type { Emit } from "../event.ts";
import { portField } from "../event.ts";
import { CONSUMED, type Fate } from "../fate.ts";
import { type HeldFrame, type Injector, ONLY_ACS } from "../inject.ts";
import { type InterfaceObject, type Inventory, isPortOf, type PortObject, type VsiObject } from "../inventory.ts";
import { roomForPrefixes } from "../plan-ra.ts";
import { PortShares } from "../port-shares.ts";
import { ResultCounts } from "../result-counts.ts";
import type { Timer, Timers } from "../timers.ts";
import { advertisementOf, frameOf, prefixesOf, withdrawn } from "./advertisement.ts";

export const RA_AGAIN_MS = 500;
export const RA_TIMES = 3;
/** MAX_RA_DELAY_TIME (RFC 4861 §10). */
const ANSWER_WITHIN_MS = 500;
/** Answers to solicitations in a second. A host asks three times, four seconds apart (RFC 4861 §6.3.7). */
const ANSWERS = { inAll: 200, perPort: 10, quiet: 2 };
/** Prefixes that are no more and are still told of, so that hosts leave them; after two hours no address is left (RFC 4862 §5.5.3 e). */
const FORMER_PREFIXES = 36;
const FORMER_MS = 7_200_000;

export const RA_RESULTS = ["sent", "solicited", "limited"] as const;
export type RaResult = (typeof RA_RESULTS)[number];

export interface AdvertiserParts {
  readonly injector: Injector;
  readonly inventory: Inventory;
  readonly timers: Timers;
  readonly emit: Emit;
  readonly random: () => number;
}

interface FormerPrefix {
  readonly prefix: AdvertisedPrefix;
  readonly untilMs: number;
}

/** What is advertised on one VSI-interface. */
interface Advertised {
  readonly iface: InterfaceObject;
  /** All that it says, in one word. */
  text: string;
  mac: Mac;
  source: Ipv6;
  /** The VSIs, as they were. */
  vsis: readonly VsiObject[];
  prefixes: readonly AdvertisedPrefix[];
  former: FormerPrefix[];
  timer: Timer | null;
  /** The last one to all. */
  saidMs: number | null;
  nextMs: number;
}

/** One VSI-interface that advertises, for people. */
export interface AdvertisedView {
  readonly interface: string;
  readonly vsis: readonly string[];
  readonly source: string;
  readonly mac: string;
  readonly lifetimeSeconds: number;
  readonly preference: RouterPreference;
  readonly prefixes: readonly { readonly prefix: string; readonly onLink: boolean; readonly slaac: boolean }[];
  readonly managed: boolean;
  readonly other: boolean;
  readonly mtu: number;
  readonly dns: readonly string[];
  readonly search: readonly string[];
  readonly sent: number;
  readonly solicited: number;
  /** null: never. */
  readonly saidSeconds: number | null;
  readonly nextSeconds: number;
}

export class RouterAdvertiser {
  readonly counts = new ResultCounts<RaResult>(RA_RESULTS);
  private readonly parts: AdvertiserParts;
  private readonly advertised = new Map<InterfaceObject, Advertised>();
  private readonly answers = new PortShares(ANSWERS);

  constructor(parts: AdvertiserParts) {
    this.parts = parts;
  }

  /** The inventory is another one now. */
  update({ interfaces }: Inventory): void {
    for (const each of [...this.advertised.values()])
      if (interfaces.get(each.iface.row) !== each.iface || each.iface.config.routerAdvertisement === null)
        this.end(each);
    for (const iface of interfaces.values()) if (iface.config.routerAdvertisement !== null) this.begin(iface);
  }

  /** `port` is up, or our MAC at it is another one: it hears us at once. */
  hello(iface: InterfaceObject, port: PortObject, vsi: VsiObject): void {
    if (iface.config.routerAdvertisement === null) return;
    this.times(RA_TIMES, () => {
      const isThere = this.isOn(iface) && port.up && port.kind === "ac" && isPortOf(port, vsi);
      if (isThere) this.toPort(iface, port, vsi, groupMac(ALL_NODES), ALL_NODES);
      return isThere;
    });
  }

  /** A router solicitation: one that comes here is of a VSI whose gateway advertises. */
  solicited(frame: HeldFrame): Fate {
    const { inventory, timers, random } = this.parts;
    const port = inventory.ports.get(frame.port);
    const vsi = inventory.vsis.get(frame.vsi);
    const iface = vsi?.interface;
    if (port === undefined || vsi === undefined || iface == null) return DROP.ac_unbound;
    const nd = parseNd(frame.bytes, 0, frame.bytes.length);
    if (nd?.type !== ICMP6_ROUTER_SOLICITATION) return DROP.nd_malformed;
    // Its own site's gateway answers it.
    if (port.kind === "tunnel" || iface.config.routerAdvertisement === null) return CONSUMED;
    if (nd.mac !== null && (nd.mac !== nd.ethSrc || isGroup(nd.mac))) return DROP.nd_src_mismatch;
    if (!this.answers.admit(port, timers.nowMs)) {
      this.counts.count(iface.name, "limited");
      return DROP.punt_limited;
    }
    this.counts.count(iface.name, "solicited");
    const fields = { interface: iface.name, ...portField(port), host: formatMac(nd.ethSrc) };
    this.parts.emit("debug", "ra.solicited", fields);
    // One that has no address yet is told where all are (§6.2.6), in a frame to it alone.
    const to = nd.src === UNSPECIFIED || !isLinkLocal6(nd.src) ? ALL_NODES : nd.src;
    timers.after(Math.floor(random() * ANSWER_WITHIN_MS), () => {
      if (this.isOn(iface) && port.up && isPortOf(port, vsi)) this.toPort(iface, port, vsi, nd.ethSrc, to);
    });
    return CONSUMED;
  }

  flushPort(port: PortObject): void {
    this.answers.flushPort(port);
  }

  list(): AdvertisedView[] {
    const { nowMs } = this.parts.timers;
    return [...this.advertised.values()].map(({ iface, prefixes, saidMs, nextMs }) => {
      const { dns, search, lifetimeSeconds, preference, managed, other } = iface.config.routerAdvertisement!;
      const { sent = 0, solicited = 0 } = this.counts.byName.get(iface.name) ?? {};
      return {
        interface: iface.name,
        vsis: iface.vsis.map(({ name }) => name),
        source: formatIpv6(iface.linkLocal),
        mac: formatMac(iface.mac),
        ...{ lifetimeSeconds, preference, managed, other, mtu: iface.mtu, dns: dns.map(({ text }) => text), search },
        prefixes: prefixes.map(({ network, length, onLink, autonomous }) => ({
          ...{ prefix: `${formatIpv6(network)}/${length}`, onLink, slaac: autonomous },
        })),
        ...{ sent, solicited, saidSeconds: saidMs === null ? null : Math.floor((nowMs - saidMs) / 1000) },
        nextSeconds: Math.max(0, Math.ceil((nextMs - nowMs) / 1000)),
      };
    });
  }

  /** `iface` advertises, from now on or still. */
  private begin(iface: InterfaceObject): void {
    const { timers } = this.parts;
    const prefixes = prefixesOf(iface);
    const text = textOf(iface);
    let each = this.advertised.get(iface);
    if (each?.text === text) {
      each.vsis = [...iface.vsis];
      return;
    }
    if (each === undefined) {
      const never = { saidMs: null, nextMs: timers.nowMs, timer: null };
      each = { iface, text, mac: iface.mac, source: iface.linkLocal, vsis: [], prefixes, former: [], ...never };
      this.advertised.set(iface, each);
    }
    // Hosts know routers by their link-local addresses, and keep one that is none any more for its lifetime (§6.2.8).
    if (each.source !== iface.linkLocal) this.withdraw(each);
    const isGone = (was: AdvertisedPrefix) => !prefixes.some((is) => isSamePrefix(is, was));
    const untilMs = timers.nowMs + FORMER_MS;
    const gone = each.prefixes.filter(isGone).map((prefix) => ({ prefix, untilMs }));
    const back = each.former.filter((was) => isGone(was.prefix));
    const former = [...gone, ...back].slice(0, FORMER_PREFIXES);
    Object.assign(each, { text, mac: iface.mac, source: iface.linkLocal, vsis: [...iface.vsis], prefixes, former });
    const { text: said } = each;
    this.times(RA_TIMES, () => {
      const isStill = this.advertised.get(iface)?.text === said;
      if (isStill) this.toAll(this.advertised.get(iface)!);
      return isStill;
    });
  }

  /** The configuration wants it no more. */
  private end(each: Advertised): void {
    this.advertised.delete(each.iface);
    if (each.timer !== null) this.parts.timers.cancel(each.timer);
    this.withdraw(each);
    this.parts.emit("info", "ra.withdrawn", { interface: each.iface.name });
  }

  /** Those who heard it are told that it is no router at that address, while there is a VSI to tell them in. */
  private withdraw({ iface, mac, source, vsis }: Advertised): void {
    const { injector, inventory } = this.parts;
    const bytes = frameOf(withdrawn(mac), { mac, source, ethDst: groupMac(ALL_NODES), dst: ALL_NODES });
    for (const vsi of vsis)
      if (inventory.vsis.get(vsi.row) === vsi && hasAc(vsi)) {
        injector.flood(vsi.row, 0, ONLY_ACS, bytes);
        this.counts.count(iface.name, "sent");
      }
  }

  /** Now, and RA_AGAIN_MS later, until it was done `left` times or `say` knows that it is in vain. */
  private times(left: number, say: () => boolean): void {
    this.parts.timers.after(0, () => {
      const next = (rest: number) => {
        if (!say() || rest <= 1) return;
        this.parts.timers.after(RA_AGAIN_MS, () => next(rest - 1));
      };
      next(left);
    });
  }

  private toAll(each: Advertised): void {
    const { timers, injector, random } = this.parts;
    const { iface } = each;
    const bytes = this.frame(each, groupMac(ALL_NODES), ALL_NODES);
    for (const vsi of iface.vsis) {
      if (!hasAc(vsi)) continue;
      injector.flood(vsi.row, 0, ONLY_ACS, bytes);
      this.counts.count(iface.name, "sent");
      this.parts.emit("debug", "ra.sent", { interface: iface.name, vsi: vsi.name, to: "acs" });
    }
    each.saidMs = timers.nowMs;
    if (each.timer !== null) timers.cancel(each.timer);
    const { intervalSeconds } = iface.config.routerAdvertisement!;
    const inMs = Math.floor(intervalSeconds * 1000 * (0.75 + 0.5 * random()));
    each.nextMs = timers.nowMs + inMs;
    each.timer = timers.after(inMs, () => {
      each.timer = null;
      if (this.advertised.get(iface) === each) this.toAll(each);
    });
  }

  private toPort(iface: InterfaceObject, port: PortObject, vsi: VsiObject, ethDst: Mac, dst: Ipv6): void {
    const each = this.advertised.get(iface);
    if (each === undefined) return;
    this.parts.injector.toPort(vsi.row, port.row, this.frame(each, ethDst, dst));
    this.counts.count(iface.name, "sent");
    this.parts.emit("debug", "ra.sent", { interface: iface.name, vsi: vsi.name, ...portField(port) });
  }

  /** Former prefixes have the room that is left in it, and take turns. */
  private frame(each: Advertised, ethDst: Mac, dst: Ipv6): Uint8Array {
    const { iface } = each;
    const { mac, linkLocal: source } = iface;
    each.former = each.former.filter(({ untilMs }) => untilMs > this.parts.timers.nowMs);
    const room = roomForPrefixes(iface.config.routerAdvertisement!, prefixesOf(iface).length);
    const told = each.former.splice(0, room);
    each.former.push(...told);
    const former = told.map(({ prefix }) => prefix);
    return frameOf(advertisementOf(iface, former), { mac, source, ethDst, dst });
  }

  private isOn(iface: InterfaceObject): boolean {
    return this.advertised.has(iface);
  }
}

function hasAc({ acs }: VsiObject): boolean {
  return acs.some(({ up }) => up);
}

function isSamePrefix(a: AdvertisedPrefix, b: AdvertisedPrefix): boolean {
  return a.network === b.network && a.length === b.length;
}

function textOf({ config, mac, mtu, linkLocal, subnets }: InterfaceObject): string {
  const { dns, ...rest } = config.routerAdvertisement!;
  const prefixes = subnets.map(({ network, length }) => `${network}/${length}`);
  return [JSON.stringify(rest), ...dns.map(({ text }) => text), mac, mtu, linkLocal, ...prefixes].join(" ");
}
