/**
 * A what-if packet meets the fate of a real one: the same bytes through `explain` and then through a live plane, for
 * thousands of random packets over random tables; and nothing of the gateway changes by asking.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { OWN_PORT, OWN_VSI } from "../../src/dataplane/send-words.ts";
import { STAGES } from "../../src/dataplane/stages.ts";
import { type Explained, Explainer } from "../../src/insight/explain.ts";
import type { Names } from "../../src/insight/step.ts";
import { S_AT, S_ENTROPY, S_LENGTH, S_TOS, SEND_WORDS } from "../../src/io/port-io.ts";
import { DROPS, PUNT, PUNTS } from "../../src/tables/counters.ts";
import { RULE_DEFAULT_NEXT_HOP, RULE_DROP, RULE_NEXT_HOP, RULE_PERMIT } from "../../src/tables/fib.ts";
import { MAC_FLOOD, MAC_GATEWAY, MAC_STATIC } from "../../src/tables/mac.ts";
import { VSI_FLOOD_BROADCAST, VSI_FLOOD_UNKNOWN, VSI_LOCAL_PROXY, VSI_SUPPRESS } from "../../src/tables/vsi.ts";
import { BROADCAST, parseMac } from "../../src/wire/ethernet.ts";
import { crowdedRig, FAR, SEEDS, type Seed } from "../dataplane/corpus.ts";
import { arpFrame, ethernet, tcpFrame, udpFrame, vxlan } from "../dataplane/packets.ts";
import { rule } from "../dataplane/policies.ts";
import { G10, ip, M1, P10, P20, Rig } from "../dataplane/rig.ts";
import { xorshift } from "../tables/xorshift.ts";
import { toHex } from "../wire/hex.ts";

const namesOf = (rig: Rig): Names => ({
  port: (row) => ["-", "ac vm1", "ac vm2", "tunnel gw2", "tunnel border"][row] ?? `ac ${row}`,
  vsi: (row) => `vsi${row}0`,
  interface: (row) => `vsi-interface${row}0`,
  vrf: (row) => (row === 1 ? "main" : `vrf${row}`),
  policy: () => "to-border",
  rule: (id) => `rule ${id}`,
  nextHop: (adjacency) => rig.nextHops.get(adjacency) ?? "-",
});

const ioOf = (seed: Seed) => (seed.tap !== 0 ? seed.tap : seed.last === 99 ? 0 : seed.last + 1);

/** What became of one packet, in a form to compare. */
interface Outcome {
  readonly drops: Record<string, number>;
  readonly sends: readonly string[];
  readonly punts: readonly string[];
}

const sendText = (port: number, vsi: number, tos: number, entropy: number, bytes: Uint8Array) =>
  `${port} ${vsi} ${tos} ${entropy} ${toHex(bytes)}`;

/** The packet alone through the live plane, at a time when every bucket is full. */
function live(rig: Rig, seed: Seed): Outcome {
  rig.run();
  rig.punts();
  rig.net.nowMs += 20_000;
  const before = rig.drops;
  if (seed.tap === 0) rig.arrive(seed.last, seed.bytes, seed.tos);
  else rig.net.tapOf(100 + seed.tap)!.send(seed.bytes);
  rig.plane.turn(0);
  const { worker } = rig.plane;
  const sends = Array.from({ length: worker.sendCount }, (_, n) => {
    const s = n * SEND_WORDS;
    const at = worker.sends[s + S_AT]!;
    const bytes = worker.frame.bytes.slice(at, at + worker.sends[s + S_LENGTH]!);
    return sendText(
      worker.sends[s + OWN_PORT]!,
      worker.sends[s + OWN_VSI]!,
      worker.sends[s + S_TOS]!,
      worker.sends[s + S_ENTROPY]!,
      bytes,
    );
  });
  const drops = Object.fromEntries(
    Object.entries(rig.drops)
      .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );
  const punts = rig.punts().map((p) => `${p.kind} ${p.port} ${p.vsi} ${p.arg} ${p.arg2} ${toHex(p.bytes)}`);
  return { drops, sends, punts };
}

