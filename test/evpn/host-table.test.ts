/** What is counted of hosts, VTEPs and our routes, kept where it changes, beside slow twins that walk all of them. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { formatIp, parseIp } from "../../src/control/ip.ts";
import type { Beliefs } from "../../src/evpn/beliefs.ts";
import { Exporter } from "../../src/evpn/export.ts";
import { Fabric } from "../../src/evpn/fabric.ts";
import { HostTable } from "../../src/evpn/host-table.ts";
import type { Instance } from "../../src/evpn/import.ts";
import { MacVrf } from "../../src/evpn/mac-vrf.ts";
import { keyOf, type MacRoute } from "../../src/evpn/route.ts";

const MACS = [0x020000000001, 0x020000000002, 0x020000000003];
const IPS = ["10.1.1.1", "10.1.1.2", "2001:db8:10::1", "2001:db8:20::1"].map((text) => parseIp(text)!);
const INSTANCE: Instance = {
  ...{ vsi: "vsi10", vrf: null, subnets: "", vni: 10, rd: "192.0.2.5:10", importsAuto: true, imports: [] },
  ...{ exports: ["65000:10"], irb: null },
};

/** A VSI whose tables have room while `hasRoom` says so. */
class Bench {
  hasRoom = true;
  nowMs = 0;
  readonly vrf: MacVrf;
  readonly table: HostTable;
  private readonly standing = new Map<string, MacRoute>();

  constructor() {
    const beliefs = {
      wantMac: () => this.hasRoom,
      unwantMac: () => undefined,
      wantIp: () => this.hasRoom,
      unwantIp: () => undefined,
      yieldHost: () => undefined,
    } as unknown as Beliefs;
    this.vrf = new MacVrf({
      ...{ instance: INSTANCE, vtep: "192.0.2.5", beliefs, exporter: new Exporter(1000, 0) },
      rules: { moves: 4, seconds: 180, action: "freeze", recoverSeconds: 5 },
      nowMs: () => this.nowMs,
      tell: () => undefined,
    });
    const [table] = Object.values(this.vrf).filter((each) => each instanceof HostTable);
    this.table = table as HostTable;
  }

  run({ kind, mac, ip, vtep, sequence, isSticky }: Action): void {
    const { vrf } = this;
    const [of, at] = [MACS[mac]!, IPS[ip]];
    switch (kind) {
      case "announce":
      case "withdraw": {
        const key = `${mac} ${ip} ${vtep}`;
        const was = this.standing.get(key);
        if (kind === "announce") {
          const route: MacRoute = {
            ...{
              type: 2,
              rd: `192.0.2.${vtep}:10`,
              tag: 0,
              nextHop: `192.0.2.${vtep}`,
              targets: ["65000:10"],
              encap: 8,
            },
            ...{ mac: of, ip: at === undefined ? null : formatIp(at), labels: [10], segment: null },
            ...{ sequence, isSticky, isGateway: false, routerMac: null },
          };
          vrf.addRoute(route);
          this.standing.set(key, route);
        } else this.standing.delete(key);
        if (was !== undefined) vrf.removeRoute(was);
        return;
      }
      case "macHere":
        vrf.macHere(of, isSticky);
        return;
      case "macGone":
        vrf.macGone(of);
        return;
      case "ipHere":
        vrf.ipHere(at ?? IPS[0]!, of, isSticky);
        return;
      case "ipGone":
        vrf.ipGone(at ?? IPS[0]!);
        return;
      case "keepOnly":
        vrf.keepOnly([{ mac: of, ip: at ?? null, isSticky }]);
        return;
      case "room":
        this.hasRoom = isSticky;
        return;
      case "tick":
        this.nowMs += 4000;
        vrf.tick();
        return;
      case "close":
        this.standing.clear();
        vrf.close();
        return;
    }
  }

  /** The twin. */
  recounted() {
    const { hosts, addresses } = this.table;
    const count = (all: readonly (readonly [isTold: boolean, isHere: boolean])[]) => ({
      used: all.filter(([isTold, isHere]) => isTold && !isHere).length,
      shadowed: all.filter(([isTold, isHere]) => isTold && isHere).length,
      out: all.filter(([, isHere]) => isHere).length,
    });
    return {
      macs: count(Array.from(hosts.values(), ({ used, local }) => [used !== null, local !== null] as const)),
      ips: count(
        Array.from(addresses.values(), ({ used, local }) => {
          const host = local === null ? undefined : hosts.get(local);
          return [used !== null, host !== undefined && host.local !== null] as const;
        }),
      ),
    };
  }
}

