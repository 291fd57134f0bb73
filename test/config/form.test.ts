/** What `config get` prints is a file that means the same plan: read it back, and nothing has changed. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { fileForm } from "../../src/config/form.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/control/plan.ts";
import { anyPlan } from "../control/random-plan.ts";

function read(text: string): Config {
  const result = parseConfig(text, "gw1.yaml");
  if ("errors" in result) throw new Error(result.errors.map(({ path, message }) => `${path}: ${message}`).join("\n"));
  return result.config;
}

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8");

const EVERY_WORD = `
node: gw1
underlay: {address: 192.0.2.1, port: 4790, mtu: 1600, checksum: zero, acceptZeroChecksum: false, dscp: 46, strictReserved: true, managementVni: 999}
tunnels: [{name: gw2, remote: 192.0.2.2, keepalive: {intervalMs: 500, multiplier: 4}, bfd: {intervalMs: 60, multiplier: 4, mode: multihop}}]
vsis:
  - {name: vsi10, vni: 10, tunnels: [], arp: suppress}
  - {name: vsi20, vni: 20, mac: {static: [{mac: "02:00:00:00:00:01", tunnel: gw2}]}}
  - {name: uplink}
  - {name: vsi30, vni: 30, evpn: {rd: "192.0.2.1:7", import: [auto, "65009:30"], export: ["65000:30"], learning: both, unknown: flood}}
interfaces:
  - {name: i10, vsis: [vsi10, vsi20], address: [10.1.1.1/24, 200.1.1.1/30, "2001:db8:10::1/64"], distributed: false, vrf: red, mtu: 1400,
     icmpSource: [10.1.1.3, "2001:db8:10::fb"], linkLocal: fe80::7, routerAdvertisement: {onLink: false,
     slaac: false, managed: true, other: true, lifetimeSeconds: 900, intervalSeconds: 60, dns: ["2001:db8::53"], search: [a.b], preference: low}, dhcpRelay: {servers: [10.9.0.67, "2001:db8::67", 10.9.0.68], option82: false},
     arp: {static: [{ip: 10.1.1.9, mac: "02:00:00:00:00:09", tunnel: gw2, vsi: vsi20}]}}
acs:
  - {name: a, vsi: vsi10, handover: true, vlan: 7, antiSpoof: strict, storm: {broadcast: 10, multicast: 30}, bindings: [{mac: "02:00:00:00:00:07", ip: "fe80::7"}], slaac: 8}
  - {name: b, vsi: uplink, tap: {device: tapb, netns: blue, mtu: 1300, persist: false}}
routes:
  - {prefix: 200.2.0.0/16, vrf: red, nextHops: [10.1.1.7, {ip: 10.1.1.8, weight: 3, priority: 2}]}
  - {prefix: 200.3.0.0/16, vrf: red, action: discard}
  - {prefix: "::/0", vrf: red, nextHops: ["2001:db8:10::2", {ip: "fe80::2%i10", weight: 2}]}
  - {prefix: 200.4.0.0/16, vrf: red, nextHop: 10.1.1.7, track: far}
  - {prefix: 200.5.0.0/16, vrf: red, nextHops: [10.1.1.7, {ip: 10.1.1.8, track: cable}]}
  - {prefix: 200.6.0.0/16, vrf: red, nextHops: [{ip: 10.1.1.7, tunnel: gw2}, 10.1.1.8]}
tracks:
  - {name: far, icmp: 200.9.0.1, interface: i10, via: 10.1.1.7, intervalMs: 300, multiplier: 4}
  - {name: spine, icmp: 192.0.2.200}
  - {name: cable, ac: a}
policies:
  - name: p
    interfaces: [i10]
    rules:
      - {match: {source: [10.0.0.0/8, 11.0.0.0/8], protocol: udp, sourcePorts: [1, 5-9], destinationPorts: 53}, permit: true}
      - {match: {destination: 12.0.0.0/8, protocol: 47}, drop: true}
      - {match: {source: "2001:db8:10::/64", protocol: icmp6}, nextHop: "2001:db8:10::2"}
      - {nextHop: 10.1.1.7}
      - {nextHop: 10.1.1.8, track: spine}
      - {defaultNextHops: [10.1.1.7, {ip: 10.1.1.8, weight: 2, priority: 1}], onDead: drop}
control: {socket: /run/c.sock, observe: {socket: /run/o.sock, group: look}}
evpn:
  engine: {socket: /run/bgp.sock, api: v4, address: 192.0.2.78}
  as: 4200000000
  routerId: 192.0.2.77
  peers: [{address: 192.0.2.251, as: 65000, password: {file: /run/secret}}, {address: 192.0.2.252, as: 65000}]
  timers: {hold: 30, connectRetry: 5}
  targets: rfc8365
  staleSeconds: 60
  discover: false
  duplicates: {moves: 3, seconds: 60, action: warn, recoverSeconds: 30}
  limits: {vteps: 10, routes: 100, announcePerSecond: 7}
attach: {socket: /run/a.sock}
metrics: {listen: "[::1]:9475", hosts: [gw1.example.net]}
log: {level: warn, format: pretty}
nextHopProbe: {intervalMs: 200, multiplier: 5}
bfd: {intervalMs: 70, multiplier: 6, mode: vxlan}
drain: {seconds: 9, track: spine}
workers: {count: 2, priority: {fifo: 10}, cpus: [2, 3]}
`;

describe("the plan as a file", () => {
  it.each([
    ["the manual's example", fixture("gw1.yaml")],
    ["a Border", fixture("border.yaml")],
    ["a VTEP over IPv6", fixture("l2.yaml")],
    ["every word of the language", EVERY_WORD],
  ])("%s means the same when it is read again", (_, text) => {
    const plan = read(text);
    expect(read(stringify(fileForm(plan)))).toEqual(plan);
  });

  it("of a VSI in EVPN with static entries behind a tunnel that only routes join to it, too", () => {
    const text = `
node: gw1
underlay: {address: 192.0.2.1, mtu: 1600}
tunnels: [{name: gw2, remote: 192.0.2.2}, {name: gw3, remote: 192.0.2.3}]
vsis:
  - {name: v10, vni: 10, evpn: {}, mac: {static: [{mac: "02:00:00:00:00:01", tunnel: gw2}]}}
  - {name: v20, vni: 20, evpn: {}, tunnels: [gw3], mac: {static: [{mac: "02:00:00:00:00:01", tunnel: gw2}]}}
interfaces:
  - {name: i10, vsi: v10, address: 10.1.1.1/24, arp: {static: [{ip: 10.1.1.9, mac: "02:00:00:00:00:01", tunnel: gw2}]}}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
`;
    const plan = read(text);
    expect(plan.vsis.map(({ tunnels }) => tunnels)).toEqual([[], ["gw3"]]);
    expect(read(stringify(fileForm(plan)))).toEqual(plan);
  });

  it("any plan does", () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        expect(read(JSON.stringify(fileForm(plan)))).toEqual(plan);
      }),
      { numRuns: 60 },
    );
  });

  it("speaks the file's language: no numbers for addresses, nothing that is null", () => {
    const text = stringify(fileForm(read(EVERY_WORD)));
    expect(text).toContain("destination:\n            - 12.0.0.0/8");
    expect(text).toContain("- 5-9\n");
    expect(text).not.toMatch(/null|network:|overhead|family|\bip: -?\d+$/m);
  });
});