function whatIf({ fate, sends, punts, notes, lostCopies }: Explained): Outcome {
  const drops: Record<string, number> = {};
  const add = (reason: number, count: number) => {
    const name = DROPS[reason - 1]![0];
    drops[name] = (drops[name] ?? 0) + count;
  };
  if (fate > 0) add(fate, 1);
  for (const [reason, count] of lostCopies) add(reason, count);
  const record = (p: Explained["punts"][number]) => `${p.kind} ${p.port} ${p.vsi} ${p.arg} ${p.arg2} ${toHex(p.bytes)}`;
  return {
    drops,
    sends: sends.map((s) => sendText(s.port, s.vsi, s.tos, s.entropy, s.bytes)),
    punts: [...notes, ...punts].map(record),
  };
}

/** Change a few bytes, or the length. */
function mutated(seed: Seed, random: () => number): Seed {
  let bytes = seed.bytes.slice();
  for (let n = random() % 3; n > 0; n--) bytes[random() % Math.min(bytes.length, 70)] = random();
  if (random() % 12 === 0) bytes = bytes.slice(0, random() % (bytes.length + 1));
  return { ...seed, tos: random() & 255, last: random() % 40 === 0 ? 99 : seed.last, bytes };
}

/** Tables that no file would give: whatever is in them, both must say the same. */
function shaken(random: () => number): Rig {
  const rig = crowdedRig();
  const t = rig.tables;
  const pick = <T>(list: readonly T[]) => list[random() % list.length]!;
  for (const vsi of [1, 2, 3]) {
    t.vsis.flags[vsi] =
      pick([VSI_LOCAL_PROXY, VSI_SUPPRESS, 0]) | (random() & (VSI_FLOOD_BROADCAST | VSI_FLOOD_UNKNOWN));
    for (const mac of [M1, FAR, P10, P20, parseMac("02:00:00:00:01:99")!])
      rig.mac(vsi, mac, pick([1, 2, 3, 4, 11, 12, MAC_GATEWAY | 3, MAC_STATIC | 1, MAC_FLOOD]));
  }
  for (const port of [1, 2, 3, 4, 11, 12, 13]) t.ports.mtu[port] = pick([1450, 576, 60, 9000]);
  for (const on of [1, 2]) t.interfaces.flags[on] = random() & 3;
  const hops = ["20.1.1.12", "20.1.1.11", "10.1.1.2", "20.1.1.77"].map((to) =>
    rig.neighbor(to, pick([1, 2]), pick([M1, P20, FAR]), pick([1, 2, 3, 4, 11])),
  );
  if (random() & 1) t.fib.rewrite[pick(hops)] = 0;
  rule(rig, pick([1, 2]), [
    { action: pick([RULE_PERMIT, RULE_DROP]), protocol: pick([6, 17]), destinationPorts: [9, 2000] },
    { action: pick([RULE_NEXT_HOP, RULE_DEFAULT_NEXT_HOP]), adjacency: pick(hops), protocol: pick([6, 17]) },
  ]);
  return rig;
}

