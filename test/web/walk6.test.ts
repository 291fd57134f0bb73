/** A ping between two sites by IPv6, as the gateways' captures tell it: neighbour discovery and hop limits in the walk, and on its page. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { EventFeed } from "../../src/api/event-feed.ts";
import type { CaptureLine } from "../../src/api/schema-watch.ts";
import { Shown } from "../../src/api/shown.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import { WatchHub } from "../../src/insight/watch.ts";
import { exportHtml } from "../../src/web/export.ts";
import { fieldsOf, packetOf } from "../../src/web/fields.ts";
import type { FrameLine, Recording } from "../../src/web/recording.ts";
import type { Walk } from "../../src/web/said-walk.ts";
import { walkOf } from "../../src/web/walk.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { formatIpv6 } from "../../src/wire/ipv6.ts";
import { packet6, sealed, udp6 } from "../dataplane/packets6.ts";
import { type Host6, NET, Sites6, type Sites6Options } from "../gateway/host6.ts";
import type { Gateway } from "../gateway/world.ts";
import { fromHex } from "../wire/hex.ts";
import { noBrowser, openBrowser, openPage } from "./browser.ts";

const HEAD = { id: "1", at: "2026-11-28T12:00:00Z", scheme: "distributed" } as const;
const [A, B] = [NET | 0x11n, NET | 0x12n];
const ICMP = ETH_BYTES + 40;

/** What both gateways saw while `act` happened. */
function recordingOf(sites: Sites6, act: () => void): Recording {
  const all = [sites.gw1, sites.gw2].map((gateway) => {
    const { shown: parts } = gateway.control;
    const frames: FrameLine[] = [];
    const hub = new WatchHub(parts, new EventFeed(() => 0), gateway.name);
    hub.capture({ snaplen: 256, protocol: ["arp", "nd", "icmp"] }, (line: CaptureLine) => {
      if (line.kind === "frame") frames.push(line as FrameLine);
      return true;
    });
    const shown = new Shown(parts, { view: () => ({ state: "unwatched" }) as never });
    return { gateway, frames, shown, before: [...rowsOf(shown.neighbors())] };
  });
  act();
  vi.advanceTimersByTime(50);
  return {
    gateways: all.map(({ gateway, frames, shown, before }) => ({
      node: gateway.name,
      address: addressOf(gateway),
      acs: shown.acs(),
      tunnels: shown.tunnels(),
      vsis: shown.vsis(),
      interfaces: shown.interfaces(),
      before,
      after: [...rowsOf(shown.neighbors())],
      frames,
      lost: 0,
    })),
  };
}

const addressOf = ({ name }: Gateway): string => `192.0.2.${name.slice(2)}`;

function echo(from: Host6, to: bigint, by: bigint, type = "80", hops = 64): Uint8Array {
  const rest = fromHex(`${type}00 0000 1234 0001`);
  const text = { from: formatIpv6(from.addresses[0]!), to: formatIpv6(to), hops };
  const frame = packet6({ dst: from.neighbors.get(by)!, src: from.mac, next: 58, rest, ...text });
  return sealed(frame, ICMP + 2, rest.length);
}

/** vm1 asks for vm4, pings it, and is answered. */
function pingOf(options: Sites6Options = {}, hops = 64): Recording {
  const sites = new Sites6(options);
  const { vm1, vm4, world } = sites;
  return recordingOf(sites, () => {
    vm1.ask(B);
    world.settle();
    vm1.tap.send(echo(vm1, B, B, "80", hops));
    world.settle();
    if (!vm4.frames.some((frame) => frame[ICMP] === 128)) return;
    vm4.tap.send(echo(vm4, A, A, "81"));
    world.settle();
  });
}

