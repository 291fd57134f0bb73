/**
 * The step of every frame that a capture of any gateway shows, against the lab's rows ("what every frame must look like"):
 * the same frame has the same step on every gateway, and it is the one that the lab's report gives it.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EventFeed } from "../../src/api/event-feed.ts";
import type { CaptureLine } from "../../src/api/schema-watch.ts";
import { WatchHub } from "../../src/insight/watch.ts";
import { type FrameRow, isFrameRow, type Scenario } from "../../src/lab/expect.ts";
import { OTHER_VXLAN } from "../../src/lab/expect-other-vxlan.ts";
import { OUTSIDE } from "../../src/lab/expect-outside.ts";
import { SAME_VXLAN } from "../../src/lab/expect-same-vxlan.ts";
import { ARP_REQUEST, parseArp } from "../../src/wire/arp.ts";
import { i32, u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, ETH_BYTES, type Mac, readMac, TYPE_ARP } from "../../src/wire/ethernet.ts";
import { formatIpv4, IP_DST, IP_SRC, IP_TTL } from "../../src/wire/ipv4.ts";
import { article, gatewayMac } from "./article.ts";
import type { World } from "./world.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Told = { readonly gateway: string; readonly frame: string; readonly step: string | null };

/** The lab's symbols for the MACs of `world`. */
function symbols(world: World): Map<Mac, string> {
  const names = new Map<Mac, string>([
    [BROADCAST, "ff"],
    [0, "0"],
  ]);
  for (const vm of world.vms.values()) names.set(vm.mac, vm.name === "ext" ? "ME" : vm.name.replace("vm", "M"));
  for (const [gateway, letter] of [["gw1", "G1"] as const, ["gw2", "G2"] as const, ["border", "B"] as const])
    for (const n of [10, 20, 30]) names.set(gatewayMac(world, gateway, `vsi-interface${n}`), `${letter}.${n}`);
  names.set(gatewayMac(world, "border", "outside"), "B.up");
  return names;
}

function rowText({ place, eth, arp, ip }: FrameRow): string {
  const rest = arp === undefined ? ip!.slice(0, 3).join(" ") : arp.join(" ");
  return `${place}: ${eth.join("/")} ${rest}`;
}

function frameText(place: string, bytes: Uint8Array, names: Map<Mac, string>): string {
  const name = (mac: Mac) => names.get(mac) ?? "?";
  const eth = `${name(readMac(bytes, 0))}/${name(readMac(bytes, 6))}`;
  const arp = u16(bytes, 12) === TYPE_ARP ? parseArp(bytes, 0, bytes.length) : null;
  if (arp !== null) {
    const op = arp.op === ARP_REQUEST ? "request" : "reply";
    const [sender, target] = [name(arp.senderMac), name(arp.targetMac)];
    return `${place}: ${eth} ${op} ${sender} ${formatIpv4(arp.senderIp)} ${target} ${formatIpv4(arp.targetIp)}`;
  }
  const at = ETH_BYTES;
  return `${place}: ${eth} ${formatIpv4(i32(bytes, at + IP_SRC))} ${formatIpv4(i32(bytes, at + IP_DST))} ${bytes[at + IP_TTL]}`;
}

/** Every frame that gw1, gw2 and the Border see while VM1 pings `to`. */
function walk(world: World, to: string): Told[] {
  const names = symbols(world);
  const told: Told[] = [];
  for (const [gateway, { control }] of world.gateways) {
    const hub = new WatchHub(control.shown, new EventFeed(() => 0), gateway);
    const sink = (line: CaptureLine): boolean => {
      if (line.kind !== "frame") return true;
      const { via, direction, data, step } = line;
      const ends = direction === "in" ? [via!.name, gateway] : [gateway, via!.name];
      const place = via!.kind === "ac" ? `ac ${via!.name}` : ends.join(">");
      told.push({ gateway, frame: frameText(place, Buffer.from(data, "base64"), names), step });
      return true;
    };
    if (typeof hub.capture({ snaplen: 1000 }, sink) === "string") throw new Error("no capture");
  }
  world.get("vm1").ping(to);
  for (let n = 0; n < 5; n++) {
    world.settle();
    vi.advanceTimersByTime(50);
  }
  expect(world.get("vm1").replies).toHaveLength(1);
  return told;
}

const addressOf = (name: string) => ({ vm4: "10.1.1.12", vm5: "20.1.1.12", ext: "50.1.1.1" })[name]!;

describe("the steps of a capture are the lab's", () => {
  const scenarios: readonly (readonly [Scenario, "static" | "policy"])[] = [
    [SAME_VXLAN, "static"],
    [OTHER_VXLAN, "static"],
    [OUTSIDE, "policy"],
  ];
  for (const [scenario, outside] of scenarios)
    for (const relay of ["auto", "always"])
      it(`scenario ${scenario.number}, relay ${relay}`, () => {
        const world = article({ outside, relay });
        const told = walk(world, addressOf(scenario.to));
        const rows = scenario.rows.filter(isFrameRow);
        for (const row of rows) {
          const seen = told.filter(({ frame }) => frame === rowText(row));
          if (row.optional === undefined || relay === "always") expect(seen.length, rowText(row)).toBeGreaterThan(0);
          if (row.step === undefined) continue;
          for (const { gateway, frame, step } of seen)
            expect(step?.split("/") ?? ["-"], `${gateway}: ${frame}`).toContain(`S${scenario.number}.${row.step}`);
        }
        const known = new Set(rows.map(rowText));
        expect(told.filter(({ frame }) => !known.has(frame)).map(({ frame }) => frame)).toEqual([]);
        // The way back from the outside is not the article's; between VMs each is the other's.
        const back = told.filter(({ frame }) => rows.some((row) => row.step === undefined && rowText(row) === frame));
        if (scenario === OUTSIDE) expect(new Set(back.map(({ step }) => step))).toEqual(new Set([null]));
        else expect(back.map(({ step }) => step)).not.toContain(null);
        // One frame, one step: on whichever gateway (the Border cannot tell another's address from a host's).
        for (const frame of known) {
          const steps = new Set(
            told.filter((each) => each.frame === frame && each.gateway !== "border").map(({ step }) => step),
          );
          expect([...steps].length, frame).toBeLessThanOrEqual(1);
        }
      });

  it("what is no part of a walk has no step: a ping of the gateway, a probe, an announcement", () => {
    const world = article();
    const told: (string | null)[] = [];
    const hub = new WatchHub(world.gateways.get("gw1")!.control.shown, new EventFeed(() => 0), "gw1");
    const vm1 = world.get("vm1");
    vm1.ping("10.1.1.1");
    world.settle();
    const sink = (line: CaptureLine) => line.kind !== "frame" || told.push(line.step) > 0;
    if (typeof hub.capture({ ac: ["vm1"], snaplen: 1000 }, sink) === "string") throw new Error("no capture");
    vm1.ping("10.1.1.1", { sequence: 2 });
    vm1.sendArp({ op: ARP_REQUEST, senderIp: 0, targetIp: vm1.ip });
    vm1.sendArp({ op: ARP_REQUEST, senderIp: vm1.ip, targetIp: vm1.ip });
    world.settle();
    vi.advanceTimersByTime(50);
    expect(told.length).toBeGreaterThanOrEqual(4);
    expect(new Set(told)).toEqual(new Set([null]));
  });
});
