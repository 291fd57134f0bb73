/**
 * Reloads of random configurations while packets go through what all of them have in common: nothing is lost, doubled or
 * reordered there, and when the first configuration is back, the tables mean what they meant.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { World } from "./world.ts";

interface Shape {
  readonly vsis: readonly number[];
  readonly tunnels: readonly number[];
  readonly acs: readonly number[];
  readonly routes: readonly number[];
  readonly rules: readonly number[];
  readonly level: string;
}

const some = fc.subarray([1, 2, 3, 4]);
const SHAPE: fc.Arbitrary<Shape> = fc.record({
  vsis: some,
  tunnels: some,
  acs: some,
  routes: some,
  rules: some,
  level: fc.constantFrom("info", "warn"),
});
const NOTHING: Shape = { vsis: [], tunnels: [], acs: [], routes: [], rules: [], level: "info" };

/** gw1 or gw2: VXLAN 10 and 20 with a VM each, and whatever `shape` says besides. */
function yaml(n: 1 | 2, { vsis, tunnels, acs, routes, rules, level }: Shape): string {
  const bound = acs.filter((i) => vsis.includes(i));
  return `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
log: {level: ${level}}
tunnels: [{name: peer, remote: 192.0.2.${3 - n}}${tunnels.map((i) => `, {name: t${i}, remote: 192.0.2.${20 + i}}`).join("")}]
vsis:
  - {name: vsi10, vni: 10, tunnels: [peer]}
  - {name: vsi20, vni: 20, tunnels: [peer]}
${vsis.map((i) => `  - {name: x${i}, vni: ${100 + i}}\n`).join("")}interfaces:
  - {name: i10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: i20, vsi: vsi20, address: 20.1.1.1/24}
${vsis.map((i) => `  - {name: x${i}, vsi: x${i}, address: 77.${i}.1.1/24}\n`).join("")}acs:
  - {name: a10, vsi: vsi10, tap: {device: d10}}
  - {name: a20, vsi: vsi20, tap: {device: d20}}
${bound.map((i) => `  - {name: x${i}, vsi: x${i}, tap: {device: x${i}}}\n`).join("")}routes: [${routes.map((i) => `{prefix: 99.${i}.0.0/16, action: discard}`).join(", ")}]
policies: [${vsis
    .filter((i) => rules.includes(i))
    .map((i) => `{name: p${i}, interfaces: [x${i}], rules: [{match: {protocol: ${i}}, action: drop}]}`)
    .join(", ")}]
`;
}

it("untouched flows do not notice any sequence of reloads", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(1 as const, 2 as const), SHAPE), { maxLength: 8 }), (steps) => {
      const world = new World();
      for (const n of [1, 2, 21, 22, 23, 24]) world.net.inbox(`192.0.2.${n}`);
      const gateways = { 1: world.gateway(yaml(1, NOTHING)), 2: world.gateway(yaml(2, NOTHING)) };
      const vm = (n: 1 | 2, net: number) =>
        world.vm(gateways[n], {
          name: `vm${n}-${net}`,
          ac: `a${net}`,
          ip: `${net}.1.1.${n}1`,
          mac: `02:00:00:00:${net}:0${n}`,
          gateway: `${net}.1.1.1`,
        });
      const vms = [vm(1, 10), vm(2, 10), vm(1, 20), vm(2, 20)] as const;
      /** Bridged (through VXLAN 10 by proxy), and routed from 10 to 20, over the tunnel. */
      const flows = [
        { from: vms[0], to: "10.1.1.21" },
        { from: vms[0], to: "20.1.1.21" },
      ];
      const send = (sequence: number) => {
        for (const { from, to } of flows) from.ping(to, { sequence });
      };
      send(0);
      world.settle();
      const before = flows.map(({ from }) => from.replies.length);
      // A VXLAN that only one side has yet is announced into the tunnel all the same.
      const dropsOf = (n: 1 | 2) => ({ ...gateways[n].drops, unknown_vni: 0 });
      const drops = { 1: dropsOf(1), 2: dropsOf(2) };
      let sent = 0;
      for (const [n, shape] of [...steps, [1, NOTHING], [2, NOTHING]] as [1 | 2, Shape][]) {
        // Packets are on their way when the change comes.
        for (let i = 0; i < 3; i++) send(++sent);
        gateways[n].reload(yaml(n, shape));
        send(++sent);
        world.advance(50);
        expect(gateways[n].control.topology.isReady).toBe(true);
      }
      world.advance(100);
      expect(flows[0]!.from.replies.length - before[0]!).toBe(2 * sent);
      for (const to of flows) {
        const order = vms[0].received.filter((f) => f[23] === 1 && f[34] === 0 && from(f) === parseIpv4(to.to));
        expect(order.map((f) => (f[40]! << 8) | f[41]!)).toEqual([...Array(sent + 1).keys()]);
      }
      expect({ 1: dropsOf(1), 2: dropsOf(2) }).toEqual(drops);
      for (const n of [1, 2] as const) {
        const { inventory, topology } = gateways[n].control.shown;
        expect([...inventory.vsis.values()].map(({ name }) => name).sort()).toEqual(["vsi10", "vsi20"]);
        expect([...inventory.ports.values()].map(({ name }) => name).sort()).toEqual(["a10", "a20", "peer"]);
        expect(topology.policies.list()).toEqual([]);
        gateways[n].checkLedger();
      }
    }),
    { numRuns: 40 },
  );
});

const from = (frame: Uint8Array) => new DataView(frame.buffer, frame.byteOffset).getInt32(26);
