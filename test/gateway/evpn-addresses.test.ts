/** Addresses of hosts as routes: from the neighbours of a VSI-interface, and from ARP suppression where there is none. */
import { beforeEach, describe, expect, it } from "vitest";
import { Why } from "../../src/api/schema-why.ts";
import { Shown } from "../../src/api/shown.ts";
import { SUPPRESSION_MS } from "../../src/control/resolution/suppression.ts";
import { MOST_NOTED } from "../../src/evpn/entries.ts";
import { WhyAnswers } from "../../src/insight/why.ts";
import { formatMac } from "../../src/wire/ethernet.ts";
import { formatIpv4, parseIpv4 } from "../../src/wire/ipv4.ts";
import { UNWATCHED } from "../api/fake-source.ts";
import { EvpnWorld, type Member } from "./evpn-world.ts";
import type { Vm } from "./vm.ts";

const yaml = (n: number, { iface = "", arp = "suppress", more = "" } = {}): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: vsi10, vni: 10, evpn: {}, arp: ${arp}}]
${iface}
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}${more}]
control: {socket: /run/gw${n}.sock}
`;
const WITH_INTERFACE = "interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24, mac: shared}]";

let site: EvpnWorld;
const pass = (ms: number): void => site.pass(ms);

beforeEach(() => {
  site = new EvpnWorld();
  for (const n of [1, 2]) site.world.net.inbox(`192.0.2.${n}`);
});

const guest = (n: number): Vm =>
  site.world.vm(site.members[n - 1]!.gateway, { name: `a${n}`, ip: `10.1.1.${10 + n}`, mac: `02:00:00:00:01:1${n}` });

/** "MAC IP" of the hosts that `member` announces. */
const hostsOf = ({ engine }: Member): string[] =>
  engine
    .announced()
    .flatMap((route) => (route.type === 2 ? [`${formatMac(route.mac)} ${route.ip ?? "-"}`] : []))
    .sort();
const M1 = "02:00:00:00:01:11";
const BOTH = [`${M1} -`, `${M1} 10.1.1.11`];

describe("a VSI without VSI-interface", () => {
  let [one, two]: Vm[] = [];
  beforeEach(() => {
    for (const n of [1, 2]) site.join(yaml(n));
    [one, two] = [guest(1), guest(2)];
    pass(1000);
    one!.sendArp({ op: 1, targetIp: two!.ip });
    pass(1000);
  });

  it("announces a host with the address that it was heard with, and others answer for it without a flood", () => {
    expect(hostsOf(site.members[0]!)).toEqual(BOTH);
    site.world.clear();
    two!.ask("10.1.1.11");
    pass(100);
    expect(two!.arp.get(one!.ip)).toBe(one!.mac);
    expect(site.world.seen.filter(({ where, to }) => where === "underlay" && to === "192.0.2.1")).toEqual([]);
  });

  it("says of a host that was silent, and that routes have, that requests for it are answered", () => {
    const { shown } = site.members[1]!.gateway.control;
    pass(40_000);
    const answers = new WhyAnswers(shown, new Shown(shown, { view: () => UNWATCHED }));
    const why = () =>
      Why.parse(answers.why({ ip: "10.1.1.11", mac: null, interface: null, vsi: null, vrf: null })).sentences.join(" ");
    expect(why()).toMatch(/ARP suppression in VSI vsi10 knows .*: requests for it are answered, as EVPN has it\./);
    expect(why()).not.toContain("flooded");
  });

  it("takes the address back when it was not heard for five minutes, and the MAC stays while it sends", () => {
    const [member] = site.members;
    const { agent, inventory } = member!.gateway.control.shown;
    agent.arp.suppression.flush((vsi) => vsi === inventory.vsi("vsi10"), null);
    pass(1000);
    expect(hostsOf(member!)).toEqual([`${M1} -`]);
    one!.sendArp({ op: 1, targetIp: two!.ip });
    pass(1000);
    expect(hostsOf(member!)).toEqual(BOTH);
    pass(SUPPRESSION_MS + 11_000);
    expect(hostsOf(member!)).not.toContain(BOTH[1]);
  });

  it("follows an address to another MAC", () => {
    const other = 0x020000000199;
    one!.sendArp({ op: 1, ethSrc: other, senderMac: other, senderIp: one!.ip, targetIp: two!.ip });
    pass(1000);
    expect(hostsOf(site.members[0]!)).toEqual([`${M1} -`, "02:00:00:00:01:99 -", "02:00:00:00:01:99 10.1.1.11"]);
  });

  it("gets a VSI-interface by a reload, and loses it again: what is heard is announced in both", () => {
    const [member] = site.members;
    for (const iface of [WITH_INTERFACE, ""]) {
      member!.reload(yaml(1, { iface }));
      pass(1000);
      one!.sendArp({ op: 1, targetIp: two!.ip });
      pass(1000);
      expect(hostsOf(member!)).toEqual(BOTH);
    }
  });

  it("keeps a host whose address something behind a tunnel claims without a route", () => {
    const { agent, inventory } = site.members[0]!.gateway.control.shown;
    const [vsi, tunnel] = [inventory.vsi("vsi10")!, inventory.tunnelTo("192.0.2.2")!];
    agent.arp.suppression.heard(vsi, one!.ip, { mac: 0x020000000666, port: tunnel, isRouter: undefined }, "request");
    pass(100);
    expect(hostsOf(site.members[0]!)).toEqual(BOTH);
  });

  it("moves away with its address, and back", () => {
    const both = (member: Member) => hostsOf(member).filter((each) => each.startsWith(M1));
    two!.sendArp({ op: 1, ethSrc: one!.mac, senderMac: one!.mac, senderIp: one!.ip, targetIp: two!.ip });
    pass(1000);
    expect(site.members.map(both)).toEqual([[], BOTH]);
    one!.sendArp({ op: 1, targetIp: two!.ip });
    pass(1000);
    expect(site.members.map(both)).toEqual([BOTH, []]);
  });
});

it("more changes in one turn than are noted: all that is there then is announced, and nothing else", () => {
  const member = site.join(yaml(1));
  const one = guest(1);
  pass(1000);
  one.sendArp({ op: 1, targetIp: parseIpv4("10.1.1.12")! });
  pass(1000);
  const { agent, inventory } = member.gateway.control.shown;
  const vsi = inventory.vsi("vsi10")!;
  const { suppression } = agent.arp;
  const port = vsi.acs[0]!;
  const first = parseIpv4("10.2.0.0")!;
  for (let n = 0; n <= MOST_NOTED + 64; n++) {
    if (n % 128 === 0) suppression.flush((each) => each === vsi, null);
    suppression.heard(vsi, first + n, { mac: one.mac, port, isRouter: undefined }, "request");
  }
  const expected = [...suppression.list()].flatMap(({ ip }) => (typeof ip === "number" ? [formatIpv4(ip)] : []));
  expect(expected.length).toBeGreaterThan(1);
  pass(2000);
  expect(hostsOf(member)).toEqual([`${M1} -`, ...expected.map((ip) => `${M1} ${ip}`)].sort());
});

it("a host that the MAC table forgot, and heard again, is announced with the address that was known all the time", () => {
  const member = site.join(yaml(1, { iface: WITH_INTERFACE }));
  const one = site.world.vm(member.gateway, { name: "a1", ip: "10.1.1.11", mac: M1, gateway: "10.1.1.1" });
  pass(1000);
  one.ask("10.1.1.1");
  pass(1000);
  expect(hostsOf(member)).toEqual(BOTH);
  const { agent, inventory } = member.gateway.control.shown;
  agent.macs.delete(inventory.vsi("vsi10")!, one.mac);
  pass(1000);
  expect(hostsOf(member)).toEqual([]);
  one.ping("10.1.1.1");
  pass(1000);
  expect(hostsOf(member)).toEqual(BOTH);
});
