/**
 * BFD inside VXLAN (RFC 8971) between whole gateways in virtual time: what the session proves that one beside VXLAN does not, and who
 * cannot speak in it.
 *
 *     vm1 - gw1 === gw2      each with a session in the management VNI
 */
import { describe, expect, it } from "vitest";
import { tenantsPackets } from "../../src/liveness/assemble.ts";
import { bfdOf } from "../../src/liveness/bfd/view.ts";
import { BfdWatch } from "../../src/liveness/bfd/watch.ts";
import { TunnelJudge } from "../../src/liveness/judge.ts";
import { PUNT, RX_BYTES, RX_PACKETS, total as sum, sumOf, TX_BYTES, TX_PACKETS } from "../../src/tables/counters.ts";
import type { BfdPacket } from "../../src/wire/bfd.ts";
import { bfdDatagram } from "../../src/wire/bfd-vxlan.ts";
import { BfdNet } from "../liveness/bfd/bfd-bed.ts";
import { type Gateway, World } from "./world.ts";

const VTEPS = { gw1: "192.0.2.1", gw2: "192.0.2.2", gw3: "192.0.2.3" } as const;
type Name = keyof typeof VTEPS;

const yamlOf = (name: Name, underlay = "") => `node: ${name}
underlay: {address: ${VTEPS[name]}, mtu: 1500${underlay}}
tunnels: [${Object.entries(VTEPS).flatMap(([peer, remote]) => (peer === name ? [] : [`{name: ${peer}, remote: ${remote}}`]))}]
bfd: {intervalMs: 50, multiplier: 3, mode: vxlan}
vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}]
acs: [{name: vm, vsi: vsi10, tap: {device: tap-${name}}}]
control: {socket: /run/${name}.sock}
`;

class Bed {
  readonly world = new World(1);
  readonly net = new BfdNet();
  readonly watches = new Map<Name, BfdWatch>();
  /** Gateways whose forwarding threads do nothing: their machine, and their thread of BFD, live. */
  readonly still = new Set<Gateway>();

  constructor(underlay: Partial<Record<Name, string>> = {}) {
    for (const address of Object.values(VTEPS)) this.world.net.inbox(address);
    this.net.carryVxlan = (from, to, bytes) =>
      void this.world.net.carry({ from, to, tos: 0xc0, entropy: 49152, bytes });
    for (const name of Object.keys(VTEPS) as Name[]) this.watch(name, this.world.gateway(yamlOf(name, underlay[name])));
    this.pass(4000);
  }

  private watch(name: Name, gateway: Gateway): void {
    const { topology, inventory } = gateway.control.shown;
    const watch = new BfdWatch({
      inventory,
      config: () => topology.config,
      judge: new TunnelJudge(topology),
      setSession: (tunnel, slot) => topology.setSession(tunnel, slot),
      emit: (level, event, fields) => gateway.events.push({ level, event, fields }),
      openLink: ({ underlay: { address } }, onReport) => this.net.link(address, gateway.tables, onReport),
      kick: () => undefined,
      nowMs: () => this.world.net.nowMs,
    });
    watch.look();
    this.watches.set(name, watch);
  }

  gateway(name: Name): Gateway {
    return this.world.gateways.get(name)!;
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 10) {
      this.world.advance(10, 10);
      for (const name of this.watches.keys()) {
        const gateway = this.world.gateways.get(name);
        if (gateway !== undefined) this.net.inner(VTEPS[name], gateway.tables);
      }
      this.net.pass(10);
    }
  }

  verdict(at: Name, of: Name): string {
    return bfdOf(this.watches.get(at)!).sessions.find(({ tunnel }) => tunnel === of)!.verdict;
  }

  /** Somebody at `from` sends this to gw1. */
  forge(from: Name | "stranger", bytes: Uint8Array): void {
    const address = from === "stranger" ? "192.0.2.66" : VTEPS[from];
    this.world.net.carry({ from: address, to: VTEPS.gw1, tos: 0, entropy: 1, bytes });
    this.pass(10);
  }

  refused(name: Name = "gw1"): Record<string, number> {
    const all = bfdOf(this.watches.get(name)!).refused;
    return Object.fromEntries(all.filter(({ count }) => count > 0).map(({ reason, count }) => [reason, count]));
  }
}