describe("a packet that does not exist", () => {
  it("goes through the stages of forward, in their order", () => {
    // A shared function costs forward() two nanoseconds a frame: the chain is written out twice, and compared here.
    const chain = STAGES.map(([name]) => `${name}(worker, f)`).join(" || ");
    for (const file of ["pipeline", "stages"]) {
      const text = readFileSync(new URL(`../../src/dataplane/${file}.ts`, import.meta.url), "utf8");
      expect(text, file).toContain(`${chain};`);
    }
  });

  it("meets the fate of one that does: 12,000 random packets over 60 random tables", () => {
    const seed = Number(process.env.VTEPD_SEED ?? 4_711);
    const random = xorshift(seed);
    const [fates, classes] = [new Set<string>(), new Set<number>()];
    let sent = 0;
    for (let world = 0; world < 60; world++) {
      const rig = world === 0 ? crowdedRig() : shaken(random);
      const explainer = new Explainer(rig.tables, namesOf(rig));
      for (let n = 0; n < 200; n++) {
        const packet = mutated(SEEDS[random() % SEEDS.length]!, random);
        const explained = explainer.explain(ioOf(packet), packet.bytes, packet.tos);
        const expected = whatIf(explained);
        const found = live(rig, packet);
        expect(expected, `VTEPD_SEED=${seed}, table ${world}, packet ${n}: ${toHex(packet.bytes)}`).toEqual(found);
        for (const name of Object.keys(found.drops)) fates.add(name);
        for (const { kind } of explained.punts) classes.add(kind);
        sent += found.sends.length;
        expect(explained.steps.length).toBeGreaterThan(0);
      }
      rig.run();
      expect(rig.imbalance).toBe(0);
    }
    // It is no proof of anything unless the packets get around.
    expect(sent).toBeGreaterThan(4000);
    expect(classes.size).toBe(PUNTS.length);
    expect(fates.size, [...fates].join()).toBeGreaterThan(20);
  }, 120_000);

  it.each([
    ["90.1.1.1", "90.0.0.0/8 to VRF vrf2: 90.1.0.0/16 next hop 10.1.1.2 on vsi-interface10", "sent"],
    ["90.2.0.1", "90.0.0.0/8 to VRF vrf2: 90.2.0.1/32 local", "local"],
    ["90.3.1.1", "90.0.0.0/8 to VRF vrf2: 90.3.0.0/16 to VRF main, where a second VRF is not asked", "unreachable"],
    ["90.4.1.1", "90.0.0.0/8 to VRF vrf2: no route", "unreachable"],
  ])("that crosses to another VRF, to %s, meets the fate of one that does", (to, text, end) => {
    const rig = crowdedRig();
    const explainer = new Explainer(rig.tables, namesOf(rig));
    const bytes = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip(to) });
    const explained = explainer.explain(1, bytes, 0);
    expect(explained.steps.find(({ stage }) => stage === "fib")!.text).toBe(text);
    expect(
      explained.punts.map(({ kind }) => PUNTS[kind - 1]![0]).concat(explained.sends.map(() => "sent" as never)),
    ).toEqual([end]);
    expect(whatIf(explained)).toEqual(live(rig, { tap: 1, last: 0, tos: 0, bytes }));
  });

  it("changes nothing: no counter, no hit byte, no ring, and no time passes for the policer", () => {
    const rig = crowdedRig();
    const explainer = new Explainer(rig.tables, namesOf(rig));
    const t = rig.tables;
    const state = () => [
      ...t.counters.flatMap((b) => [b.received, b.copies, b.sent, b.punted, b.drops, b.misc, b.ports, b.vsis, b.rules]),
      t.macs.hits,
      t.fib.adjacencyHit,
      t.doorbell,
      t.heartbeat.words,
    ];
    const before = state().map((column) => column.slice());
    for (const packet of SEEDS) explainer.explain(ioOf(packet), packet.bytes, packet.tos);
    expect(state()).toEqual(before);
    expect(rig.punts()).toEqual([]);
    expect(t.punts[0]!.isEmpty && t.injects[0]!.isEmpty && t.watch.rings[0]!.isEmpty).toBe(true);
  });
});

