import { beforeEach, describe, expect, it } from "vitest";
import { PendingRelays, RELAY_ASKERS, RELAY_MS, RELAY_TARGETS } from "../../src/control/arp/relay.ts";
import type { PortObject } from "../../src/control/inventory.ts";
import { Timers } from "../../src/control/timers.ts";
import { AgentBed, ip } from "./agent-bed.ts";

const bed = new AgentBed();
const TARGET = ip("20.1.1.12");

describe("PendingRelays", () => {
  let timers: Timers;
  let relays: PendingRelays;
  beforeEach(() => {
    timers = new Timers(0);
    relays = new PendingRelays(timers);
  });
  const asker = (n: number, port: PortObject = bed.gw2) => ({ port, mac: 0x020000000000 + n, ip: ip("20.1.1.1") });

  it("N8: two gateways that ask with the same IP both wait, and each once", () => {
    relays.add(bed.vsi20, TARGET, asker(1, bed.gw2));
    relays.add(bed.vsi20, TARGET, asker(2, bed.border));
    relays.add(bed.vsi20, TARGET, asker(1, bed.gw2));
    expect(relays.take(bed.vsi20, TARGET, "tunnel").map((each) => each.port.name)).toEqual(["gw2", "border"]);
    expect(relays.take(bed.vsi20, TARGET, "tunnel")).toEqual([]);
    expect(relays.size).toBe(0);
  });

  it("is keyed by VSI and target", () => {
    relays.add(bed.vsi20, TARGET, asker(1));
    expect(relays.take(bed.vsi10, TARGET, "tunnel")).toEqual([]);
    expect(relays.take(bed.vsi20, ip("20.1.1.13"), "tunnel")).toEqual([]);
    expect(relays.take(bed.vsi20, TARGET, "tunnel").length).toBe(1);
  });

  it("takes askers behind ACs and behind tunnels apart", () => {
    relays.add(bed.vsi10, TARGET, asker(1, bed.vm1));
    relays.add(bed.vsi10, TARGET, asker(2, bed.gw2));
    expect(relays.take(bed.vsi10, TARGET, "ac").map((each) => each.port.name)).toEqual(["vm1"]);
    expect(relays.take(bed.vsi10, TARGET, "tunnel").map((each) => each.port.name)).toEqual(["gw2"]);
  });

  it("forgets after three seconds; asking again waits anew", () => {
    relays.add(bed.vsi20, TARGET, asker(1));
    relays.add(bed.vsi20, TARGET, asker(2));
    timers.run(2000);
    relays.add(bed.vsi20, TARGET, asker(2));
    timers.run(RELAY_MS);
    expect(relays.take(bed.vsi20, TARGET, "tunnel").map((each) => each.mac & 0xff)).toEqual([2]);
    timers.run(3500);
    relays.add(bed.vsi20, TARGET, asker(1));
    for (let now = 3600; now <= 3500 + RELAY_MS; now += 100) timers.run(now);
    expect(relays.size).toBe(1);
    expect(relays.take(bed.vsi20, TARGET, "tunnel")).toEqual([]);
    relays.add(bed.vsi20, TARGET, asker(1));
    timers.run(10_000);
    expect(relays.size).toBe(0);
  });

  it(`holds ${RELAY_ASKERS} askers of one target and ${RELAY_TARGETS} targets`, () => {
    for (let n = 0; n < RELAY_ASKERS; n++) expect(relays.add(bed.vsi20, TARGET, asker(n))).toBe(true);
    expect(relays.add(bed.vsi20, TARGET, asker(99))).toBe(false);
    for (let n = 1; n < RELAY_TARGETS; n++) expect(relays.add(bed.vsi20, TARGET + n, asker(1))).toBe(true);
    expect(relays.add(bed.vsi20, TARGET + 5000, asker(1))).toBe(false);
    expect(relays.size).toBe(RELAY_TARGETS);
    timers.run(RELAY_MS + 1);
    expect(relays.add(bed.vsi20, TARGET + 5000, asker(1))).toBe(true);
  });

  it("forgets askers behind a port that goes", () => {
    relays.add(bed.vsi20, TARGET, asker(1, bed.gw2));
    relays.add(bed.vsi20, TARGET, asker(2, bed.border));
    relays.flushPort(bed.gw2);
    expect(relays.take(bed.vsi20, TARGET, "tunnel").map((each) => each.port.name)).toEqual(["border"]);
  });
});
