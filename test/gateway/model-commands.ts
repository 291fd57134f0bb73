/**
 * The commands of the model-based test: what may happen to the network, one at a time. `fast-check` makes sequences of
 * them, and shrinks one that fails to a short readable list.
 *
 * Each carries numbers; which hosts, places and gateways they mean is chosen when it runs, among those for which it makes
 * sense then, by the reference alone. So few commands are wasted, and a failure's list still says what was done.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { setU16 } from "../../src/wire/bytes.ts";
import { BROADCAST, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { formatIpv4, parseIpv4 } from "../../src/wire/ipv4.ts";
import { arpFrame, udpFrame } from "../dataplane/packets.ts";
import type { Bed } from "./model-bed.ts";
import { type Host, type Reference, vniOf } from "./model-reference.ts";
import { acsOf, BORDER, EXT, gatewayOf, HOSTS, SITES, STATIC_IP } from "./model-site.ts";
import { ipOf } from "./model-witness.ts";

const MOBILE = HOSTS.filter((host) => host !== EXT);
const PLACES = SITES.flatMap(acsOf);

/** What a command does, and to whom: made from its numbers and the state it meets; null: it makes no sense now. */
type Deed = { readonly name: string; readonly act: (bed: Bed) => void };

class Step implements fc.Command<Reference, Bed> {
  private readonly choose: (m: Reference) => Deed | null;
  /** Does it change what is where? Then no order is promised across it. */
  private readonly isChange: boolean;
  private name = "?";

  constructor(isChange: boolean, choose: (m: Reference) => Deed | null) {
    this.isChange = isChange;
    this.choose = choose;
  }

  check(m: Reference): boolean {
    return this.choose(m) !== null;
  }

  run(m: Reference, bed: Bed): void {
    const deed = this.choose(m)!;
    this.name = deed.name;
    if (this.isChange) bed.epoch++;
    deed.act(bed);
    bed.check();
  }

  toString(): string {
    return this.name;
  }
}

/** A command with `count` numbers. */
function step(
  count: number,
  isChange: boolean,
  choose: (m: Reference, ...n: number[]) => Deed | null,
): fc.Arbitrary<Step> {
  return fc
    .array(fc.nat(999), { minLength: count, maxLength: count })
    .map((numbers) => new Step(isChange, (m) => choose(m, ...numbers)));
}

function pick<T>(list: readonly T[], n: number): T | undefined {
  return list[n % Math.max(1, list.length)];
}

const isServed = (m: Reference, host: Host): boolean => {
  const place = m.placeOf(host.name);
  return place !== null && !m.isMissing(place) && !m.isDown(m.siteOf(host.name)!);
};
const served = (m: Reference, of: readonly Host[] = MOBILE): Host[] => of.filter((host) => isServed(m, host));

/** Places of a host's VXLAN that are free. */
const free = (m: Reference, host: Host): string[] =>
  PLACES.filter((ac) => vniOf(ac) === host.vni && m.occupant(ac) === null && !m.isMissing(ac));

const gatewayMac = (bed: Bed, host: Host): Mac =>
  bed.gateway(bed.reference.siteOf(host.name)!)!.control.shown.inventory.interface(`if${host.vni}`)!.mac;

const put = step(3, true, (m, h, p, how) => {
  const host = pick(
    MOBILE.filter((each) => m.mayMove(each.name) && free(m, each).length > 0),
    h!,
  );
  if (host === undefined) return null;
  const ac = pick(free(m, host), p!)!;
  const announces = how! % 3 > 0;
  const name = `${host.name} to ${ac}${announces ? ", announced" : ""}`;
  return { name, act: (bed) => bed.put(host.name, ac, announces) };
});

const away = step(1, true, (m, h) => {
  const host = pick(served(m), h!);
  return host === undefined ? null : { name: `${host.name} away`, act: (bed) => bed.put(host.name, null, false) };
});

