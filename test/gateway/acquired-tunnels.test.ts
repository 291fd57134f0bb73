/** Frames through tunnels that no configuration names: from the first one that is let in to the first one that is not. */
import { expect, it } from "vitest";
import { type Gateway, World } from "./world.ts";

const yaml = (n: number) => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
vsis: [{name: a, vni: 10}, {name: b, vni: 20}]
interfaces: [{name: i, vsi: a, address: 10.1.1.1/24}, {name: j, vsi: b, address: 20.1.1.1/24}]
acs: [{name: vm${n}, vsi: ${n === 1 ? "a" : "b"}, tap: {device: t}}, {name: x${n}, vsi: a, tap: {device: x}}]
control: {socket: /run/gw${n}.sock}
`;

it("a pair of gateways talks while each has acquired the tunnel to the other, and not before or after", () => {
  const world = new World();
  for (const n of [1, 2]) world.net.inbox(`192.0.2.${n}`);
  const [one, two] = [world.gateway(yaml(1)), world.gateway(yaml(2))];
  const first = world.vm(one, { name: "vm1", mac: "02:00:00:00:00:11", ip: "10.1.1.11", gateway: "10.1.1.1" });
  world.vm(two, { name: "vm2", mac: "02:00:00:00:00:12", ip: "20.1.1.12", gateway: "20.1.1.1" });
  const toOther = (gateway: Gateway) => [gateway === one ? "192.0.2.2" : "192.0.2.1", [10, 20], "evpn"] as const;
  const answers = (to: string) => {
    const before = first.replies.length;
    first.ping(to);
    world.advance(4000);
    return first.replies.length - before;
  };
  expect(answers("20.1.1.12")).toBe(0);

  for (const gateway of [one, two]) expect(gateway.control.topology.tunnels.acquire(...toOther(gateway)).ok).toBe(true);
  world.advance(20_000);
  expect(answers("20.1.1.12")).toBe(1);

  two.control.topology.tunnels.release(...toOther(two));
  world.advance(100);
  const known = two.drops.unknown_vtep ?? 0;
  expect(answers("20.1.1.12")).toBe(0);
  expect(two.drops.unknown_vtep).toBeGreaterThan(known);
  one.control.topology.tunnels.release(...toOther(one));
  world.advance(4000);
  world.clear();
  expect(answers("20.1.1.12")).toBe(0);
  expect(world.seen.filter(({ where }) => where === "underlay")).toEqual([]);
});

it("late news of a tunnel that has gone changes nothing at the port that has its row now", () => {
  const world = new World();
  world.net.inbox("192.0.2.1");
  const one = world.gateway(yaml(1));
  const { topology } = one.control;
  const acquired = (remote: string) => {
    const answer = topology.tunnels.acquire(remote, [10], "evpn");
    if (!answer.ok) throw new Error(answer.reason);
    world.advance(100);
    return answer.tunnel;
  };
  const gone = acquired("192.0.2.2");
  topology.tunnels.release("192.0.2.2", [10], "evpn");
  world.advance(2000);
  const next = [3, 4, 5].map((n) => acquired(`192.0.2.${n}`)).find(({ row }) => row === gone.row)!;
  const { ports } = one.tables;
  const rowOf = () => [ports.flags[next.row], ports.mtu[next.row]];
  const before = rowOf();
  const lines = one.events.length;
  topology.setPathMtu(gone, 1400);
  expect(rowOf()).toEqual(before);
  topology.setTunnelUp(gone, true);
  topology.setTunnelUp(gone, false);
  expect(rowOf()).toEqual(before);
  expect(one.events.length).toBe(lines);
});