const KINDS = ["announce", "withdraw", "macHere", "macGone", "ipHere", "ipGone", "keepOnly", "room", "tick"] as const;
const ACTION = fc.record({
  kind: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...KINDS) },
    { weight: 1, arbitrary: fc.constant("close" as const) },
  ),
  mac: fc.nat(MACS.length - 1),
  /** One more than there are: the MAC alone. */
  ip: fc.nat(IPS.length),
  vtep: fc.constantFrom(4, 6),
  sequence: fc.constantFrom(null, 1, 2, 5),
  isSticky: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});
type Action = typeof ACTION extends fc.Arbitrary<infer A> ? A : never;

it("counts as the slow twin does, whatever is said, heard, forgotten and refused", () => {
  fc.assert(
    fc.property(fc.array(ACTION, { maxLength: 60 }), (actions) => {
      const bench = new Bench();
      for (const action of actions) {
        bench.run(action);
        expect(bench.vrf.counts()).toEqual(bench.recounted());
      }
    }),
    { numRuns: 500 },
  );
});

it("counts what is used, what a host here comes before, and what is here", () => {
  const bench = new Bench();
  const said = { vtep: 4, sequence: null, isSticky: false } as const;
  bench.run({ ...said, kind: "announce", mac: 0, ip: 0 });
  bench.run({ ...said, kind: "ipHere", mac: 1, ip: 1, isSticky: true });
  // A claim to the sticky host, and one to its address with another MAC.
  bench.run({ ...said, kind: "announce", mac: 1, ip: 3 });
  bench.run({ ...said, kind: "announce", mac: 2, ip: 1 });
  const before = { macs: { used: 2, shadowed: 1, out: 1 }, ips: { used: 1, shadowed: 1, out: 1 } };
  expect([bench.vrf.counts(), bench.recounted()]).toEqual([before, before]);
  bench.run({ ...said, kind: "macGone", mac: 1, ip: 1 });
  const after = { macs: { used: 3, shadowed: 0, out: 0 }, ips: { used: 3, shadowed: 0, out: 0 } };
  expect([bench.vrf.counts(), bench.recounted()]).toEqual([after, after]);
});

it("walks nothing to tell it", () => {
  const bench = new Bench();
  const hosts = { kind: "announce", vtep: 4, sequence: null, isSticky: false } as const;
  for (const mac of MACS.keys()) bench.run({ ...hosts, mac, ip: mac });
  for (const map of [bench.table.hosts, bench.table.addresses])
    for (const walk of ["values", "keys", "entries", "forEach", Symbol.iterator] as const)
      Object.defineProperty(map, walk, {
        value: () => {
          throw new Error("it was walked");
        },
      });
  expect(bench.vrf.counts()).toEqual({ macs: { used: 3, shadowed: 0, out: 0 }, ips: { used: 3, shadowed: 0, out: 0 } });
});

it("counts the VTEPs of a VNI, and our routes of a type, as their twins do", () => {
  const step = fc.record({ vtep: fc.nat(3), vni: fc.nat(2), isHeld: fc.boolean(), hasRoom: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      let isFull = false;
      const fabric = new Fabric({ acquire: () => (isFull ? "no room" : null), release: () => undefined }, 3);
      const exporter = new Exporter(1000, 0);
      for (const { vtep, vni, isHeld, hasRoom } of steps) {
        isFull = !hasRoom;
        const name = `192.0.2.${vtep}`;
        const common = { rd: `${name}:${vni}`, tag: 0, nextHop: name, targets: [], encap: 8 };
        const route =
          vni === 0
            ? { ...common, type: 1 as const, name }
            : { ...common, type: 3 as const, originator: name, pmsi: null };
        if (isHeld) {
          fabric.hold(name, vni);
          exporter.set({ ...route, tag: 0, targets: [String(steps.length)] });
        } else {
          fabric.release(name, vni, false);
          exporter.unset(keyOf(route));
        }
        if (hasRoom) {
          fabric.retry();
          while (fabric.hasWork) fabric.take(1);
        }
        const there = [0, 1, 2].map(
          (n) => ["0", "1", "2", "3"].filter((last) => fabric.has(`192.0.2.${last}`, n)).length,
        );
        expect([0, 1, 2].map((n) => fabric.countOf(n))).toEqual(there);
        const ours = [...exporter.routes()];
        for (const type of [1, 2, 3] as const)
          expect(exporter.countOf(type)).toBe(ours.filter((each) => each.type === type).length);
      }
    }),
    { numRuns: 200 },
  );
});