const converse = step(3, false, (m, h, p, how) => {
  const a = pick(served(m, HOSTS), h!);
  if (a === undefined) return null;
  const isAnybody = how! % 10 === 0;
  const b = pick(
    served(m, HOSTS).filter((each) => each !== a && (isAnybody || each.vrf === a.vrf)),
    p!,
  );
  return b === undefined ? null : { name: `${a.name} and ${b.name} talk`, act: (bed) => bed.converse(a.name, b.name) };
});

const PAYLOADS = [16, 1000, 1422, 1423, 1432, 3000];
const send = step(5, false, (m, h, p, t, l, d) => {
  const [from, to] = [pick(served(m, HOSTS), h!), pick(HOSTS, p!)!];
  if (from === undefined || from === to) return null;
  const [ttl, payload, df] = [pick([1, 2, 3, 64], t!)!, pick(PAYLOADS, l!)!, d! % 2 === 0];
  const act = (bed: Bed): void => {
    const sent = bed.send(from.name, to.name, { ttl, payload, df })!;
    bed.pass(1000);
    if (ttl === 1) expect(sent.routed, "TTL 1").toBe(0);
    if (df && payload > 1422) expect(sent.routed, "DF and too long").toBe(0);
  };
  return { name: `${from.name} sends ${payload} bytes to ${to.name}, TTL ${ttl}${df ? ", DF" : ""}`, act };
});

/** Many ask at once, for one target. */
const askers = step(4, false, (m, a, b, c, t) => {
  const target = pick(MOBILE, t!)!;
  const there = served(m).filter((host) => host.vni === target.vni && host !== target);
  const hosts = [...new Set([a, b, c].map((n) => pick(there, n!)))].filter((host) => host !== undefined);
  if (hosts.length === 0) return null;
  const act = (bed: Bed): void => {
    for (const { name } of hosts) {
      bed.refresh(name);
      bed.vm(name).ask(target.ip);
    }
    bed.world.settle();
    bed.pass(1500);
    for (const { name } of hosts) {
      // N8: everybody who asks for somebody who lives gets an answer, and it is a gateway's MAC.
      const answer = bed.vm(name).arp.get(ipOf(target));
      if (answer !== undefined && !bed.witness.gatewayMacs.has(answer))
        throw new Error(`${name}: ${target.name} is at a MAC of its own`);
      if (m.verdict(name, target.name) === "soon" && answer === undefined)
        throw new Error(`${name} asked for ${target.name} and heard nothing`);
    }
  };
  return { name: `${hosts.map((host) => host.name)} ask for ${target.name}`, act };
});

const askGateway = step(1, false, (m, h) => {
  const host = pick(served(m), h!);
  if (host === undefined) return null;
  const act = (bed: Bed): void => {
    bed.refresh(host.name);
    bed.vm(host.name).ask(gatewayOf(host));
    bed.world.settle();
    expect(bed.vm(host.name).arp.get(parseIpv4(gatewayOf(host))!), "the gateway's MAC").toBe(gatewayMac(bed, host));
  };
  return { name: `${host.name} asks for its gateway`, act };
});

const probe = step(2, false, (m, h, n) => {
  const host = pick(served(m), h!);
  if (host === undefined) return null;
  const target = (ipOf(host) & 0xffffff00) | (5 + (n! % 20));
  const act = (bed: Bed): void => {
    bed.vm(host.name).sendArp({ op: 1, senderIp: 0, targetIp: target });
    bed.world.settle();
  };
  return { name: `${host.name} probes for ${formatIpv4(target)}`, act };
});

