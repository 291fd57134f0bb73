/**
 * Addresses that hosts make themselves behind strict ACs (`slaac`, RFC 6620 in short): who claims one first has it, none takes a neighbour's,
 * and a host has so many and no more.
 *
 *     a, b (strict, slaac: 3), c (not strict) - gw1 === gw2 - d
 */
import { describe, expect, it } from "vitest";
import { ASK_BEFORE_MS, LIFETIME_MS, WAIT_MS } from "../../src/control/security/first-come.ts";
import { securitySentences } from "../../src/insight/why-security.ts";
import { ICMP6_NEIGHBOR_ADVERTISEMENT } from "../../src/wire/icmp6.ts";
import { formatIpv6 } from "../../src/wire/ipv6.ts";
import { Host6, LINK, NET } from "./host6.ts";
import { gw, sites, siteText } from "./sites.ts";

const MAC = { a: "02:00:00:00:00:11", b: "02:00:00:00:00:12", c: "02:00:00:00:00:13", d: "02:00:00:00:00:14" } as const;
const OURS = NET | 0x5eedn;
const STABLE = LINK | 0x7217n;

/** Of a and b the MAC is known, by a link-local address that need not be the one they use. */
const sections = (n: number, slaac = 3) => {
  const strict = (name: "a" | "b") =>
    `{name: ${name}, vsi: vsi10, tap: {device: ${name}}, antiSpoof: strict, slaac: ${slaac}, bindings: [{mac: "${MAC[name]}", ip: "fe80::${name}"}]}`;
  const acs =
    n === 1
      ? [strict("a"), strict("b"), "{name: c, vsi: vsi10, tap: {device: c}}"]
      : ["{name: d, vsi: vsi10, tap: {device: d}}"];
  return `
vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: if10, vsi: vsi10, address: [10.1.1.1/24, "2001:db8:10::1/64"]}]
acs: [${acs.join(", ")}]`;
};

class Bed {
  readonly world = sites(2, (n) => sections(n));
  readonly a = this.host(1, "a", []);
  readonly b = this.host(1, "b", []);
  readonly c = this.host(1, "c", [NET | 0x13n]);
  readonly d = this.host(2, "d", [NET | 0x14n]);

  private host(n: number, name: keyof typeof MAC, addresses: readonly bigint[]): Host6 {
    return new Host6(gw(this.world, n).taps.get(name)!, name, MAC[name], addresses);
  }

  constructor() {
    this.world.settle();
    this.world.clear();
  }

  get gw1() {
    return gw(this.world, 1);
  }

  pass(ms: number): void {
    this.world.advance(ms, 100);
    this.world.settle();
  }

  /** `host` asks for the gateway from `address`, as its first packet, and answers for it from now on. */
  use(host: Host6, address: bigint): void {
    if (!host.addresses.includes(address)) host.addresses.push(address);
    host.ask(NET | 1n, { from: address });
    this.world.settle();
  }

  bound(): string[] {
    return this.gw1.control.agent.security.bindings
      .list()
      .filter(({ source }) => source === "slaac")
      .map(({ ac, ip }) => `${ac} ${ip}`);
  }

  /** Has the gateway answered `host` at `address`? */
  answered(host: Host6, address: bigint): boolean {
    return host.heard.some((nd) => nd.type === ICMP6_NEIGHBOR_ADVERTISEMENT && nd.dst === address);
  }

  refused(): unknown[] {
    return this.gw1.events.filter(({ event }) => event === "binding.refused").map(({ fields }) => fields);
  }

  security(): unknown[] {
    return this.gw1.events.filter(({ event }) => event === "port.security");
  }
}

const text = (host: string, address: bigint) => `${host} ${formatIpv6(address)}`;

describe("an address that a host makes itself", () => {
  it("is bound half a second after it was probed for, and used from then on; nothing is told of an offence", () => {
    const bed = new Bed();
    bed.a.probe(OURS);
    bed.world.settle();
    bed.a.addresses.push(OURS);
    expect(bed.bound()).toEqual([]);
    bed.pass(WAIT_MS);
    expect(bed.bound()).toEqual([text("a", OURS)]);
    expect([bed.security(), bed.refused(), bed.a.duplicates]).toEqual([[], [], []]);
    expect(securitySentences(bed.gw1.control.agent.security, { ip: formatIpv6(OURS) }).join(" ")).toContain(
      "its own claim",
    );
    const before = bed.gw1.drops.port_security ?? 0;
    bed.use(bed.a, OURS);
    expect(bed.answered(bed.a, OURS)).toBe(true);
    expect(bed.gw1.drops.port_security ?? 0).toBe(before);
  });

  it("is bound by its first packet too, without a probe, and so is a link-local one that is not of the MAC", () => {
    const bed = new Bed();
    bed.use(bed.a, OURS);
    expect(bed.answered(bed.a, OURS)).toBe(false);
    bed.use(bed.b, STABLE);
    bed.pass(WAIT_MS + 600);
    expect(bed.bound().sort()).toEqual([text("a", OURS), text("b", STABLE)]);
    bed.use(bed.a, OURS);
    expect(bed.answered(bed.a, OURS)).toBe(true);
  });

  it("stays while its host answers, and is free when it does not", () => {
    const bed = new Bed();
    bed.use(bed.a, OURS);
    bed.pass(WAIT_MS);
    bed.pass(3 * LIFETIME_MS);
    expect(bed.bound()).toEqual([text("a", OURS)]);
    bed.a.addresses.length = 0;
    bed.pass(LIFETIME_MS + ASK_BEFORE_MS);
    expect(bed.bound()).toEqual([]);
  });
});