function told({ hops, actors }: Walk): string[] {
  const label = (id: string) => actors.find((actor) => actor.id === id)?.label;
  return hops.map(({ text, learned, state }) => {
    const entries = learned.map(({ table, ip }) => ` [${label(table)} learns ${ip}]`).join("");
    return `${text}${state === "passed" ? "" : ` ${state}`}${entries}`;
  });
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a ping of IPv6", () => {
  it("between two sites: neighbour discovery is questions and answers, and the hop limit falls", () => {
    const walk = walkOf(pingOf(), HEAD);
    expect(told(walk)).toMatchInlineSnapshot(`
      [
        "vm1 → gw1: who has 2001:db8:10::12? 2001:db8:10::11 asks, from vm1 [gw1 learns 2001:db8:10::11]",
        "gw1 → vm1: 2001:db8:10::12 is at gw1.10 [vm1 learns 2001:db8:10::12]",
        "gw1 → vm3: who has 2001:db8:10::12? 2001:db8:10::11 asks, from gw1.10",
        "gw1 → gw2, through the tunnel (VNI 10): who has 2001:db8:10::12? 2001:db8:10::11 asks, from gw1.10 [gw2 learns 2001:db8:10::11]",
        "vm1 → gw1: echo request 2001:db8:10::11 → 2001:db8:10::12, hop limit 64, from vm1",
        "gw1 → gw2, through the tunnel (VNI 10): echo request 2001:db8:10::11 → 2001:db8:10::12, hop limit 63, from gw1.10",
        "gw2 → vm4: who has 2001:db8:10::12? 2001:db8:10::11 asks, from gw2.10 [vm4 learns 2001:db8:10::11]",
        "vm4 → gw2: 2001:db8:10::12 is at vm4 [gw2 learns 2001:db8:10::12]",
        "gw2 → gw1, through the tunnel (VNI 10): 2001:db8:10::12 is at gw2.10 [gw1 learns 2001:db8:10::12]",
        "gw2 → vm4: echo request 2001:db8:10::11 → 2001:db8:10::12, hop limit 62, from gw2.10",
        "vm4 → gw2: echo reply 2001:db8:10::12 → 2001:db8:10::11, hop limit 64, from vm4",
        "gw2 → gw1, through the tunnel (VNI 10): echo reply 2001:db8:10::12 → 2001:db8:10::11, hop limit 63, from gw2.10",
        "gw1 → vm1: echo reply 2001:db8:10::12 → 2001:db8:10::11, hop limit 62, from gw1.10",
      ]
    `);
    expect([walk.pair, walk.arrived, walk.trouble]).toEqual([["2001:db8:10::11", "2001:db8:10::12"], true, null]);
  });

  it("whose hop limit ends is answered, and the answer is the trouble", () => {
    const walk = walkOf(pingOf({}, 1), HEAD);
    expect(walk.trouble?.text).toBe("gw1 ended it: ttl, its TTL or hop limit ended: time exceeded is due");
    expect(told(walk).join()).toContain("gw1 → vm1: ICMP time exceeded 2001:db8:10::1 → 2001:db8:10::11, hop limit 64");
  });

  it("for an address that no host has: who asked whom in vain", () => {
    const sites = new Sites6();
    const recording = recordingOf(sites, () => {
      sites.vm1.ask(NET | 0x99n);
      sites.world.settle();
      sites.vm1.tap.send(echo(sites.vm1, NET | 0x99n, NET | 0x99n));
      sites.world.advance(100);
    });
    expect(walkOf(recording, HEAD).trouble?.text).toBe("no answer for 2001:db8:10::99: gw1 asked vm3, gw2");
  });

  it("a host that probes for its address teaches no table", () => {
    const sites = new Sites6();
    const recording = recordingOf(sites, () => {
      sites.vm1.probe(NET | 0x99n);
      sites.world.settle();
    });
    expect(walkOf(recording, HEAD).hops.flatMap(({ learned }) => learned)).toEqual([]);
  });
});