const said: BfdPacket = {
  ...{ diagnosis: "none", state: "adminDown", poll: false, final: false, demand: false, multiplier: 3 },
  ...{ mine: 77, yours: 0, desiredMinTx: 50_000, requiredMinRx: 50_000, requiredMinEchoRx: 0 },
};
const addressOf = (name: Name) => Uint8Array.from(VTEPS[name].split(".").map(Number));
const from = (name: Name, more: Partial<BfdPacket> = {}, vni = 1) =>
  bfdDatagram({ vni, source: addressOf(name), sourcePort: 49153 }, { ...said, ...more });

describe("a session inside VXLAN", () => {
  it("comes up between all, is taken by the forwarding threads, and is no tenant's frame", () => {
    const bed = new Bed();
    for (const at of ["gw1", "gw2"] as const)
      for (const of of ["gw1", "gw2"] as const) if (at !== of) expect(bed.verdict(at, of)).toBe("up");
    const { tables, drops } = bed.gateway("gw1");
    expect(tables.counters[0]!.punted[PUNT.bfd]).toBeGreaterThan(20);
    expect([drops, bed.refused()]).toEqual([{}, {}]);
  });

  it("is in its tunnel's counts, both ways and to the byte, and in the ledger; another tunnel's has none of it", () => {
    const bed = new Bed();
    const { tables, control } = bed.gateway("gw1");
    const countsOf = (name: Name) => {
      const { row } = control.shown.inventory.tunnel(name)!;
      const cell = (word: number) => sumOf(tables.counters, ({ ports }) => ports[row * 4 + word]!);
      return [cell(RX_PACKETS), cell(RX_BYTES), cell(TX_PACKETS), cell(TX_BYTES)] as const;
    };
    const figuresOf = (name: Name) => bfdOf(bed.watches.get("gw1")!).sessions.find(({ tunnel }) => tunnel === name)!;
    const before = figuresOf("gw3");
    const sentToGw3 = countsOf("gw3")[2];
    const [rx, rxBytes, tx, txBytes] = countsOf("gw2");
    bed.pass(1000);
    const [received, receivedBytes, sent, sentBytes] = countsOf("gw2");
    // 14 of Ethernet, 20 of IPv4, 8 of UDP, 24 of BFD; each 37.5 to 50 ms.
    expect(received - rx).toBeGreaterThanOrEqual(19);
    expect(receivedBytes - rxBytes).toBe(66 * (received - rx));
    expect(sent - tx).toBeGreaterThanOrEqual(19);
    expect(sentBytes - txBytes).toBe(66 * (sent - tx));
    expect(sum(tables.bfdCounters.injected)).toBe(figuresOf("gw2").sent + figuresOf("gw3").sent);
    expect(figuresOf("gw3").sent - before.sent).toBeGreaterThanOrEqual(19);
    // The gateways' announcements went before.
    expect(countsOf("gw3")[2] - sentToGw3).toBe(figuresOf("gw3").sent - before.sent);
    bed.gateway("gw1").checkLedger();
  });

  it("is nothing that a gateway which leaves waits for: the end of the tenants' packets is", () => {
    const bed = new Bed();
    const { tables, control } = bed.gateway("gw1");
    const count = () => tenantsPackets(control.shown.inventory, tables);
    const before = count();
    bed.pass(1000);
    expect(count()).toBe(before);
    bed
      .gateway("gw2")
      .taps.get("vm")!
      .send(new Uint8Array(64).fill(0xff, 0, 6).fill(2, 6, 12));
    bed.pass(10);
    expect(count()).toBe(before + 1);
  });

  it("falls with the peer's forwarding threads, though its machine and its BFD live; and is up again with them", () => {
    const bed = new Bed();
    const gw2 = bed.gateway("gw2");
    // Nothing of VXLAN is received there any more; what its thread of BFD says still leaves.
    bed.world.gateways.delete("gw2");
    bed.pass(170);
    expect(bed.verdict("gw2", "gw1")).toBe("down");
    bed.pass(150);
    expect(bed.verdict("gw1", "gw2")).toBe("down");
    expect(bed.gateway("gw1").control.shown.inventory.tunnel("gw2")!.up).toBe(false);
    bed.world.gateways.set("gw2", gw2);
    bed.pass(4000);
    expect(bed.verdict("gw1", "gw2")).toBe("up");
  });

  it("a peer that drains is left, and one whose management VNI is another is never up", () => {
    const bed = new Bed({ gw3: ", managementVni: 9" });
    bed.watches.get("gw2")!.drain(true);
    bed.pass(30);
    expect(bed.verdict("gw1", "gw2")).toBe("draining");
    expect(bed.verdict("gw1", "gw3")).toBe("unknown");
    expect(bed.gateway("gw1").drops.unknown_vni).toBeGreaterThan(0);
  });

  it("follows the VNI by a reload, and leaves the old one", () => {
    const bed = new Bed();
    for (const name of Object.keys(VTEPS) as Name[]) {
      bed.gateway(name).reload(yamlOf(name, ", managementVni: 77"));
      bed.watches.get(name)!.look();
    }
    bed.pass(5000);
    expect(bed.verdict("gw1", "gw2")).toBe("up");
    const before = bed.gateway("gw1").drops.unknown_vni ?? 0;
    bed.forge("gw2", from("gw2"));
    expect(bed.gateway("gw1").drops.unknown_vni! - before).toBe(1);
  });
});

