/** Captures on a whole gateway in memory: what became of what, only what was asked for, and only for as long. */
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { EventFeed } from "../../src/api/event-feed.ts";
import type { CaptureLine, CaptureQuery } from "../../src/api/schema-watch.ts";
import { CAPTURES } from "../../src/insight/captures.ts";
import { WatchHub } from "../../src/insight/watch.ts";
import { SET_WATCH } from "../../src/tables/tables.ts";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { toHex } from "../wire/hex.ts";
import { article } from "./article.ts";
import type { World } from "./world.ts";

let world: World;
beforeEach(() => {
  vi.useFakeTimers();
  world = article();
});
afterEach(() => void vi.useRealTimers());

const gw1 = () => world.gateways.get("gw1")!;
const hubOf = () => new WatchHub(gw1().control.shown, new EventFeed(() => Date.now()), "gw1");
const frames = (lines: readonly CaptureLine[]) => lines.filter((line) => line.kind === "frame");
const hexOf = ({ data }: { readonly data: string }) => Buffer.from(data, "base64").toString("hex");

describe("a capture", () => {
  it("tells what became of what: copies, what control sent because of a frame, and the way through the tunnel", () => {
    const { shown } = gw1().control;
    const ports = Array.from({ length: 16 }, (_, n) => 49_152 + n);
    const datagrams: { readonly inner: string; readonly entropy: number }[] = [];
    const observe = world.net.observe!;
    world.net.observe = (datagram) => {
      datagrams.push({ inner: toHex(datagram.bytes.slice(8)), entropy: datagram.entropy });
      observe(datagram);
    };
    const lines: CaptureLine[] = [];
    new WatchHub(shown, new EventFeed(() => 0), "gw1", ports).capture(
      { snaplen: 1000 },
      (line) => lines.push(line) > 0,
    );
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    vi.advanceTimersByTime(50);
    const all = frames(lines);
    const at = new Map(all.map((line, i) => [line.id, i]));
    const of = (id: number | null) => (id === null ? "-" : String(at.get(id) ?? "?"));
    expect(at.size).toBe(all.length);
    expect(all.map(({ parent, cause }, i) => `${i}: ${of(parent)} ${of(cause)}`)).toEqual([
      "0: - -", // VM1 asks for its gateway
      "1: - 0",
      "2: - -", // VM1's packet, which waits
      "3: - 2",
      "4: - 2",
      "5: - 2",
      "6: - -", // gw2 answers
      "7: - 2", // and the packet goes on
      "8: - -", // gw2 asks for VM1
      "9: - 8",
      "10: - -", // VM5's answer
      "11: 10 -",
    ]);
    expect(all[0]!.outer).toBeNull();
    expect(all[6]!.outer).toEqual({ source: "192.0.2.2", destination: "192.0.2.1", sourcePort: null, vni: 20 });
    const sent = datagrams.find(({ inner }) => inner === hexOf(all[7]!))!;
    expect(all[7]!.outer).toEqual({
      source: "192.0.2.1",
      destination: "192.0.2.2",
      sourcePort: 49_152 + (sent.entropy % 16),
      vni: 20,
    });
  });

  it("a frame that control drops says which punted one it was; a stranger's has its address and VNI", () => {
    const hub = hubOf();
    gw1().control.agent.ledger.onDrop = (reason, lost) => hub.droppedByControl(reason, lost);
    const lines: CaptureLine[] = [];
    hub.capture({ snaplen: 1000 }, (line) => lines.push(line) > 0);
    world.get("vm1").sendArp({ op: ARP_REQUEST, senderIp: parseIpv4("99.1.1.1")!, targetIp: parseIpv4("10.1.1.1")! });
    const unknown = { from: "192.0.2.9", to: "192.0.2.1", tos: 0, entropy: 77, bytes: new Uint8Array(68) };
    unknown.bytes.set([8, 0, 0, 0, 0, 0, 77, 0]);
    world.net.inbox("192.0.2.1").push(unknown);
    world.settle();
    vi.advanceTimersByTime(50);
    const all = frames(lines);
    const dropped = all.find(({ reason }) => reason === "arp_not_local")!;
    const punted = all.find(({ fate }) => fate.startsWith("punted"))!;
    expect([dropped.cause, dropped.id === punted.id]).toEqual([punted.id, false]);
    expect(all.find(({ reason }) => reason === "unknown_vtep")!.outer).toEqual({
      source: "192.0.2.9",
      destination: "192.0.2.1",
      sourcePort: 49_229,
      vni: 77,
    });
  });

  it("of a host or a protocol has nothing else, and ends by itself after so many frames or seconds", () => {
    const hub = hubOf();
    const kept = (query: Omit<CaptureQuery, "snaplen">) => {
      const lines: CaptureLine[] = [];
      if (typeof hub.capture({ snaplen: 1000, ...query }, (line) => lines.push(line) > 0) === "string")
        throw new Error();
      return lines;
    };
    const icmp = kept({ protocol: ["icmp"] });
    const vm5 = kept({ host: ["20.1.1.12"] });
    const two = kept({ count: 2 });
    const late = kept({ seconds: 5, host: ["9.9.9.9"] });
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    vi.advanceTimersByTime(50);
    expect(frames(icmp).map(({ summary }) => summary.slice(0, 12))).toEqual(Array(4).fill("icmp echo-re"));
    expect(frames(vm5).length).toBeGreaterThan(frames(icmp).length);
    for (const { summary } of frames(vm5)) expect(summary).toContain("20.1.1.12");
    expect(two.slice(1).map(({ kind }) => kind)).toEqual(["frame", "frame", "end"]);
    expect(two.at(-1)).toEqual({ kind: "end", reason: "count", frames: 2, lost: 0 });
    expect(late.map(({ kind }) => kind)).toEqual(["start"]);
    vi.advanceTimersByTime(5000);
    expect(late.at(-1)).toEqual({ kind: "end", reason: "seconds", frames: 0, lost: 0 });
  });

  it("has a slice of each turn, however long its lines take: what waits comes in the next ones", () => {
    const lines: CaptureLine[] = [];
    let spentMs = 0;
    vi.spyOn(performance, "now").mockImplementation(() => spentMs);
    onTestFinished(() => void vi.restoreAllMocks());
    const slow = (line: CaptureLine) => {
      spentMs += 3;
      return lines.push(line) > 0;
    };
    hubOf().capture({ snaplen: 100 }, slow);
    for (let n = 0; n < 30; n++) world.get("vm1").ping("10.1.1.1");
    world.settle();
    const perTurn: number[] = [];
    for (let before = -1; before !== lines.length; ) {
      before = lines.length;
      vi.advanceTimersByTime(20);
      perTurn.push(lines.length - before);
    }
    expect(lines.length).toBeGreaterThan(60);
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(4);
  });

  it("is one of a few: one more is told so, and gets its place when another one ends", () => {
    const hub = hubOf();
    const ends = Array.from({ length: CAPTURES }, () => hub.capture({ snaplen: 100 }, () => true));
    expect(hub.capture({ snaplen: 100 }, () => true)).toEqual({ busy: expect.stringContaining(`${CAPTURES}`) });
    (ends[0] as () => void)();
    expect(hub.capture({ snaplen: 100 }, () => true)).toBeTypeOf("function");
  });

  it("that was the last and has ended by itself leaves nothing watched", () => {
    const hub = hubOf();
    hub.capture({ snaplen: 100, count: 1 }, () => true);
    expect(gw1().tables.settings[SET_WATCH]).not.toBe(0);
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    vi.advanceTimersByTime(50);
    expect(gw1().tables.settings[SET_WATCH]).toBe(0);
  });
});