const CLAIMS = ["its gateway's address", "it by reply", "the static address", "the gateway MAC"];
const spoof = step(2, false, (m, h, k) => {
  const host = pick(served(m), h!);
  if (host === undefined) return null;
  const kind = k! % CLAIMS.length;
  const act = (bed: Bed): void => {
    const vm = bed.vm(host.name);
    const taken = parseIpv4(kind === 2 && host.vni === 10 ? STATIC_IP : gatewayOf(host))!;
    const mac = gatewayMac(bed, host);
    if (kind === 0 || kind === 2) vm.sendArp({ op: 1, senderIp: taken, targetIp: taken });
    else if (kind === 1) vm.sendArp({ op: 2, senderIp: taken, targetIp: vm.ip, ethDst: mac, targetMac: mac });
    else vm.sendArp({ op: 1, ethSrc: mac, senderMac: mac, targetIp: taken });
    bed.world.settle();
  };
  return { name: `${host.name} claims ${CLAIMS[kind]}`, act };
});

const flood = step(2, false, (m, h, n) => {
  const host = pick(served(m), h!);
  if (host === undefined) return null;
  const act = (bed: Bed): void => {
    const all = Array.from({ length: 1 + (n! % 5) }, () => bed.sendFrame(host.name)!);
    bed.world.settle();
    const targets = m.floodTargets(host.name).toSorted();
    for (const sent of all) expect(bed.witness.places(sent).toSorted(), "copies").toEqual(targets);
  };
  return { name: `${host.name} floods ${1 + (n! % 5)}`, act };
});

/** Bridged by MAC: after its owner has just been heard by all, a frame goes to it and to no other host. */
const bridge = step(2, false, (m, h, p) => {
  const a = pick(served(m), h!);
  if (a === undefined || !m.isCalm()) return null;
  const b = pick(
    served(m).filter((each) => each !== a && each.vni === a.vni && m.verdict(a.name, each.name) === "soon"),
    p!,
  );
  if (b === undefined) return null;
  const act = (bed: Bed): void => {
    bed.pass(1000); // a worker tells the same news twice a second at most
    bed.sendFrame(b.name);
    bed.world.settle();
    const sent = bed.sendFrame(a.name, parseMac(b.mac)!)!;
    bed.world.settle();
    expect(bed.witness.places(sent), "bridged").toEqual([m.placeOf(b.name)]);
  };
  return { name: `${a.name} bridges to ${b.name}`, act };
});

const malformed = step(2, false, (m, h, k) => {
  const host = pick(served(m), h!);
  if (host === undefined) return null;
  const act = (bed: Bed): void => {
    const vm = bed.vm(host.name);
    const good = udpFrame({ dst: gatewayMac(bed, host), src: vm.mac, from: vm.ip, to: vm.ip ^ 1 });
    const [ethDst, senderMac, senderIp, targetIp] = [BROADCAST, vm.mac, vm.ip, vm.ip ^ 1];
    const arp = arpFrame({ ethDst, ethSrc: vm.mac, op: 1, senderMac, senderIp, targetMac: 0, targetIp });
    const lie = (frame: Uint8Array, at: number, value: number): Uint8Array => {
      const out = frame.slice();
      setU16(out, at, value);
      return out;
    };
    const bad = [
      good.slice(0, 10),
      good.slice(0, 30),
      lie(good, 16, 1400), // longer than it is
      lie(good, 24, 0x1234), // a checksum
      lie(good, 14, 0x4f00), // options that are not there
      arp.slice(0, 40),
      lie(arp, 18, 0xff04), // hlen
    ];
    bed.world.settle();
    const { witness } = bed;
    const ac = m.placeOf(host.name)!;
    const [emittedBefore, askedBefore] = [witness.emitted, witness.askedAt(ac)];
    vm.tap.send(pick(bad, k!)!);
    bed.world.settle();
    const [emitted, asked] = [witness.emitted - emittedBefore, witness.askedAt(ac) - askedBefore];
    // [7] malformed input causes no output. But the MACs of an Ethernet frame are learned whatever it carries (IEEE 802.1Q
    // §8.7), and a MAC that is new on an AC makes the gateway ask there who it is (docs/behaviour.md §3.9); a runt has none.
    expect(emitted - asked, "frames for nonsense").toBe(0);
    expect(asked, "questions for nonsense").toBeLessThanOrEqual(k! % bad.length === 0 ? 0 : HOSTS.length);
  };
  return { name: `${host.name} sends nonsense ${k! % 7}`, act };
});

