/** The change feeds of the MAC and neighbour tables: who replays one has the table, whatever happened, and each change once. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Feed } from "../../src/control/feed.ts";
import { formatIp } from "../../src/control/ip.ts";
import type { MacChange } from "../../src/control/mac/change.ts";
import type { NeighborChange } from "../../src/control/neighbor/entry.ts";
import { formatMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { AgentBed, G10, M1, M3, M9, P10 } from "./agent-bed.ts";

const MACS = [M1, M3, M9];
const HOSTS = ["10.1.1.11", "10.1.1.13"];
const PORTS = ["vm1", "vm3", "gw2", "border"] as const;

/** What a follower believes: each change must fit what it believed before. */
function replay(bed: AgentBed) {
  const macs = new Map<string, string>();
  const hosts = new Map<string, string>();
  const step = (book: Map<string, string>, key: string, kind: string, was: string | null, is: string | null) => {
    expect([book.get(key) ?? null, kind]).toEqual([was, was === null ? "added" : is === null ? "removed" : "changed"]);
    expect(is).not.toBe(was);
    if (is === null) book.delete(key);
    else book.set(key, is);
  };
  const placeOf = (at: MacChange["was"]) => at && `${at.port?.name ?? "-"} ${at.origin}`;
  const hostAt = (at: NeighborChange["was"]) => at && `${formatMac(at.mac)} ${at.port.name} ${at.origin}`;
  for (const row of bed.agent.macs.list()) macs.set(`${row.vsi} ${row.mac}`, `${row.via?.name ?? "-"} ${row.origin}`);
  bed.agent.macs.changes.follow(({ kind, vsi, mac, was, is }) =>
    step(macs, `${vsi.name} ${formatMac(mac)}`, kind, placeOf(was), placeOf(is)),
  );
  bed.agent.neighbors.changes.follow(({ kind, iface, ip, was, is }) =>
    step(hosts, `${iface.name} ${formatIp(ip)}`, kind, hostAt(was), hostAt(is)),
  );
  return { macs, hosts };
}

const action = fc.record({
  what: fc.constantFrom("learn", "request", "reply", "want", "unwant", "pin", "unpin", "down", "up", "flush", "time"),
  mac: fc.nat({ max: MACS.length - 1 }),
  host: fc.nat({ max: HOSTS.length - 1 }),
  port: fc.nat({ max: PORTS.length - 1 }),
});

function act(
  bed: AgentBed,
  { what, mac: m, host: h, port: p }: { what: string; mac: number; host: number; port: number },
) {
  const { agent, vsi10, if10 } = bed;
  const [mac, host, port] = [MACS[m]!, HOSTS[h]!, bed[PORTS[p]!]];
  const ip = parseIpv4(host)!;
  if (what === "learn") bed.learn(port, vsi10, mac);
  else if (what === "request" && port.kind === "ac") bed.request(port, vsi10, mac, host, "10.1.1.1");
  else if (what === "reply") bed.reply(port, vsi10, port.kind === "ac" ? mac : P10, host, G10, "10.1.1.1");
  else if (what === "want" && port.kind === "tunnel") {
    agent.macs.want("evpn", vsi10, mac, port);
    agent.neighbors.candidates.want("evpn", if10, ip, { mac, port, vsi: vsi10 });
  } else if (what === "unwant") {
    agent.macs.unwant("evpn", vsi10, mac);
    agent.neighbors.candidates.unwant("evpn", if10, ip);
  } else if (what === "pin") agent.neighbors.addStatic(if10, ip, mac, port, vsi10);
  else if (what === "unpin") agent.neighbors.removeStatic(if10, ip);
  else if (what === "down" && port.up) {
    port.up = false;
    agent.suspendPort(port);
  } else if (what === "up" && !port.up) {
    port.up = true;
    agent.portUp(port);
  } else if (what === "flush") agent.flushPort(port);
  else if (what === "time") bed.advance(3000 * (m + 1));
}

describe("the feeds", () => {
  it("replayed, are the tables, after any sequence of events; and so are the counts", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const bed = new AgentBed();
        const { macs, hosts } = replay(bed);
        for (const each of actions) act(bed, each);
        bed.poll();
        const rows = bed.agent.macs
          .list()
          .map((row) => [`${row.vsi} ${row.mac}`, `${row.via?.name ?? "-"} ${row.origin}`]);
        expect([...macs].sort()).toEqual(rows.sort());
        const known = bed.agent
          .neighborViews()
          .filter(({ state }) => !/incomplete|failed|suspended|gateway/.test(state));
        const views = known.map((each) => [
          `${each.interface} ${each.ip}`,
          `${each.mac} ${each.via!.name} ${each.origin}`,
        ]);
        expect([...hosts].sort()).toEqual(views.sort());
        const counted = [...bed.agent.macs.counts().values()].flatMap((count) => Object.values(count));
        expect(counted.reduce((sum, each) => sum + each, 0)).toBe(rows.length);
        const neighbors = [...bed.agent.neighborCounts().values()].flatMap((count) => Object.values(count));
        expect(neighbors.reduce((sum, each) => sum + each, 0)).toBe(known.length);
        const { if10 } = bed;
        const there = bed.agent.neighborViews().filter((each) => each.interface === if10.name);
        expect(bed.agent.neighborsOn(if10)).toBe(there.length);
      }),
      { numRuns: 300 },
    );
  });

  it("tell where from and why: learned, moved, taken over by EVPN's word, suspended and back", () => {
    const bed = new AgentBed();
    const told: string[] = [];
    bed.agent.macs.changes.follow(({ kind, was, is, cause }) =>
      told.push(`${kind} ${was?.port?.name ?? "-"} ${is?.port?.name ?? "-"} ${is?.origin ?? "-"} ${cause}`),
    );
    bed.learn(bed.border, bed.vsi10, M9);
    bed.agent.macs.want("evpn", bed.vsi10, M9, bed.gw2);
    bed.gw2.up = false;
    bed.agent.suspendPort(bed.gw2);
    bed.gw2.up = true;
    bed.agent.portUp(bed.gw2);
    bed.learn(bed.vm1, bed.vsi10, M9);
    bed.agent.macs.delete(bed.vsi10, M9);
    bed.agent.macs.unwant("evpn", bed.vsi10, M9);
    expect(told).toEqual([
      "added - border learned heard",
      "changed border gw2 evpn evpn",
      "changed gw2 border learned port",
      "changed border gw2 evpn port",
      "changed gw2 vm1 learned heard",
      "changed vm1 gw2 evpn gone",
      "removed gw2 - - gone",
    ]);
  });

  it("have followers in a bounded number, and each may go", () => {
    const feed = new Feed<number>();
    const heard: number[] = [];
    const end = feed.follow((n) => heard.push(n));
    feed.tell(1);
    end();
    expect(feed.isFollowed).toBe(false);
    feed.tell(2);
    expect(heard).toEqual([1]);
    for (let i = 0; i < 8; i++) feed.follow(() => {});
    expect(() => feed.follow(() => {})).toThrow(/8 followers/);
  });
});
