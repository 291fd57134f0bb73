/**
 * From recorded frames to walks: the article's three scenarios as they were captured on the lab's gateways, hop by hop; and the same
 * recordings with something missing.
 */
import { describe, expect, it } from "vitest";
import { exportHtml } from "../../src/web/export.ts";
import { fieldsOf, packetOf } from "../../src/web/fields.ts";
import type { FrameLine, Recording } from "../../src/web/recording.ts";
import type { Walk } from "../../src/web/said-walk.ts";
import { walkOf } from "../../src/web/walk.ts";
import { recorded } from "./recorded.ts";

const HEAD = { id: "1", at: "2026-11-28T12:00:00Z", scheme: "distributed" } as const;

function told({ hops, actors }: Walk): string[] {
  const label = (id: string) => actors.find((actor) => actor.id === id)?.label;
  return hops.map(({ step, text, parent, learned, rows, state }) => {
    const entries = learned.map(({ table, ip }) => ` [${label(table)} learns ${ip}]`).join("");
    const marks = rows.map(({ row, holds }) => `${row}${holds ? "" : "!"}`).join();
    const end = state === "passed" ? "" : ` ${state}`;
    return `${step ?? "-"} ${text} <${parent === null ? "" : parent + 1}> ${marks}${end}${entries}`;
  });
}

const walkFrom = (number: number): Walk => {
  const { recording, judged, scenario } = recorded(number);
  return walkOf(recording, { ...HEAD, scenario, judged });
};

