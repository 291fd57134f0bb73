import { beforeEach, describe, expect, it } from "vitest";
import { MAC_FLOOD, MAC_GATEWAY, MAC_STATIC } from "../../src/tables/mac.ts";
import { BROADCAST, formatMac } from "../../src/wire/ethernet.ts";
import { AgentBed, G10, LIMITS, M1, M3, M9, P10 } from "./agent-bed.ts";

let bed: AgentBed;
beforeEach(() => {
  bed = new AgentBed();
});
const mac = (n: number) => 0x020000200000 + n;

describe("MAC learning (behaviour.md §4)", () => {
  it("a LEARN record becomes a row of its VSI; a move is one store", () => {
    bed.learn(bed.vm1, bed.vsi10, M1);
    expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm1.row);
    expect(bed.macValue(bed.vsi20, M1)).toBe(0);
    bed.learn(bed.vm3, bed.vsi10, M1);
    expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm3.row);
    expect(bed.agent.macs.moves.get("vsi10")).toBe(1);
    expect(bed.eventsNamed("mac.moved")).toEqual([{ vsi: "vsi10", mac: "02:00:00:00:01:11", from: "vm1", to: "vm3" }]);
  });

  it("never a group or zero MAC, never a port that is not the VSI's", () => {
    bed.learn(bed.vm1, bed.vsi10, 0);
    bed.learn(bed.vm1, bed.vsi10, BROADCAST);
    bed.learn(bed.vm1, bed.vsi10, 0x01005e000001);
    bed.learn(bed.vm2, bed.vsi10, M1);
    expect(bed.agent.macs.size).toBe(2);
    bed.inventory.removePort(bed.vm1);
    bed.learn(bed.vm1, bed.vsi10, M1);
    expect(bed.agent.macs.size).toBe(2);
  });

  it("the MAC that all gateways share has no owner: behind tunnels it is not learned", () => {
    for (const tunnel of [bed.gw2, bed.border]) bed.learn(tunnel, bed.vsi10, 0x02005e00000a);
    expect(bed.macValue(bed.vsi10, 0x02005e00000a)).toBe(0);
    bed.learn(bed.gw2, bed.vsi20, 0x02005e00000a);
    expect(bed.macValue(bed.vsi20, 0x02005e00000a)).toBe(bed.gw2.row);
  });

  it("gateway MACs and configured rows are never learned over", () => {
    bed.agent.macs.addStatic(bed.vsi10, M9, bed.vm3, MAC_STATIC);
    bed.agent.macs.addPeerGateway(bed.vsi10, P10, bed.gw2);
    for (const [each, value] of [
      [G10, MAC_GATEWAY],
      [M9, MAC_STATIC | bed.vm3.row],
      [P10, MAC_GATEWAY | bed.gw2.row],
    ] as const) {
      bed.learn(bed.vm1, bed.vsi10, each);
      bed.learn(bed.border, bed.vsi10, each);
      expect(bed.macValue(bed.vsi10, each)).toBe(value);
    }
  });

  it("a static row takes the place of a learned one, which holds again afterwards", () => {
    bed.learn(bed.vm1, bed.vsi10, M1);
    expect(bed.agent.macs.addStatic(bed.vsi10, M1, null, MAC_STATIC | MAC_FLOOD)).toBe(true);
    expect(bed.macValue(bed.vsi10, M1)).toBe(MAC_STATIC | MAC_FLOOD);
    bed.agent.macs.removeStatic(bed.vsi10, M1);
    expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm1.row);
    bed.advance(310_000);
    expect(bed.macValue(bed.vsi10, M1)).toBe(0);
    bed.learn(bed.vm1, bed.vsi10, M1);
    expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm1.row);
  });

  describe("candidates: static > heard at an AC > evpn > heard behind a tunnel", () => {
    const say = { static: MAC_STATIC, local: 0, evpn: 0, learned: 0 } as const;
    type Said = keyof typeof say;
    const place = (said: Said) =>
      ({ static: bed.vm3, local: bed.vm1, evpn: bed.gw2, learned: bed.border })[said].row | say[said];
    const begin: Record<Said, () => unknown> = {
      static: () => bed.agent.macs.addStatic(bed.vsi10, M9, bed.vm3, MAC_STATIC),
      local: () => bed.learn(bed.vm1, bed.vsi10, M9),
      evpn: () => bed.agent.macs.want("evpn", bed.vsi10, M9, bed.gw2),
      learned: () => bed.learn(bed.border, bed.vsi10, M9),
    };
    const end: Record<Said, () => unknown> = {
      static: () => bed.agent.macs.removeStatic(bed.vsi10, M9),
      local: () => bed.agent.macs.delete(bed.vsi10, M9),
      evpn: () => bed.agent.macs.unwant("evpn", bed.vsi10, M9),
      learned: () => bed.agent.macs.delete(bed.vsi10, M9),
    };
    const RANKED: readonly (readonly [Said, Said])[] = [
      ["static", "evpn"],
      ["local", "evpn"],
      ["evpn", "learned"],
      ["static", "local"],
      ["static", "learned"],
    ];

    it.each(RANKED)("%s outranks %s, whichever was first; when it goes, the other one holds", (high, low) => {
      begin[low]();
      expect(bed.macValue(bed.vsi10, M9)).toBe(place(low));
      begin[high]();
      expect(bed.macValue(bed.vsi10, M9)).toBe(place(high));
      end[high]();
      expect(bed.macValue(bed.vsi10, M9)).toBe(place(low));
      if (low !== "evpn") return;
      end.evpn();
      expect(bed.macValue(bed.vsi10, M9)).toBe(0);
      begin[high]();
      begin.evpn();
      expect(bed.macValue(bed.vsi10, M9)).toBe(place(high));
      end[high]();
      expect(bed.macValue(bed.vsi10, M9)).toBe(place("evpn"));
      expect(bed.agent.macs.size).toBe(3);
    });

    it("a host that EVPN says is elsewhere is learned at its AC; a frame from it by a tunnel takes that back", () => {
      begin.evpn();
      begin.local();
      expect(bed.eventsNamed("mac.moved")).toEqual([
        { vsi: "vsi10", mac: "02:00:00:00:09:99", from: "gw2", to: "vm1" },
      ]);
      begin.learned();
      expect(bed.macValue(bed.vsi10, M9)).toBe(place("evpn"));
    });

    it("what EVPN says is not aged, is not flushed with what was learned, and counts for no guest's limit", () => {
      for (let n = 0; n < 100; n++) bed.agent.macs.want("evpn", bed.vsi10, mac(n), bed.gw2);
      bed.advance(700_000);
      expect(bed.agent.macs.flushLearned(null)).toBe(0);
      for (let n = 200; n < 240; n++) bed.learn(bed.border, bed.vsi10, mac(n));
      expect(bed.drops).toEqual({ mac_limit: 40 - 31 });
      expect(bed.agent.macs.counts().get("vsi10")).toEqual({ local: 0, remote: 31, static: 1, evpn: 100 });
      expect(bed.macValue(bed.vsi10, mac(99))).toBe(bed.gw2.row);
    });

    it("its word has room of its own: it is bounded, and keeps no guest's MAC out of the table", () => {
      let said = 0;
      while (said < 5000 && bed.agent.macs.want("evpn", bed.vsi20, 0x020000400000 + said, bed.gw2)) said++;
      expect(said).toBe(1000);
      for (let n = 0; n < 8; n++) bed.learn(bed.vm2, bed.vsi20, mac(n));
      expect(bed.drops).toEqual({});
      expect(bed.macValue(bed.vsi20, mac(7))).toBe(bed.vm2.row);
    });

    it("it counts while its tunnel is up, comes back with it, and goes with it", () => {
      begin.evpn();
      begin.learned();
      bed.gw2.up = false;
      bed.agent.flushPort(bed.gw2);
      expect(bed.macValue(bed.vsi10, M9)).toBe(place("learned"));
      bed.gw2.up = true;
      bed.agent.portUp(bed.gw2);
      expect(bed.macValue(bed.vsi10, M9)).toBe(place("evpn"));
      bed.inventory.removePort(bed.gw2);
      bed.agent.flushPort(bed.gw2);
      expect(bed.macValue(bed.vsi10, M9)).toBe(place("learned"));
    });
  });

  it("five moves in 180 s are believed; further ones are counted and the row stays", () => {
    const at = [bed.vm1, bed.vm3];
    for (let i = 0; i < 13; i++) bed.learn(at[i & 1]!, bed.vsi10, M1);
    expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm3.row);
    expect(bed.drops).toEqual({ move_damped: 4 });
    expect(bed.agent.macs.moves.get("vsi10")).toBe(5);
    bed.hitMac(bed.vsi10, M1);
    bed.advance(180_001);
    bed.learn(bed.vm1, bed.vsi10, M1);
    expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm1.row);
  });

  describe("limits: the frame goes on, the MAC is not learned", () => {
    it(`per AC: ${LIMITS.acMacs}`, () => {
      for (let n = 0; n < LIMITS.acMacs + 7; n++) bed.learn(bed.vm1, bed.vsi10, mac(n));
      expect(bed.drops).toEqual({ mac_limit: 7 });
      expect(bed.eventsNamed("mac.limit").length).toBe(1);
      bed.advance(2000);
      const mostOfAc = { key: "limits.acMacs", most: LIMITS.acMacs };
      const last = { vsi: "vsi10", mac: formatMac(mac(LIMITS.acMacs + 6)), via: { kind: "ac", name: "vm1" }, times: 7 };
      expect(bed.agent.macs.limited.list()).toEqual([{ ...last, ...mostOfAc, secondsAgo: 2 }]);
      bed.learn(bed.vm3, bed.vsi10, mac(100));
      expect(bed.macValue(bed.vsi10, mac(100))).toBe(bed.vm3.row);
      // Nor may a MAC move to a full AC.
      bed.learn(bed.vm1, bed.vsi10, mac(100));
      expect(bed.macValue(bed.vsi10, mac(100))).toBe(bed.vm3.row);
      expect(bed.agent.macs.delete(bed.vsi10, mac(0))).toBe(true);
      bed.learn(bed.vm1, bed.vsi10, mac(100));
      expect(bed.macValue(bed.vsi10, mac(100))).toBe(bed.vm1.row);
    });

    it("per VSI, static rows included", () => {
      for (let n = 0; n < 40; n++) bed.learn(bed.gw2, bed.vsi10, mac(n));
      expect(bed.drops).toEqual({ mac_limit: 40 - 31 });
      const { limit: most } = bed.vsi10.config.mac;
      expect(bed.agent.macs.limited.list()).toMatchObject([{ key: "mac.limit", most, times: 40 - 31 }]);
      bed.learn(bed.gw2, bed.vsi20, mac(0));
      expect(bed.macValue(bed.vsi20, mac(0))).toBe(bed.gw2.row);
    });

    it("in all", () => {
      for (const vsi of [bed.vsi10, bed.vsi20]) (vsi.config.mac as { limit: number }).limit = 5000;
      for (let n = 0; n < 1010; n++) bed.learn(bed.gw2, n & 1 ? bed.vsi10 : bed.vsi20, mac(n));
      expect(bed.agent.macs.size).toBe(1000);
      expect(bed.drops).toEqual({ mac_limit: 12 });
      expect(bed.agent.macs.limited.list()[0]).toMatchObject({ key: "limits.macs", most: 1000 });
    });
  });

  describe("ageing", () => {
    it("by source alone: a row that is hit stays, one that is not goes after 300 s; static rows stay", () => {
      bed.agent.macs.addStatic(bed.vsi10, M9, bed.vm3, MAC_STATIC);
      bed.learn(bed.vm1, bed.vsi10, M1);
      bed.learn(bed.vm3, bed.vsi10, M3);
      for (let i = 0; i < 12; i++) {
        bed.advance(29_000);
        bed.hitMac(bed.vsi10, M1);
      }
      expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm1.row);
      expect(bed.macValue(bed.vsi10, M3)).toBe(0);
      expect(bed.eventsNamed("mac.aged")).toEqual([{ vsi: "vsi10", mac: "02:00:00:00:01:13", ac: "vm3" }]);
      bed.advance(400_000);
      expect(bed.macValue(bed.vsi10, M1)).toBe(0);
      expect(bed.macValue(bed.vsi10, M9)).toBe(MAC_STATIC | bed.vm3.row);
    });

    it("age 10 s is exact to a second (A10)", () => {
      bed = new AgentBed({ mac: { ageSeconds: 10, limit: 32, static: [] } });
      bed.learn(bed.vm1, bed.vsi10, M1);
      bed.advance(9_900);
      expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm1.row);
      bed.advance(1_100);
      expect(bed.macValue(bed.vsi10, M1)).toBe(0);
    });

    it("a mark from a former life of the row does not count", () => {
      bed = new AgentBed({ mac: { ageSeconds: 10, limit: 32, static: [] } });
      bed.learn(bed.vm1, bed.vsi10, M1);
      bed.agent.macs.delete(bed.vsi10, M1);
      bed.hitMac(bed.vsi10, M1);
      bed.learn(bed.vm1, bed.vsi10, M1);
      bed.advance(10_500);
      expect(bed.macValue(bed.vsi10, M1)).toBe(0);
    });
  });

  it("a port that goes takes what was learned behind it; a VSI takes all", () => {
    bed.learn(bed.vm1, bed.vsi10, M1);
    bed.learn(bed.gw2, bed.vsi10, M9);
    bed.learn(bed.gw2, bed.vsi20, M9);
    bed.agent.macs.addPeerGateway(bed.vsi10, P10, bed.gw2);
    bed.agent.flushPort(bed.gw2);
    expect([bed.vsi10, bed.vsi20].map((vsi) => bed.macValue(vsi, M9))).toEqual([0, 0]);
    expect(bed.macValue(bed.vsi10, P10)).toBe(0);
    expect(bed.macValue(bed.vsi10, M1)).toBe(bed.vm1.row);
    bed.agent.flushVsi(bed.vsi10);
    expect([bed.macValue(bed.vsi10, M1), bed.macValue(bed.vsi10, G10)]).toEqual([0, 0]);
    expect(bed.agent.macs.size).toBe(1);
  });

  it("a hostile VTEP cannot fill the table with peer gateways", () => {
    for (let n = 0; n < 100; n++) {
      bed.agent.macs.addPeerGateway(bed.vsi10, mac(n), bed.gw2);
      bed.advance(10);
    }
    const gateways = bed.agent.macs.list().filter((each) => each.origin === "gateway" && each.via !== null);
    expect(gateways.map((each) => Number.parseInt(each.mac.slice(-2), 16))).toEqual([96, 97, 98, 99]);
  });

  it("is listed and counted", () => {
    bed.learn(bed.vm1, bed.vsi10, M1);
    bed.learn(bed.gw2, bed.vsi10, M9);
    bed.agent.macs.addStatic(bed.vsi10, M3, bed.vm3, MAC_STATIC);
    bed.advance(2500);
    expect(bed.agent.macs.list().filter((each) => each.vsi === "vsi10")).toEqual([
      { vsi: "vsi10", mac: "02:00:00:00:01:11", via: { kind: "ac", name: "vm1" }, origin: "learned", ageSeconds: 2 },
      { vsi: "vsi10", mac: "02:00:00:00:01:13", via: { kind: "ac", name: "vm3" }, origin: "static", ageSeconds: null },
      {
        vsi: "vsi10",
        mac: "02:00:00:00:09:99",
        via: { kind: "tunnel", name: "gw2" },
        origin: "learned",
        ageSeconds: 2,
      },
      { vsi: "vsi10", mac: "02:aa:00:00:00:0a", via: null, origin: "gateway", ageSeconds: null },
    ]);
    expect(bed.agent.macs.counts().get("vsi10")).toEqual({ local: 1, remote: 1, static: 2 });
    expect(bed.agent.macs.flushLearned(bed.vsi10)).toBe(2);
    expect(bed.agent.macs.counts().get("vsi10")).toEqual({ local: 0, remote: 0, static: 2 });
  });
});