describe("who cannot speak in it", () => {
  it("a VM: what it sends is its VXLAN's, whatever it looks like", () => {
    const bed = new Bed();
    const tap = bed.gateway("gw1").taps.get("vm")!;
    const before = bed.gateway("gw2").tables.counters[0]!.punted[PUNT.bfd]!;
    bed.world.clear();
    tap.send(from("gw1", { yours: 0 }).subarray(8));
    bed.world.settle();
    // Flooded as unknown unicast, in VNI 10: to gw2's VMs it is a frame like any other.
    const inVxlan = bed.world.seen.filter(({ where }) => where === "underlay");
    expect(inVxlan.length).toBeGreaterThan(0);
    for (const { bytes } of inVxlan) expect((bytes[4]! << 16) | (bytes[5]! << 8) | bytes[6]!).toBe(10);
    expect(bed.gateway("gw2").tables.counters[0]!.punted[PUNT.bfd]!).toBe(before);
    expect(bed.verdict("gw2", "gw1")).toBe("up");
  });

  it("another peer in the name of gw2, by its address or by its session", () => {
    const bed = new Bed();
    const { sessions } = bfdOf(bed.watches.get("gw1")!);
    const yours = sessions.find(({ tunnel }) => tunnel === "gw2")!.discriminator;
    bed.forge("gw3", from("gw2"));
    bed.forge("gw3", from("gw2", { yours }));
    bed.forge("gw3", from("gw3", { yours }));
    expect([bed.refused(), bed.verdict("gw1", "gw2")]).toEqual([{ stranger: 3 }, "up"]);
    bed.forge("gw2", from("gw2", { yours }));
    expect(bed.verdict("gw1", "gw2")).toBe("draining");
  });

  it("who is no tunnel of ours; and who sends nonsense, which has a name each", () => {
    const bed = new Bed();
    bed.forge("stranger", from("gw2"));
    expect(bed.gateway("gw1").drops).toEqual({ unknown_vtep: 1 });
    const far = from("gw2");
    far[8 + 14 + 8] = 254;
    far[8 + 14 + 10]! += 1; // the header's checksum is right again
    bed.forge("gw2", far);
    const tenant = from("gw2");
    tenant[8]! |= 0x01;
    bed.forge("gw2", tenant);
    bed.forge("gw2", from("gw2", { mine: 0 }));
    expect(bed.refused()).toEqual({ hop_count: 1, not_bfd: 1, discriminator_zero: 1 });
    const long = new Uint8Array(400).fill(0xa5);
    long.set(from("gw2").subarray(0, 60));
    bed.forge("gw2", long);
    expect(bed.gateway("gw1").drops).toEqual({ unknown_vtep: 1, unknown_vni: 1 });
    expect(bed.verdict("gw1", "gw2")).toBe("up");
  });

  it("a flood of one peer takes nothing from the sessions of the others, nor from ARP", () => {
    const bed = new Bed();
    const flood = from("gw3", { mine: 0 });
    for (let ms = 0; ms < 2000; ms += 10) {
      for (let n = 0; n < 40; n++)
        bed.world.net.carry({ from: VTEPS.gw3, to: VTEPS.gw1, tos: 0, entropy: 1, bytes: flood });
      bed.pass(10);
    }
    expect(bed.verdict("gw1", "gw2")).toBe("up");
    expect(bed.gateway("gw1").drops.punt_limited).toBeGreaterThan(5000);
    const taken = bed.refused().discriminator_zero!;
    expect(taken).toBeLessThanOrEqual(200 * 2 + 60);
  });
});
