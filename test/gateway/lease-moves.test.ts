/** Leases of VMs that leave their AC: for a minute none takes them, then they go with their VM, and the old AC has nothing left of them. */
import { describe, expect, it } from "vitest";
import { AWAITED_MS } from "../../src/control/security/bindings.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";
import { gw, sites } from "./sites.ts";

const MAC_A = 0x020000000011;
const MAC_B = 0x020000000012;
const IP = parseIpv4("10.1.1.11")!;
const OTHER = parseIpv4("10.1.1.12")!;

/** ACs a, b and c of one network; c is not strict. `fixed`: what the configuration binds to a. */
function bed(fixed = "") {
  const world = sites(
    1,
    () => `
vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: if10, vsi: vsi10, address: [10.1.1.1/24, "2001:db8:10::1/64"], icmpSource: 10.1.1.251, dhcpRelay: {servers: [10.1.1.67]}}]
acs:
  - {name: a, vsi: vsi10, tap: {device: a}, antiSpoof: strict${fixed}}
  - {name: b, vsi: vsi10, tap: {device: b}, antiSpoof: strict}
  - {name: c, vsi: vsi10, tap: {device: c}}`,
  );
  const { topology, agent, shown } = gw(world, 1).control;
  const { bindings } = agent.security;
  const ac = (name: string) => shown.inventory.ac(name)!;
  return {
    lease: (name: string, mac: number, ip = IP) => bindings.lease(ac(name), mac, ip, 3600),
    setUp: (name: string, up: boolean) => topology.setAcUp(ac(name), up),
    pass: (ms: number) => world.advance(ms, 5000),
    bound: () => bindings.list().map(({ ac: name, mac, ip, source }) => `${name} ${mac.slice(-2)} ${ip} ${source}`),
    refusals: () =>
      gw(world, 1).events.flatMap(({ event, fields }) => (event === "binding.refused" ? [fields.reason] : [])),
    holder: (name: string, mac: number) => bindings.holder(ac(name), mac)?.name ?? null,
    bindings,
    ac,
  };
}

describe("a lease whose AC goes down", () => {
  it("stays for a minute: a neighbour is not quicker than a VM that starts again", () => {
    const { lease, setUp, pass, bound, holder } = bed();
    lease("a", MAC_A);
    setUp("a", false);
    pass(AWAITED_MS - 5000);
    expect([lease("b", MAC_A), lease("b", MAC_B), holder("b", MAC_A)]).toEqual([false, false, "a"]);
    setUp("a", true);
    pass(AWAITED_MS);
    expect([lease("b", MAC_A), bound()]).toEqual([false, ["a 11 10.1.1.11 dhcp"]]);
  });

  it("goes to the AC that its VM is behind, where it is renewed whatever comes up at the old one", () => {
    const { lease, setUp, pass, bound, refusals } = bed();
    lease("a", MAC_A);
    setUp("a", false);
    pass(AWAITED_MS + 5000);
    expect(lease("b", MAC_A)).toBe(true);
    expect(bound()).toEqual(["b 11 10.1.1.11 dhcp"]);
    setUp("a", true);
    expect([lease("b", MAC_A), lease("a", MAC_A), refusals()]).toEqual([true, false, ["bound at AC b"]]);
  });

  it("is ended there by its address as well as by its MAC, and no other one is", () => {
    const { lease, setUp, pass, bound } = bed();
    lease("a", MAC_A);
    lease("a", MAC_A, OTHER);
    lease("a", MAC_B, parseIpv4("10.1.1.13")!);
    setUp("a", false);
    pass(AWAITED_MS + 5000);
    lease("c", 0x020000000014, IP);
    expect(bound()).toEqual(["a 11 10.1.1.12 dhcp", "a 12 10.1.1.13 dhcp", "c 14 10.1.1.11 dhcp"]);
    lease("b", MAC_B, parseIpv4("10.1.1.14")!);
    expect(bound()).toEqual(["a 11 10.1.1.12 dhcp", "b 12 10.1.1.14 dhcp", "c 14 10.1.1.11 dhcp"]);
  });
});

describe("what the configuration binds", () => {
  const FIXED = ', bindings: [{mac: "02:00:00:00:00:11", ip: 10.1.1.11}]';

  it("is leased to no other AC, however long its own is down", () => {
    const { lease, setUp, pass, refusals } = bed(FIXED);
    setUp("a", false);
    pass(10 * AWAITED_MS);
    expect([lease("b", MAC_B), lease("b", MAC_A, OTHER), lease("b", MAC_B, OTHER)]).toEqual([false, false, true]);
    expect(refusals()).toEqual(["bound at AC a", "bound at AC a"]);
  });
});

describe("a server's lease", () => {
  it.each(["10.1.1.1", "10.1.1.251", "10.1.1.0", "10.1.1.255"])("of %s, which is no host's, binds nothing", (text) => {
    const { lease, bound } = bed();
    expect([lease("b", MAC_B, parseIpv4(text)!), bound()]).toEqual([false, []]);
  });

  it("of the gateway's IPv6 address binds nothing", () => {
    const { bindings, ac, bound } = bed();
    for (const text of ["2001:db8:10::1", "2001:db8:10::"])
      expect(bindings.lease(ac("b"), MAC_B, parseIpv6(text)!, 60)).toBe(false);
    expect(bound()).toEqual([]);
  });
});
