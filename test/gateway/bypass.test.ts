/** A VM behind another distributed gateway as next hop: its packets go past it, so that is told wherever it is shown. */
import { describe, expect, it } from "vitest";
import { Why } from "../../src/api/schema-why.ts";
import { Shown } from "../../src/api/shown.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import { Tracer } from "../../src/insight/trace.ts";
import { WhyAnswers } from "../../src/insight/why.ts";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { article, borderYaml, siteYaml } from "./article.ts";
import { type Gateway, World } from "./world.ts";

const shownOf = ({ control }: Gateway): Shown =>
  new Shown(control.shown, { view: () => ({ state: "unwatched" }) as never });
const told = ({ events }: Gateway): string[] =>
  events.filter(({ event }) => event === "next-hop.bypassed").map(({ fields }) => `${fields.of}: ${fields.nextHop}`);

/** gw1 with a policy that sends vm1's packets for VXLAN 20 through a firewall, 10.1.1.12 (vm4, behind gw2). */
function withPolicy(hop: string, mac = "auto"): { world: World; gw1: Gateway } {
  const world = article({ mac });
  const gw1 = world.gateways.get("gw1")!;
  const rules = `rules: [{match: {destination: 20.1.1.0/24}, nextHop: ${hop}}]`;
  gw1.reload(
    siteYaml("gw1", { mac }).replace(
      /workers:/,
      `policies:\n  - {name: firewall, interfaces: [vsi-interface10], ${rules}}\nworkers:`,
    ),
  );
  world.get("vm1").ping("20.1.1.12");
  world.advance(2500);
  return { world, gw1 };
}

describe("a next hop behind another distributed gateway", () => {
  for (const mac of ["auto", "shared"])
    it(`of a policy, gateway MACs ${mac}: event, show, why and trace tell that it sees nothing`, () => {
      const { world, gw1 } = withPolicy("10.1.1.12", mac);
      // The packet did go past the firewall.
      expect(world.get("vm4").icmp).toEqual([]);
      expect(world.get("vm5").icmp).toHaveLength(1);
      expect(told(gw1)).toEqual(["policy firewall, rule 1: 10.1.1.12"]);
      const shown = shownOf(gw1);
      expect(shown.policies()[0]!.rules[0]).toMatchObject({ action: "nextHop 10.1.1.12", bypassedBy: "gw2" });
      const question = { ip: "10.1.1.12", mac: null, interface: null, vsi: null, vrf: null };
      expect(Why.parse(new WhyAnswers(gw1.control.shown, shown).why(question)).sentences.join(" ")).toContain(
        "is the next hop of policy firewall, rule 1, but sees none of its packets",
      );
      const packet = { protocol: "icmp", ac: "vm1", source: "10.1.1.11", destination: "20.1.1.12", ttl: 64, dscp: 0 };
      const trace = new Tracer(gw1.control.shown, gw1.control.injector).trace(
        { ...packet, size: 84, df: false, sourcePort: 1, destinationPort: 2, inject: false } as never,
        () => undefined,
      );
      expect((trace as { fate: { next: string } }).fate.next).toContain("routes by destination");
      world.advance(10_000);
      expect(told(gw1)).toHaveLength(1);
    });

  it("of a static route, on the Border, which has no address in common with the gateways", () => {
    const world = article();
    const border = world.gateways.get("border")!;
    for (const [vm, to] of [
      ["vm1", "20.1.1.12"],
      ["vm5", "10.1.1.11"],
    ] as const)
      world.get(vm).ping(to);
    world.advance(1000);
    border.reload(borderYaml().replace(/workers:/, "routes: [{prefix: 60.0.0.0/8, nextHop: 10.1.1.12}]\nworkers:"));
    world.get("ext").ping("60.1.1.1");
    world.advance(2500);
    expect(told(border)).toEqual(["route 60.0.0.0/8: 10.1.1.12"]);
    const route = [...rowsOf(shownOf(border).routes())].find(({ prefix }) => prefix === "60.0.0.0/8")!;
    expect(route.nextHops).toMatchObject([{ ip: "10.1.1.12", bypassedBy: "gw2" }]);
  });

  it("is none where the next hop is the Border, or a VM here", () => {
    for (const hop of ["10.1.1.2", "20.1.1.11"]) {
      const { gw1 } = withPolicy(hop);
      expect(told(gw1)).toEqual([]);
      expect(shownOf(gw1).policies()[0]!.rules[0]).toMatchObject({ alive: true, bypassedBy: null });
    }
  });
});