describe("is not given", () => {
  it("where another strict AC has it, and where two claim it the second does not get it", () => {
    const bed = new Bed();
    bed.use(bed.a, OURS);
    bed.use(bed.b, OURS);
    bed.pass(WAIT_MS);
    expect(bed.bound()).toEqual([text("a", OURS)]);
    bed.pass(600);
    bed.use(bed.b, OURS);
    bed.pass(WAIT_MS);
    expect(bed.bound()).toEqual([text("a", OURS)]);
    expect(bed.refused()).toContainEqual(
      expect.objectContaining({ ac: "b", ip: formatIpv6(OURS), reason: "bound at AC a" }),
    );
  });

  it.each([
    ["here, known", "c", true],
    ["here, not known", "c", false],
    ["at another site, known", "d", true],
    ["at another site, not known", "d", false],
  ] as const)("what a host has %s, and answers for", (_where, owner, isKnown) => {
    const bed = new Bed();
    const host = bed[owner];
    const [address] = host.addresses as [bigint];
    if (isKnown) {
      host.ask(NET | 1n);
      bed.world.settle();
      if (owner === "d") bed.c.ask(address);
      bed.pass(5000);
    }
    bed.use(bed.a, address);
    bed.pass(WAIT_MS);
    expect(bed.bound()).toEqual([]);
    expect(bed.refused()).toContainEqual(
      expect.objectContaining({ ac: "a", reason: expect.stringMatching(/^it is at/) }),
    );
  });

  it("but what a host had that is gone is", () => {
    const bed = new Bed();
    bed.c.ask(NET | 1n);
    bed.pass(5000);
    bed.c.alive = false;
    bed.use(bed.a, NET | 0x13n);
    bed.pass(WAIT_MS);
    expect(bed.bound()).toEqual([text("a", NET | 0x13n)]);
  });

  it("to a MAC that is not bound, outside the subnet, ours, or a group", () => {
    const bed = new Bed();
    const stranger = new Host6(bed.gw1.taps.get("a")!, "a", "02:00:00:00:00:99", []);
    stranger.ask(NET | 1n, { from: OURS });
    for (const address of [NET | 1n, 0x20010db8_0099_0000_0000_0000_0000_0001n, 0xff02n << 112n]) {
      bed.pass(600);
      bed.a.ask(NET | 2n, { from: address });
    }
    bed.pass(WAIT_MS);
    expect(bed.bound()).toEqual([]);
    expect(bed.security().length).toBeGreaterThan(0);
  });

  it("beyond the AC's number, however many it claims; those that it has stay", () => {
    const bed = new Bed();
    for (let n = 1n; n <= 20n; n++) {
      bed.use(bed.a, NET | (0x100n + n));
      bed.pass(600);
    }
    expect(bed.bound()).toEqual([1n, 2n, 3n].map((n) => text("a", NET | (0x100n + n))));
    expect(bed.refused().at(-1)).toMatchObject({ ac: "a", reason: expect.stringContaining("has 3 addresses") });
    bed.use(bed.b, OURS);
    bed.pass(WAIT_MS);
    expect(bed.bound()).toContain(text("b", OURS));
  });
});

it("goes with a reload that takes the number away, and is no more asked for", () => {
  const bed = new Bed();
  bed.use(bed.a, OURS);
  bed.use(bed.a, NET | 0x77n);
  bed.pass(WAIT_MS + 600);
  bed.use(bed.a, NET | 0x77n);
  bed.pass(WAIT_MS);
  expect(bed.bound().length).toBe(2);
  bed.gw1.reload(siteText(1, 2, sections(1, 1)));
  bed.pass(100);
  expect(bed.bound()).toEqual([text("a", OURS)]);
  bed.gw1.reload(siteText(1, 2, sections(1, 0)));
  bed.pass(100);
  expect(bed.bound()).toEqual([]);
  bed.use(bed.a, OURS);
  bed.pass(WAIT_MS);
  expect([bed.bound(), bed.security().length > 0]).toEqual([[], true]);
});

it("a lease of a server outranks it: it lasts as long as the server said", () => {
  const bed = new Bed();
  bed.use(bed.a, OURS);
  bed.pass(WAIT_MS);
  const { bindings } = bed.gw1.control.agent.security;
  const port = bed.gw1.control.shown.inventory.ac("a")!;
  expect(bindings.lease(port, bed.a.mac, OURS, 3600)).toBe(true);
  bed.pass(LIFETIME_MS);
  bed.a.addresses.length = 0;
  bed.pass(LIFETIME_MS + ASK_BEFORE_MS);
  const left = bindings.list().find((each) => each.ip === formatIpv6(OURS));
  expect(left).toMatchObject({ source: "dhcp", expiresSeconds: 3600 - (2 * LIFETIME_MS + ASK_BEFORE_MS) / 1000 });
});