describe("the article's walks from recorded frames", () => {
  it("the same VXLAN: S1", () => {
    const walk = walkFrom(1);
    expect(told(walk)).toMatchInlineSnapshot(`
      [
        "1 vm1 → gw1: who has 10.1.1.12? 10.1.1.11 asks, from M1 <> 1 [gw1 learns 10.1.1.11]",
        "2 gw1 → vm1: 10.1.1.12 is at G1.10 <1> 2 [vm1 learns 10.1.1.12]",
        "4 gw1 → gw2, through the tunnel (VNI 10): who has 10.1.1.12? 10.1.1.11 asks, from G1.10 <1> 3a [gw2 learns 10.1.1.11]",
        "4 gw1 → border, through the tunnel (VNI 10): who has 10.1.1.12? 10.1.1.11 asks, from G1.10 <1> 3b [border learns 10.1.1.11]",
        "9 vm1 → gw1: echo request 10.1.1.11 → 10.1.1.12, TTL 64, from M1 <2> 9",
        "5 gw2 → vm4: who has 10.1.1.12? 10.1.1.11 asks, from G2.10 <3> 5 [vm4 learns 10.1.1.11]",
        "6 vm4 → gw2: 10.1.1.12 is at M4 <6> 6 [gw2 learns 10.1.1.12]",
        "7 gw2 → gw1, through the tunnel (VNI 10): 10.1.1.12 is at G2.10 <7> 7 [gw1 learns 10.1.1.12]",
        "9 gw1 → gw2, through the tunnel (VNI 10): echo request 10.1.1.11 → 10.1.1.12, TTL 63, from G1.10 <5> 10",
        "9 gw2 → vm4: echo request 10.1.1.11 → 10.1.1.12, TTL 62, from G2.10 <9> 11",
        "- vm4 → gw2: echo reply 10.1.1.12 → 10.1.1.11, TTL 64, from M4 <10> 12",
        "- gw2 → gw1, through the tunnel (VNI 10): echo reply 10.1.1.12 → 10.1.1.11, TTL 63, from G2.10 <11> 13",
        "- gw1 → vm1: echo reply 10.1.1.12 → 10.1.1.11, TTL 62, from G1.10 <12> 14",
      ]
    `);
    expect(walk.actors.map(({ label }) => label)).toEqual(["vm1", "gw1", "gw2", "vm4", "border"]);
    expect([walk.arrived, walk.trouble]).toEqual([true, null]);
  });

  it("another VXLAN: S2", () => {
    const walk = walkFrom(2);
    expect(told(walk)).toMatchInlineSnapshot(`
      [
        "1 vm1 → gw1: who has 10.1.1.1? 10.1.1.11 asks, from M1 <> 1 [gw1 learns 10.1.1.11]",
        "2 gw1 → vm1: 10.1.1.1 is at G1.10 <1> 2 [vm1 learns 10.1.1.1]",
        "3 vm1 → gw1: echo request 10.1.1.11 → 20.1.1.12, TTL 64, from M1 <2> 3",
        "4 gw1 → vm2: who has 20.1.1.12? 20.1.1.1 asks, from G1.20 <3> 4a",
        "4 gw1 → gw2, through the tunnel (VNI 20): who has 20.1.1.12? 20.1.1.1 asks, from G1.20 <3> 4b",
        "4 gw1 → border, through the tunnel (VNI 20): who has 20.1.1.12? 20.1.1.1 asks, from G1.20 <3> 4b [border learns 20.1.1.1]",
        "5 gw2 → vm5: who has 20.1.1.12? 20.1.1.1 asks, from G2.20 <5> 6 [vm5 learns 20.1.1.1]",
        "6 vm5 → gw2: 20.1.1.12 is at M5 <7> 7 [gw2 learns 20.1.1.12]",
        "7 gw2 → gw1, through the tunnel (VNI 20): 20.1.1.12 is at G2.20 <8> 8 [gw1 learns 20.1.1.12]",
        "9 gw1 → gw2, through the tunnel (VNI 20): echo request 10.1.1.11 → 20.1.1.12, TTL 63, from G1.20 <3> 10",
        "9 gw2 → vm5: echo request 10.1.1.11 → 20.1.1.12, TTL 62, from G2.20 <10> 11",
        "- vm5 → gw2: echo reply 20.1.1.12 → 10.1.1.11, TTL 64, from M5 <11> 12",
        "- gw2 → vm4: who has 10.1.1.11? 10.1.1.1 asks, from G2.10 <12> 13a",
        "- gw2 → gw1, through the tunnel (VNI 10): who has 10.1.1.11? 10.1.1.1 asks, from G2.10 <12> 13b",
        "- gw2 → border, through the tunnel (VNI 10): who has 10.1.1.11? 10.1.1.1 asks, from G2.10 <12> 13c [border learns 10.1.1.1]",
        "- gw1 → gw2, through the tunnel (VNI 10): 10.1.1.11 is at G1.10 <14> 16 [gw2 learns 10.1.1.11]",
        "- gw2 → gw1, through the tunnel (VNI 10): echo reply 20.1.1.12 → 10.1.1.11, TTL 63, from G2.10 <12> 17",
        "- gw1 → vm1: echo reply 20.1.1.12 → 10.1.1.11, TTL 62, from G1.10 <17> 18",
      ]
    `);
    expect(walk.actors.map(({ label }) => label)).toEqual(["vm1", "vm2", "gw1", "gw2", "vm4", "vm5", "border"]);
    expect([walk.arrived, walk.trouble]).toEqual([true, null]);
  });

  it("the outside: S3", () => {
    const walk = walkFrom(3);
    expect(told(walk)).toMatchInlineSnapshot(`
      [
        "1 vm1 → gw1: who has 10.1.1.1? 10.1.1.11 asks, from M1 <> 1 [gw1 learns 10.1.1.11]",
        "2 gw1 → vm1: 10.1.1.1 is at G1.10 <1> 2 [vm1 learns 10.1.1.1]",
        "3 vm1 → gw1: echo request 10.1.1.11 → 50.1.1.1, TTL 64, from M1 <2> 3",
        "4 gw1 → vm1: who has 10.1.1.2? 10.1.1.1 asks, from G1.10 <3> 4",
        "4 gw1 → gw2, through the tunnel (VNI 10): who has 10.1.1.2? 10.1.1.1 asks, from G1.10 <3> 5b",
        "4 gw1 → border, through the tunnel (VNI 10): who has 10.1.1.2? 10.1.1.1 asks, from G1.10 <3> 5a [border learns 10.1.1.1]",
        "4 gw2 → vm4: who has 10.1.1.2? 10.1.1.1 asks, from G2.10 <5> 5c",
        "5 border → gw1, through the tunnel (VNI 10): 10.1.1.2 is at B.10 <6> 7 [gw1 learns 10.1.1.2]",
        "7 gw1 → border, through the tunnel (VNI 10): echo request 10.1.1.11 → 50.1.1.1, TTL 63, from G1.10 <3> 9",
        "8 border → ext: who has 50.1.1.1? 50.1.1.254 asks, from B.up <9> 10a [ext learns 50.1.1.254]",
        "8 ext → border: 50.1.1.1 is at ME <10> 10b [border learns 50.1.1.1]",
        "8 border → ext: echo request 10.1.1.11 → 50.1.1.1, TTL 62, from B.up <9> 10",
        "- ext → border: echo reply 50.1.1.1 → 10.1.1.11, TTL 64, from ME <12> 11",
        "- border → gw1, through the tunnel (VNI 10): who has 10.1.1.11? 10.1.1.2 asks, from B.10 <13> 12a",
        "- border → gw2, through the tunnel (VNI 10): who has 10.1.1.11? 10.1.1.2 asks, from B.10 <13> 12b [gw2 learns 10.1.1.2]",
        "- gw1 → border, through the tunnel (VNI 10): 10.1.1.11 is at G1.10 <14> 15 [border learns 10.1.1.11]",
        "- gw2 → vm4: who has 10.1.1.11? 10.1.1.2 asks, from G2.10 <15> 13a",
        "- border → gw1, through the tunnel (VNI 10): echo reply 50.1.1.1 → 10.1.1.11, TTL 63, from B.10 <13> 16",
        "- gw1 → vm1: echo reply 50.1.1.1 → 10.1.1.11, TTL 62, from G1.10 <18> 17",
      ]
    `);
    expect(walk.actors.map(({ label }) => label)).toEqual(["vm1", "gw1", "gw2", "vm4", "border", "ext"]);
    expect([walk.arrived, walk.trouble]).toEqual([true, null]);
  });

  it.each([1, 2, 3])(
    "S%i: every frame of the article is a hop, each step has its sentence, and all of them hold",
    (number) => {
      const { judged, scenario } = recorded(number);
      const walk = walkFrom(number);
      const frames = judged.rows.filter(({ hex }) => hex !== null);
      expect(walk.hops.flatMap(({ rows }) => rows)).toHaveLength(frames.length);
      expect(walk.steps.map(({ text }) => text)).toEqual(Object.values(scenario.steps));
      expect(walk.steps.every(({ holds }) => holds)).toBe(true);
      expect(walk.entries).toHaveLength(judged.rows.filter(({ table }) => table !== null).length);
    },
  );

  it.each([1, 2, 3])("S%i watched as a ping of one's own tells the same way, and the same steps", (number) => {
    const { recording } = recorded(number);
    const [driven, own] = [walkFrom(number), walkOf(recording, HEAD)];
    expect(own.scenario).toBe(number);
    const way = ({ hops }: Walk) => hops.map(({ from, to, hex, parent }) => ({ from, to, hex, parent }));
    expect(way(own)).toEqual(way(driven));
    const steps = (walk: Walk) => walk.hops.map(({ step }) => step);
    expect(steps(own)).toEqual(steps(driven));
    expect([own.arrived, own.trouble]).toEqual([true, null]);
  });

  it("the packet changes where a gateway routes it, and nowhere else", () => {
    const { hops } = walkFrom(2);
    const pings = hops.filter(({ kind, step }) => kind === "ip" && step !== null);
    const text = (hop: (typeof hops)[number], name: string, layer = "IPv4") =>
      hop.fields.find((field) => field.layer === layer && field.name === name)?.text;
    expect(pings.map((hop) => text(hop, "TTL"))).toEqual(["64", "63", "62"]);
    const changed = pings.slice(1).map((hop) => {
      const before = hops[hop.parent!]!;
      const isNew = (field: (typeof hop.fields)[number]) => text(before, field.name, field.layer) !== field.text;
      return hop.fields.filter((field) => field.layer !== "Ethernet" && isNew(field)).map(({ name }) => name);
    });
    expect(changed).toEqual([
      ["TTL", "checksum"],
      ["TTL", "checksum"],
    ]);
  });
});