const expire = step(1, false, (_, n) => {
  const ms = pick([100, 700, 1000, 5000, 12_000, 20_000, 70_000], n!)!;
  return { name: `${ms} ms pass`, act: (bed) => bed.pass(ms) };
});

const GATEWAYS = [...SITES, BORDER];
const cut = step(3, true, (_, x, y, both) => {
  const [a, b] = [pick(GATEWAYS, x!)!, pick(GATEWAYS, y!)!];
  if (a === b) return null;
  const paths = both! % 2 === 0 ? [[a, b] as const] : [[a, b] as const, [b, a] as const];
  return {
    name: `cut ${paths.map((path) => path.join(">"))}`,
    act: (bed) => {
      for (const path of paths) bed.cut(...path);
    },
  };
});

/** Liveness probes notice what is cut or down (both ends of a tunnel, as BFD would). */
const notice = step(0, true, (m) =>
  m.isCalm() ? null : { name: "tunnels are seen to be down", act: (bed) => bed.notice() },
);

const heal = step(0, true, (m) => (m.isCalm() ? null : { name: "heal", act: (bed) => bed.heal() }));

const crash = step(1, true, (m, n) => {
  const gateway = pick(GATEWAYS, n!)!;
  return m.isDown(gateway) ? null : { name: `crash ${gateway}`, act: (bed) => bed.crash(gateway) };
});

const restart = step(1, true, (m, n) => {
  const gateway = pick(
    GATEWAYS.filter((each) => m.isDown(each)),
    n!,
  );
  return gateway === undefined ? null : { name: `restart ${gateway}`, act: (bed) => bed.restart(gateway) };
});

const MORE_ROUTES = ["{prefix: 60.0.0.0/8, nextHop: 10.1.1.2}", "{prefix: 60.1.0.0/16, action: discard}"];
const reload = step(3, true, (m, g, k, n) => {
  const gateway = pick(SITES, g!)!;
  if (m.isDown(gateway)) return null;
  const acs = acsOf(gateway);
  const kind = k! % 4;
  const ac = pick(acs, n!)!;
  const routes = n! % 2 === 0 ? MORE_ROUTES : MORE_ROUTES.toReversed();
  const act = (bed: Bed): void => {
    if (kind === 1) m.setMissing(ac, true);
    if (kind === 2) for (const each of acs) m.setMissing(each, false);
    bed.reload(gateway, kind === 3 ? routes : []);
  };
  return { name: `reload ${gateway} ${["as it is", `without ${ac}`, "with its ACs", "with routes"][kind]}`, act };
});

/** Packets to many addresses that may be free: searches begin and end. */
const scan = step(2, false, (m, h, n) => {
  const host = pick(served(m), h!);
  if (host === undefined) return null;
  const count = 1 + (n! % 40);
  const act = (bed: Bed): void => {
    const vm = bed.vm(host.name);
    const other = host.vni % 20 === 10 ? 0x14010100 : 0x0a010100;
    const frame = { dst: gatewayMac(bed, host), src: vm.mac, from: vm.ip };
    for (let i = 0; i < count; i++) vm.tap.send(udpFrame({ ...frame, to: other | (100 + i) }));
    bed.world.settle();
  };
  return { name: `${host.name} scans ${count} addresses`, act };
});

/** Sequences of at most `maxCommands`. */
export function sequences(maxCommands: number): fc.Arbitrary<Iterable<fc.Command<Reference, Bed>>> {
  const often = [put, put, put, converse, converse, converse, converse, converse, send, send, askers, bridge, flood];
  const seldom = [away, askGateway, probe, spoof, malformed, expire, expire, cut, crash, notice, reload, scan];
  const mending = [heal, heal, heal, restart, restart, restart];
  return fc.commands([...often, ...seldom, ...mending], { maxCommands, size: "max" });
}