describe("fields", () => {
  const text = (frame: Uint8Array) => fieldsOf(frame).map(({ layer, name, text: said }) => `${layer} ${name}: ${said}`);

  it("of an advertisement, with its flags and the MAC that it tells", () => {
    const { vm1 } = (() => {
      const sites = new Sites6();
      sites.vm1.ask(B);
      sites.world.settle();
      return sites;
    })();
    const frame = vm1.frames.find((each) => each[ICMP] === 136)!;
    expect(text(frame).filter((line) => line.startsWith("ND"))).toEqual([
      "ND message: neighbor advertisement",
      "ND target address: 2001:db8:10::12",
      expect.stringMatching(/^ND link-layer address: 02:/),
      "ND flags: solicited, override",
      expect.stringMatching(/^ND checksum: 0x/),
    ]);
    for (const field of fieldsOf(frame)) expect(field.at + field.length).toBeLessThanOrEqual(frame.length);
  });

  it("of packets: class, label, ports, packet too big", () => {
    const around = { dst: 2, src: 4, from: "2001:db8::1", to: "2001:db8::2" };
    expect(text(udp6({ ...around, trafficClass: 0xb8, label: 0x12345, hops: 9 }))).toEqual(
      expect.arrayContaining([
        "IPv6 source: 2001:db8::1",
        "IPv6 hop limit: 9",
        "IPv6 traffic class: 0xb8",
        "IPv6 flow label: 0x12345",
        "IPv6 next header: UDP",
        "ports source: 1000",
        "ports destination: 2000",
      ]),
    );
    const behind = packet6({ ...around, next: 60, rest: "1100 0104 0000 0000 0001 0002 0008 0000" });
    expect(text(behind)).toContain("ports destination: 2");
    expect(text(packet6({ ...around, next: 58, rest: "0200 0000 0000 05aa" }))).toContain("ICMPv6 next-hop MTU: 1450");
  });

  it("of bytes that are cut off anywhere, or lie: those that are there, and nothing throws", () => {
    const sites = new Sites6();
    sites.vm1.ask(B);
    sites.world.settle();
    for (const frame of [...sites.vm1.frames, ...sites.vm4.frames])
      for (let end = 0; end <= frame.length; end++) {
        const cut = frame.subarray(0, end);
        for (const field of fieldsOf(cut)) expect(field.at + field.length).toBeLessThanOrEqual(end);
        packetOf(cut);
        const lying = cut.slice();
        // An option without a length would be looked at for ever.
        if (end > ICMP + 25) lying.set([9, 0], ICMP + 24);
        fieldsOf(lying);
        packetOf(lying);
      }
  });
});

describe.skipIf(noBrowser !== null)("its page", () => {
  let browser: Browser;
  const folder = mkdtempSync(join(tmpdir(), "vtepd-walk6-"));
  beforeAll(async () => {
    vi.useRealTimers();
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
  });

  it("speaks of ND and of neighbour tables, and shows the fields of both layers", async () => {
    const walk = walkOf(pingOf(), HEAD);
    vi.useRealTimers();
    const file = join(folder, "walk.html");
    const asset = (name: string) => readFileSync(`dist/web/page/${name}`, "utf8");
    writeFileSync(file, exportHtml(walk, { script: asset("page.js"), style: asset("style.css") }));
    const { page, complaints } = await openPage(browser, `file://${file}`);
    await page.waitForSelector("svg.stage");
    const textOf = async (selector: string) => (await page.locator(selector).first().textContent()) ?? "";
    expect(await textOf(".envelope")).toContain("ND ?");
    expect(await textOf("[aria-label='This frame']")).toContain("neighbor solicitation");
    expect(await textOf("svg.stage")).toContain("who has 2001:db8:10::12?");
    expect(await textOf(".learned h2")).toContain("Neighbour tables");
    await page.keyboard.press("End");
    expect(await textOf("[aria-label='This frame']")).toContain("hop limit");
    expect(complaints).toEqual([]);
  });
});