/** The recording with the frames of one gateway changed. */
function changed(recording: Recording, node: string, change: (frames: readonly FrameLine[]) => FrameLine[]): Recording {
  return {
    gateways: recording.gateways.map((each) => (each.node === node ? { ...each, frames: change(each.frames) } : each)),
  };
}

const inByTunnel = ({ direction, via }: FrameLine) => direction === "in" && via?.kind === "tunnel";

describe("what goes wrong", () => {
  it("a frame that left and never came is lost, at the hop where it left", () => {
    const { recording } = recorded(2);
    const nothing = changed(recording, "gw2", () => []);
    const walk = walkOf(
      changed(nothing, "gw1", (frames) =>
        frames.filter((line) => !inByTunnel(line) && !line.summary.includes("echo-reply")),
      ),
      HEAD,
    );
    expect(walk.arrived).toBe(false);
    const hop = walk.hops[walk.trouble!.hop]!;
    expect([hop.state, hop.from, hop.to]).toEqual(["lost", "gateway gw1", "gateway gw2"]);
    expect(walk.trouble!.text).toBe("it left gw1 and was never seen at gw2");
  });

  it("a packet that waited and was then too long is told by the error that came back", () => {
    const { recording } = recorded(2);
    const isPing = ({ summary }: { summary: string }) => /echo-(request|reply)/.test(summary);
    const quiet = changed(
      changed(recording, "gw2", (frames) => frames.filter((line) => !isPing(line))),
      "gw1",
      (frames) => {
        const [first] = frames.filter((line) => line.via?.kind === "ac" && isPing(line));
        const packet = Buffer.from(first!.data, "base64");
        const error = Buffer.alloc(14 + 20 + 8 + 28);
        // To whom it came from, from the gateway: 10.1.1.1 > 10.1.1.11, ICMP 3/4, MTU 1000, and the packet's beginning.
        error.set([...packet.subarray(6, 12), ...packet.subarray(0, 6), 8, 0, 0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0]);
        error.set([10, 1, 1, 1, 10, 1, 1, 11, 3, 4, 0, 0, 0, 0, 0x03, 0xe8, ...packet.subarray(14, 42)], 26);
        const { at, id } = frames.filter((line) => inByTunnel(line) && line.summary.includes("20.1.1.12"))[0]!;
        const out = { id: 999, parent: null, cause: id, direction: "out" as const, at: String(BigInt(at) + 50_000n) };
        const line = { ...first!, ...out, summary: "ICMP unreachable", fate: "sent to ac vm1", length: error.length };
        const kept = frames.filter((each) => !isPing(each) || each === first);
        return [...kept, { ...line, data: error.toString("base64") }];
      },
    );
    const walk = walkOf(quiet, HEAD);
    expect(walk.arrived).toBe(false);
    expect(walk.trouble!.text).toBe(
      "gw1 gave it up and says so: ICMP unreachable: fragmentation needed, at most 1000 bytes",
    );
    expect(walk.hops[walk.trouble!.hop]!).toMatchObject({ from: "gateway gw1", to: "ac gw1 vm1" });
  });

  it("a frame that the far end drops is red with the reason", () => {
    const { recording } = recorded(2);
    const walk = walkOf(
      changed(recording, "gw2", (frames) => {
        const [first] = frames.filter((line) => inByTunnel(line) && line.summary.includes("20.1.1.12"));
        return [{ ...first!, vsi: null, reason: "unknown_vni", fate: "dropped: unknown_vni, the VNI has no VSI here" }];
      }),
      HEAD,
    );
    const hop = walk.hops[walk.trouble!.hop]!;
    expect([hop.state, hop.step, hop.to]).toEqual(["dropped", 4, "gateway gw2"]);
    expect(walk.trouble!.text).toBe("gw2 ended it: unknown_vni, the VNI has no VSI here");
  });

  it("a flooded copy that a gateway has no use for is no trouble; the only copy is", () => {
    const { recording } = recorded(2);
    const useless = (text: string) => (frames: readonly FrameLine[]) => {
      const at = frames.findIndex((line) => inByTunnel(line) && line.summary.includes(text));
      const fate = "dropped: split_horizon, from a tunnel, and could only leave by a tunnel";
      return [...frames.slice(0, at), { ...frames[at]!, reason: "split_horizon", fate }, ...frames.slice(at + 1)];
    };
    const copy = walkOf(changed(recording, "border", useless("20.1.1.12")), HEAD);
    expect(copy.hops.map(({ state }) => state)).toContain("dropped");
    expect(copy).toMatchObject({ arrived: true, trouble: null });
    const only = walkOf(changed(recording, "gw2", useless("echo-request")), HEAD);
    expect(only.hops[only.trouble!.hop]!.reason).toMatchObject({ name: "split_horizon" });
  });

  it("the same bytes in another VNI are not the same frame", () => {
    const { recording } = recorded(2);
    const walk = walkOf(
      changed(recording, "gw2", (frames) =>
        frames.map((line) => (inByTunnel(line) ? { ...line, outer: { ...line.outer!, vni: 99 } } : line)),
      ),
      HEAD,
    );
    expect(walk.hops.filter(({ state }) => state === "lost").length).toBeGreaterThan(0);
  });

  it("two clocks that differ put nothing before what it follows from", () => {
    const { recording } = recorded(2);
    const early = changed(recording, "gw2", (frames) =>
      frames.map((line) => ({ ...line, at: String(BigInt(line.at) - 3_000_000n) })),
    );
    const [right, wrong] = [walkOf(recording, HEAD), walkOf(early, HEAD)];
    const texts = ({ hops }: Walk) => hops.map(({ text }) => text);
    expect(texts(wrong).sort()).toEqual(texts(right).sort());
    for (const [i, { parent, text }] of wrong.hops.entries()) expect(parent ?? -1, text).toBeLessThan(i);
    const packet = ({ hops }: Walk) => hops.flatMap(({ kind, text }) => (kind === "ip" ? [text] : []));
    expect(packet(wrong)).toEqual(packet(right));
  });

  it("a ping to a gateway's own address, as health checks make them, is not the one", () => {
    const { recording } = recorded(2);
    const first = recording.gateways
      .find(({ node }) => node === "gw1")!
      .frames.find(({ summary }) => summary.includes("echo-request"))!;
    const bytes = Buffer.from(first.data, "base64");
    Buffer.from([10, 1, 1, 1]).copy(bytes, 14 + 16);
    const check = { ...first, at: String(BigInt(first.at) - 100_000_000n), data: bytes.toString("base64") };
    const walk = walkOf(
      changed(recording, "gw1", (frames) => [check, ...frames]),
      HEAD,
    );
    expect(walk.pair).toEqual(["10.1.1.11", "20.1.1.12"]);
    expect(walk.hops[0]!.kind).toBe("request");
  });

  it("no frame at all is a walk without hops, and no ping is said", () => {
    const { recording } = recorded(1);
    const empty = { gateways: recording.gateways.map((each) => ({ ...each, frames: [] })) };
    const walk = walkOf(empty, HEAD);
    expect([walk.hops, walk.pair, walk.trouble, walk.title]).toEqual([[], null, null, "no ping was seen"]);
  });
});

describe("fields", () => {
  it("of bytes that are cut off anywhere are those that are there; nothing throws", () => {
    for (const number of [1, 2, 3])
      for (const { frames } of recorded(number).recording.gateways)
        for (const { data } of frames) {
          const bytes = Buffer.from(data, "base64");
          for (let length = 0; length <= bytes.length; length++) {
            const part = bytes.subarray(0, length);
            packetOf(part);
            for (const field of fieldsOf(part)) expect(field.at + field.length).toBeLessThanOrEqual(length);
          }
        }
  });
});

it("a walk as a file holds its data and nothing that could end the block, and names what may run", () => {
  const walk: Walk = { ...walkFrom(1), title: "</script><script>alert(1)</script><!--" };
  const html = exportHtml(walk, { script: 'const a = "</script><!--";', style: "p { color: red }" });
  expect(html.match(/<script/g)).toHaveLength(2);
  expect(html.match(/<\/script>/g)).toHaveLength(2);
  expect(html).not.toContain("<!--");
  const data = /id="walk-data">(.*?)<\/script>/.exec(html)![1]!;
  expect(JSON.parse(data)).toEqual(JSON.parse(JSON.stringify(walk)));
  expect(html).toMatch(/default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'/);
});