describe("its story", () => {
  const story = (explained: Explained) => explained.steps.map((s) => `${s.stage}|${s.text}|${s.result}`);

  it("of a routed packet: each stage, to the tunnel", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    rig.neighbor("20.1.1.12", 2, P20, 3);
    const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12") });
    expect(story(new Explainer(rig.tables, namesOf(rig)).explain(1, frame))).toEqual([
      "ingress|ac vm1, untagged|vsi vsi10",
      "bridge|destination is the gateway MAC|route",
      "fib|20.1.1.12/32 host on vsi-interface20|host 20.1.1.12 is resolved",
      "rewrite|ttl 64->63, 02:aa:00:00:00:14 > 02:bb:00:00:00:14|vsi vsi20",
      "egress|tunnel gw2, vni 20|96 of 1500 bytes",
    ]);
  });

  it("of one that waits, one that a policy drops, one too long, one from a stranger, one flooded", () => {
    const rig = crowdedRig();
    const explainer = new Explainer(rig.tables, namesOf(rig));
    const from = { dst: G10, src: M1, from: ip("10.1.1.11") };
    const last = (source: number, bytes: Uint8Array) => story(explainer.explain(source, bytes)).slice(1);
    expect(last(1, udpFrame({ ...from, to: ip("20.1.1.77") }))).toEqual([
      "bridge|destination is the gateway MAC|route",
      "fib|20.1.1.0/24 connected vsi-interface20|host 20.1.1.77 is not resolved",
    ]);
    expect(last(1, udpFrame({ ...from, to: ip("20.1.1.12"), dport: 9 }))).toEqual([
      "bridge|destination is the gateway MAC|route",
      "policy|to-border, rule 1|drop policy_drop",
    ]);
    expect(last(1, tcpFrame({ ...from, to: ip("99.1.1.1"), flags: 2, mss: 1460, payload: 0 }))).toEqual([
      "bridge|destination is the gateway MAC|route",
      "policy|to-border, rule 2|by default next hop 10.1.1.2 on vsi-interface10",
      "fib|next hop 10.1.1.2 on vsi-interface10|next hop 10.1.1.2 is resolved",
      "rewrite|ttl 64->63, 02:aa:00:00:00:0a > 02:cc:00:00:00:01, mss 1460->1410|vsi vsi10",
      "egress|tunnel border, vni 10|94 of 1500 bytes",
    ]);
    expect(last(1, udpFrame({ ...from, to: ip("20.1.1.12"), payload: 1430 }))[1]).toBe(
      "fib|20.1.1.12/32 host on vsi-interface20|too long: 1450 bytes fit",
    );
    expect(story(explainer.explain(0, vxlan(10, ethernet(G10, P10, 0x0800, 46))))).toEqual([
      "ingress|unknown sender, vni 10|drop unknown_vtep",
    ]);
    expect(last(1, ethernet(BROADCAST, M1, 0x88b5, 46))).toEqual([
      "bridge|broadcast|flood",
      "flood|flood list of vsi10: 5 ports|4 copies",
      "egress|ac 12, untagged|46 of 1450 bytes",
      "egress|ac 11, tag 20|46 of 1450 bytes",
      "egress|tunnel gw2, vni 10|96 of 1500 bytes",
      "egress|tunnel border, vni 10|96 of 1500 bytes",
    ]);
  });

  it("of a policy's next hop that is not resolved, and of a default that a route beats", () => {
    const rig = crowdedRig();
    const explainer = new Explainer(rig.tables, namesOf(rig));
    const border = [...rig.nextHops].find(([, address]) => address === "10.1.1.2")![0];
    rig.tables.fib.rewrite[border] = 0;
    const from = { dst: G10, src: M1, from: ip("10.1.1.11") };
    const rule = "policy|to-border, rule 2|by default next hop 10.1.1.2 on vsi-interface10";
    expect(story(explainer.explain(1, tcpFrame({ ...from, to: ip("99.1.1.1") }))).slice(2)).toEqual([
      rule,
      "fib|next hop 10.1.1.2 on vsi-interface10|next hop 10.1.1.2 is not resolved",
    ]);
    expect(story(explainer.explain(1, tcpFrame({ ...from, to: ip("80.1.1.1") }))).slice(2)).toEqual([
      "fib|80.0.0.0/8 discard|drop discard_route",
    ]);
  });

  it("of ARP, of a host that moved, of a packet that ends here", () => {
    const rig = crowdedRig();
    const explainer = new Explainer(rig.tables, namesOf(rig));
    const question = { ethDst: BROADCAST, op: 1, targetMac: 0, targetIp: ip("10.1.1.12") };
    const arp = arpFrame({ ...question, ethSrc: FAR, senderMac: FAR, senderIp: ip("10.1.1.11") });
    const asked = explainer.explain(1, arp);
    expect(story(asked)).toEqual([
      "ingress|ac vm1, untagged|vsi vsi10",
      "source|02:00:00:00:01:12 is behind tunnel gw2|control learns: ac vm1",
      "cpu|ARP|to control",
    ]);
    expect(asked.punts.map(({ kind }) => kind)).toEqual([PUNT.arp]);
    const packet = { dst: G10, src: M1, from: ip("10.1.1.11") };
    expect(story(explainer.explain(1, udpFrame({ ...packet, to: ip("20.1.1.12"), ttl: 1 }))).at(-1)).toBe(
      "route|ttl 1: it ends here|to control",
    );
    expect(story(explainer.explain(1, udpFrame({ ...packet, to: ip("10.1.1.1") }))).at(-1)).toBe(
      "fib|10.1.1.1 is an address of vsi-interface10|to control",
    );
  });
});