/** A gateway or a Border, with what the test says of it, behind 192.0.2.`n`. */
const node = (name: string, n: number, peers: readonly (readonly [string, number])[], rest: string) => `node: ${name}
underlay: {address: 192.0.2.${n}, mtu: 1600}
tunnels: [${peers.map(([peer, at]) => `{name: ${peer}, remote: 192.0.2.${at}}`).join(", ")}]
${rest}
`;

describe("an address that another VTEP takes over", () => {
  it("of a Border: a next hop behind the new one is bypassed by none", () => {
    const world = new World();
    for (const n of [1, 11, 12]) world.net.inbox(`192.0.2.${n}`);
    const vsi10 = "vsis: [{name: vsi10, vni: 10}]\n";
    const border = (n: number, addresses: string) =>
      node(
        `b${n}`,
        10 + n,
        [
          ["gw1", 1],
          ["other", 13 - n],
        ],
        `${vsi10}interfaces: [{name: inside, vsi: vsi10, address: [${addresses}], distributed: false}]`,
      );
    const gw1 = world.gateway(
      node(
        "gw1",
        1,
        [
          ["b1", 11],
          ["b2", 12],
        ],
        `${vsi10}interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}]
acs: [{name: vm1, vsi: vsi10, tap: {device: t1}}]
routes: [{prefix: 60.0.0.0/8, nextHop: 10.1.1.2}, {prefix: 70.0.0.0/8, nextHop: 10.1.1.4}]`,
      ),
    );
    const b1 = world.gateway(border(1, "10.1.1.2/24, 10.1.1.3/24"));
    const b2 = world.gateway(border(2, "10.1.1.4/24"));
    const vm = world.vm(gw1, { name: "vm1", ip: "10.1.1.11", mac: "02:00:00:00:01:11", gateway: "10.1.1.1" });
    const use = () => {
      for (const to of ["60.1.1.1", "70.1.1.1"]) vm.ping(to);
      world.advance(2500);
    };
    use();
    b1.reload(border(1, "10.1.1.3/24"));
    b2.reload(border(2, "10.1.1.4/24, 10.1.1.2/24"));
    world.advance(2500);
    use();
    const { neighbors } = gw1.control.agent;
    const place = [...neighbors.all()].find(({ ip }) => ip === parseIpv4("10.1.1.2"))!.place!;
    expect(place.port.name).toBe("b2");
    expect(told(gw1)).toEqual([]);
  });

  it("of a pair of firewalls, which have a MAC for it: the Border's next hop is bypassed by none", () => {
    const world = new World();
    for (const n of [1, 2, 3]) world.net.inbox(`192.0.2.${n}`);
    const vsi10 = "vsis: [{name: vsi10, vni: 10}";
    const leaf = (n: number) =>
      node(`leaf${n}`, n, [["border", 3]], `${vsi10}]\nacs: [{name: fw${n}, vsi: vsi10, tap: {device: f${n}}}]`);
    const leaves = [world.gateway(leaf(1)), world.gateway(leaf(2))] as const;
    const border = world.gateway(
      node(
        "border",
        3,
        [
          ["leaf1", 1],
          ["leaf2", 2],
        ],
        `${vsi10}, {name: uplink}]
interfaces:
  - {name: inside, vsi: vsi10, address: 10.1.1.2/24, distributed: false}
  - {name: outside, vsi: uplink, address: 50.1.1.254/24, distributed: false}
acs: [{name: ext, vsi: uplink, tap: {device: e}}]
routes: [{prefix: 60.0.0.0/8, nextHop: 10.1.1.7}]`,
      ),
    );
    const [fw1, fw2] = leaves.map((gateway, i) =>
      world.vm(gateway, { name: `fw${i + 1}`, ip: "10.1.1.7", mac: "00:00:5e:00:01:07", gateway: "10.1.1.2" }),
    );
    const ext = world.vm(border, { name: "ext", ip: "50.1.1.1", mac: "02:00:00:00:50:01", gateway: "50.1.1.254" });
    // RFC 5798 §6.4.1: who becomes the master announces the address.
    const announce = (vm: typeof fw1) => {
      const { mac, ip } = vm!;
      vm!.sendArp({ op: ARP_REQUEST, senderMac: mac, senderIp: ip, targetMac: 0, targetIp: ip });
      world.advance(500);
      ext.ping("60.1.1.1");
      world.advance(2000);
    };
    announce(fw1);
    announce(fw2);
    const { neighbors } = border.control.agent;
    const place = [...neighbors.all()].find(({ ip }) => ip === parseIpv4("10.1.1.7"))!.place!;
    expect(place.port.name).toBe("leaf2");
    expect(told(border)).toEqual([]);
  });
});
