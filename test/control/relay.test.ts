import { beforeEach, describe, expect, it } from "vitest";
import type { PortObject } from "../../src/control/inventory.ts";
import {
  PendingRelays,
  RELAY_ASKERS,
  RELAY_ASKERS_OF_PORT,
  RELAY_MS,
  RELAY_TARGETS,
  RELAYS_OF_QUIET_PORT,
} from "../../src/control/resolution/relay.ts";
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

  it("two gateways that ask with the same IP both wait, and each once (N8)", () => {
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

  it(`holds ${RELAY_ASKERS} askers of one target and ${RELAY_TARGETS} targets, half of them of one port`, () => {
    const ports = Array.from({ length: 16 }, (_, i) => ({ kind: "ac", name: `ac${i}` }) as PortObject);
    for (let n = 0; n < RELAY_ASKERS_OF_PORT; n++)
      expect(relays.add(bed.vsi20, TARGET, asker(n, bed.border))).toBe(true);
    expect(relays.add(bed.vsi20, TARGET, asker(99, bed.border))).toBe(false);
    for (let n = 0; n < RELAY_ASKERS - RELAY_ASKERS_OF_PORT; n++)
      expect(relays.add(bed.vsi20, TARGET, asker(n))).toBe(true);
    expect(relays.add(bed.vsi20, TARGET, asker(99, bed.vm1))).toBe(false);
    let n = 1;
    for (; n < RELAY_TARGETS / 2; n++) expect(relays.add(bed.vsi20, TARGET + n, asker(1))).toBe(true);
    expect(relays.add(bed.vsi20, TARGET + n, asker(1))).toBe(false);
    // What is left is for those who ask for little.
    for (const port of ports)
      for (let i = 0; i < RELAYS_OF_QUIET_PORT && n < RELAY_TARGETS; i++, n++)
        expect(relays.add(bed.vsi20, TARGET + n, asker(1, port))).toBe(true);
    expect(relays.size).toBe(RELAY_TARGETS);
    expect(relays.add(bed.vsi20, TARGET + 5000, asker(1, ports[15]))).toBe(false);
    // Asking again is no more than there was.
    expect(relays.add(bed.vsi20, TARGET + 1, asker(1))).toBe(true);
    timers.run(RELAY_MS + 1);
    expect(relays.size).toBe(0);
    for (n = 0; n < RELAY_TARGETS / 2; n++) expect(relays.add(bed.vsi20, TARGET + n, asker(1))).toBe(true);
  });

  it("forgets askers behind a port that goes", () => {
    relays.add(bed.vsi20, TARGET, asker(1, bed.gw2));
    relays.add(bed.vsi20, TARGET, asker(2, bed.border));
    relays.forgetBehind({ ports: [bed.gw2] });
    expect(relays.take(bed.vsi20, TARGET, "tunnel").map((each) => each.port.name)).toEqual(["border"]);
  });
});
