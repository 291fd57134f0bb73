/** What a VSI-interface says of itself and its prefixes in a router advertisement (RFC 4861 §4.2, §6.2.1), as a frame. */
import { ETH_BYTES, type Mac } from "../../wire/ethernet.ts";
import { IPV6_BYTES, type Ipv6 } from "../../wire/ipv6.ts";
import { finishNd } from "../../wire/nd.ts";
import {
  type AdvertisedPrefix,
  type RouterAdvertisement,
  writeRouterAdvertisement,
} from "../../wire/router-advertisement.ts";
import type { InterfaceObject } from "../inventory.ts";
import { isOfLink } from "../ip.ts";

/** AdvValidLifetime and AdvPreferredLifetime (RFC 4861 §6.2.1). */
const VALID_SECONDS = 2_592_000;
const PREFERRED_SECONDS = 604_800;
const HOP_LIMIT = 64;
/** Only of such a prefix does a host make an address with its interface's 64 bits (RFC 4862 §5.5.3 d). */
const SLAAC_LENGTH = 64;
/** RFC 8106 §5.1: DNS servers are good for so many intervals. */
const DNS_INTERVALS = 3;

type Said = Omit<RouterAdvertisement, "type">;

/** The prefixes of `iface` as hosts are told of them. */
export function prefixesOf({ config, subnets }: InterfaceObject): AdvertisedPrefix[] {
  const said = config.routerAdvertisement;
  if (said === null) return [];
  return subnets.flatMap(({ network, length }) => {
    if (typeof network !== "bigint" || isOfLink(network)) return [];
    const autonomous = said.slaac && length === SLAAC_LENGTH;
    const times = { validSeconds: VALID_SECONDS, preferredSeconds: PREFERRED_SECONDS };
    return [{ network, length, onLink: said.onLink, autonomous, ...times }];
  });
}

/** @param former prefixes that are no more: an address of one is not chosen from now on, and ends in two hours (RFC 4862 §5.5.3 e). */
export function advertisementOf(iface: InterfaceObject, former: readonly AdvertisedPrefix[]): Said {
  const said = iface.config.routerAdvertisement!;
  return {
    hopLimit: HOP_LIMIT,
    managed: said.managed,
    other: said.other,
    preference: said.preference,
    lifetimeSeconds: said.lifetimeSeconds,
    mac: iface.mac,
    mtu: iface.mtu,
    prefixes: [...prefixesOf(iface), ...former.map(ended)],
    dns: said.dns.map(({ ip }) => ip),
    search: said.search,
    dnsSeconds: DNS_INTERVALS * said.intervalSeconds,
  };
}

/** It is a default router no more (RFC 4861 §6.2.5); the hosts' addresses are as good as before. */
export function withdrawn(mac: Mac): Said {
  const nothing = { managed: false, other: false, mtu: null, prefixes: [], dns: [], search: [], dnsSeconds: 0 };
  // RFC 4191 §2.2: with lifetime 0 it is medium.
  return { hopLimit: 0, preference: "medium", lifetimeSeconds: 0, mac, ...nothing };
}

function ended(prefix: AdvertisedPrefix): AdvertisedPrefix {
  return { ...prefix, validSeconds: 0, preferredSeconds: 0 };
}

export function frameOf(
  said: Said,
  { mac, source, ethDst, dst }: { readonly mac: Mac; readonly source: Ipv6; readonly ethDst: Mac; readonly dst: Ipv6 },
): Uint8Array {
  const bytes = new Uint8Array(longest(said));
  const to = writeRouterAdvertisement(bytes, ETH_BYTES + IPV6_BYTES, said);
  return bytes.subarray(0, finishNd(bytes, 0, to, { ethDst, ethSrc: mac, src: source, dst }));
}

function longest({ prefixes, dns, search }: Said): number {
  const names = search.reduce((sum, name) => sum + name.length + 2, 16);
  return ETH_BYTES + IPV6_BYTES + 16 + 8 + 8 + 32 * prefixes.length + 8 + 16 * dns.length + names;
}
