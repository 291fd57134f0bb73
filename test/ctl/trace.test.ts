/** vtepctl trace, observe, show events and capture against the real API over a socket, with a fake gateway behind it. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import type { Trace, TraceRequest } from "../../src/api/schema-trace.ts";
import type { CaptureLine, CaptureQuery, EventQuery, EventRecord } from "../../src/api/schema-watch.ts";
import type { CaptureSink } from "../../src/api/watch.ts";
import type { ApiSource } from "../api/fake-source.ts";
import { again, ctl, err, folder, forget, hangUp, out } from "./bed.ts";

const TRACE: Trace = {
  packet: "icmp echo-request 10.1.1.11 > 20.1.1.12 ttl 64, 84 bytes",
  steps: [
    { stage: "ingress", text: "ac vm1, untagged", result: "vsi vsi10" },
    { stage: "bridge", text: "destination is the gateway MAC", result: "route" },
    { stage: "fib", text: "20.1.1.0/24 connected vsi-interface20", result: "host 20.1.1.12 is not resolved" },
  ],
  fate: {
    kind: "punted",
    reason: null,
    class: "unresolved",
    text: "punted to control: its next hop is not resolved yet",
    next: "waits for ARP of 20.1.1.12 on vsi-interface20",
  },
  sends: [],
  next: [],
  injected: false,
};

it("trace reads IPv6 as tools print it", async () => {
  const asked: TraceRequest[] = [];
  const trace = (request: TraceRequest) => {
    asked.push(request);
    return TRACE;
  };
  const [source, destination] = ["2001:db8:10::11", "2001:db8:20::12"];
  for (const words of [
    ["icmp6", source, ">", destination],
    ["tcp", `[${source}]:40001`, ">", `[${destination}]:443`],
    ["nd", source, "to", destination],
    ["udp", `[${source}]`, destination],
  ])
    expect(await ctl({ trace }, "trace", "--ac", "vm1", ...words), err).toBe(0);
  expect(asked).toMatchObject([
    { protocol: "icmp", source, destination },
    { protocol: "tcp", source, destination, sourcePort: 40_001, destinationPort: 443 },
    { protocol: "nd", source, destination },
    { protocol: "udp", source, destination, sourcePort: 40_000 },
  ]);
  expect(await again("trace", "--ac", "vm1", "icmp", source, "2001:db8:::1")).toBe(2);
});

it("trace prints the stages, the fate and what control would do", async () => {
  const asked: TraceRequest[] = [];
  const trace = (request: TraceRequest) => {
    asked.push(request);
    return TRACE;
  };
  const words = ["icmp", "10.1.1.11", ">", "20.1.1.12", "--df", "--ttl", "9", "--dst-mac", "02:00:00:00:00:01"];
  expect(await ctl({ trace }, "trace", "--ac", "vm1", ...words)).toBe(0);
  expect(out).toBe(
    [
      "icmp echo-request 10.1.1.11 > 20.1.1.12 ttl 64, 84 bytes",
      " 1 ingress   ac vm1, untagged                       vsi vsi10",
      " 2 bridge    destination is the gateway MAC         route",
      " 3 fib       20.1.1.0/24 connected vsi-interface20  host 20.1.1.12 is not resolved",
      "FATE punted to control: its next hop is not resolved yet (what-if: nothing was sent)",
      "NEXT waits for ARP of 20.1.1.12 on vsi-interface20",
      "",
    ].join("\n"),
  );
  expect(asked).toEqual([
    {
      ac: "vm1",
      protocol: "icmp",
      source: "10.1.1.11",
      destination: "20.1.1.12",
      destinationMac: "02:00:00:00:00:01",
      ttl: 9,
      df: true,
      dscp: 0,
      size: 84,
      sourcePort: 40_000,
      destinationPort: 80,
      inject: false,
    },
  ]);
  forget();
  expect(await ctl({ trace }, "trace", "--tunnel", "gw2", "--vni", "10", "--hex", "02 00:01", "-o", "json")).toBe(0);
  expect(JSON.parse(out)).toEqual(TRACE);
  expect(asked[1]).toMatchObject({ tunnel: "gw2", vni: 10, hex: "020001" });
  forget();
  expect(await ctl({ trace }, "trace", "--ac", "vm1", "10.1.1.11", "20.1.1.12", "-o", "yaml")).toBe(0);
  expect(out).toContain("class: unresolved");
});

it("trace refuses what makes no sense, each with its exit code", async () => {
  expect(await ctl({}, "trace", "--hex", "00")).toBe(2);
  expect(err).toContain("say where the packet arrives");
  expect(await ctl({}, "trace", "--ac", "vm1", "icmp", "10.1.1.11")).toBe(2);
  forget();
  expect(await ctl({}, "trace", "--ac", "vm1", "sctp", "10.1.1.11", "20.1.1.12")).toBe(2);
  expect(err).toBe(
    "error: sctp is no protocol that can be described\n  fix: icmp, tcp, udp, arp, nd; any other frame: --hex BYTES\n",
  );
  expect(await ctl({}, "trace", "--ac", "vm1", "--hex", "00", "icmp", "1.1.1.1", "2.2.2.2")).toBe(2);
  expect(await ctl({}, "trace", "--ac", "vm9", "icmp", "10.1.1.11", ">", "20.1.1.12")).toBe(4);
  expect(await ctl({}, "trace", "--ac", "vm1", "icmp", "10.1.1.300", ">", "20.1.1.12")).toBe(2);
  expect(err).toContain("source");
  expect(out).toBe("");
});

const EVENTS: EventRecord[] = [
  {
    seq: 11,
    time: "2026-01-02T03:04:05.678Z",
    level: "debug",
    event: "arp.proxy-reply",
    step: "S1.2",
    fields: { vsi: "vsi10", ac: "vm1", ip: "10.1.1.12" },
  },
  {
    seq: 12,
    time: "2026-01-02T03:04:05.700Z",
    level: "info",
    event: "drop",
    step: null,
    fields: { reason: "runt", ac: "vm1", frame: "9 bytes", text: "shorter than an Ethernet header" },
  },
];
const LINES = [
  "03:04:05.678  S1.2       arp.proxy-reply     vsi=vsi10 ac=vm1 ip=10.1.1.12",
  "03:04:05.700  -          drop                runt ac=vm1 (9 bytes): shorter than an Ethernet header",
  "",
].join("\n");

it("show events, and observe without -f, print the last ones", async () => {
  const recent = vi.fn(() => EVENTS);
  const watch = { bootId: "b0", recent, follow: () => () => undefined, capture: () => () => undefined };
  expect(await ctl({ watch }, "show", "events", "--ac", "vm1", "--event", "arp.*")).toBe(0);
  expect(out).toBe(LINES);
  expect(recent).toHaveBeenCalledWith({ ac: "vm1", event: "arp.*" });
  forget();
  expect(await ctl({ watch }, "observe", "-o", "json")).toBe(0);
  expect(JSON.parse(out)).toEqual(EVENTS);
  forget();
  expect(await again("observe", "--drop"), "it ends, as without --drop").toBe(0);
  expect(recent).toHaveBeenLastCalledWith({ drop: "1" });
  expect(out).toBe(LINES);
  expect(err).toContain("observe -f --drop");
});

it("observe -f prints events as they come, until interrupted; a daemon that ends is exit code 3", async () => {
  const ended = vi.fn();
  const watch: ApiSource["watch"] = {
    bootId: "b0",
    recent: () => [],
    follow: (query, sink) => {
      expect(query).toEqual({ drop: "1", vsi: "vsi10" });
      for (const record of EVENTS) sink(record);
      return ended;
    },
    capture: () => () => undefined,
  };
  const running = ctl({ watch }, "observe", "-f", "--drop", "--vsi", "vsi10");
  await vi.waitFor(() => expect(out).toBe(LINES));
  process.emit("SIGINT");
  expect(await running).toBe(0);
  await vi.waitFor(() => expect(ended).toHaveBeenCalledTimes(1));
  const second = ctl({ watch }, "observe", "-f", "--drop", "--vsi", "vsi10", "-o", "json");
  await vi.waitFor(() => expect(out.length).toBeGreaterThan(LINES.length + 100));
  hangUp();
  expect(await second).toBe(3);
  expect(err).toContain("the daemon ended the stream");
});

const FRAME: Extract<CaptureLine, { kind: "frame" }> = {
  kind: "frame",
  id: 33,
  parent: null,
  cause: null,
  outer: null,
  at: "1700000000123456789",
  via: { kind: "ac", name: "vm1" },
  vsi: "vsi10",
  direction: "in",
  length: 60,
  summary: "arp who has 10.1.1.12 tell 10.1.1.11",
  fate: "punted: arp",
  reason: null,
  step: "S1.1",
  data: Buffer.alloc(20, 0xff).toString("base64"),
};

function captureWith(...lines: CaptureLine[]): Partial<ApiSource> {
  const capture = (_query: unknown, sink: CaptureSink) => {
    sink({ kind: "start", node: "gw1", ports: [{ kind: "ac", name: "vm1" }] });
    for (const line of lines) sink(line);
    return () => undefined;
  };
  return { watch: { bootId: "b0", recent: () => [], follow: () => () => undefined, capture } };
}

it("observe asks for a host, a protocol, what came since, and ends after --count; -n leaves no hole before -f", async () => {
  const asked: EventQuery[] = [];
  const watch: ApiSource["watch"] = {
    bootId: "b0",
    recent: (query) => {
      asked.push(query);
      return EVENTS;
    },
    follow: (query, sink) => {
      asked.push(query);
      for (const record of EVENTS) sink(record);
      return () => undefined;
    },
    capture: () => () => undefined,
  };
  const filter = ["--host", "10.1.1.12", "--protocol", "arp"];
  expect(await ctl({ watch }, "observe", "-f", ...filter, "--since", "b0-9", "--count", "1")).toBe(0);
  expect(asked).toEqual([{ host: "10.1.1.12", protocol: "arp", since: "b0-9" }]);
  expect(out).toBe(`${LINES.split("\n")[0]}\n`);
  forget();
  asked.length = 0;
  expect(await ctl({ watch }, "observe", "-f", "-n", "1", "--count", "1")).toBe(0);
  expect(asked).toEqual([{}, { since: "12" }]);
  expect(await ctl({ watch }, "show", "events", "--since", "soon")).toBe(2);
  expect(err).toContain("since");
});

it("capture without a file prints a line for each frame, and ends after --count", async () => {
  expect(await ctl(captureWith(FRAME, { kind: "lost", frames: 7 }, FRAME), "capture", "--count", "2")).toBe(0);
  const line = "22:13:20.123  S1.1       from ac vm1           arp who has 10.1.1.12 tell 10.1.1.11  punted: arp\n";
  expect(out).toBe(line + line);
  expect(err).toBe("capture: 2 frames, 7 lost\n");
});

it("capture asks for hosts, protocols and bounds; one that the daemon ends is over, and well", async () => {
  const asked: CaptureQuery[] = [];
  const capture = (query: CaptureQuery, sink: CaptureSink) => {
    asked.push(query);
    sink({ kind: "start", node: "gw1", ports: [] });
    sink({ kind: "end", reason: "seconds", frames: 0, lost: 3 });
    return () => undefined;
  };
  const watch = { bootId: "b0", recent: () => [], follow: () => () => undefined, capture };
  const words = ["--host", "10.1.1.11", "20.1.1.12", "--protocol", "icmp", "arp", "--count", "5", "--seconds", "2"];
  expect(await ctl({ watch }, "capture", ...words)).toBe(0);
  const wanted = { host: ["10.1.1.11", "20.1.1.12"], protocol: ["icmp", "arp"], count: 5, seconds: 2 };
  expect(asked).toEqual([expect.objectContaining(wanted)]);
  expect(err).toBe("capture: 0 frames, 3 lost\n");
  expect(await ctl({ watch }, "capture", "--host", "vm1")).toBe(2);
  await ctl({ watch }, "capture", "--host", "2001:db8:10::11", "10.1.1.11", "--protocol", "nd", "--seconds", "1");
  expect(asked.at(-1)).toMatchObject({ host: ["2001:db8:10::11", "10.1.1.11"], protocol: ["nd"], seconds: 1 });
});

it("capture -w writes pcapng that names what it holds; an unknown name is exit code 4", async () => {
  const file = join(folder, "one.pcapng");
  expect(await ctl(captureWith(FRAME), "capture", "-w", file, "--count", "1")).toBe(0);
  const bytes = readFileSync(file);
  expect(bytes.readUInt32LE(0)).toBe(0x0a0d0d0a);
  expect(bytes.readUInt32LE(8)).toBe(0x1a2b3c4d);
  for (const text of ["ac vm1", "S1.1 · vsi10 · punted: arp", "gateway gw1"]) expect(bytes.includes(text)).toBe(true);
  expect(await ctl(captureWith(), "capture", "vm9")).toBe(4);
  expect(err).toContain("there is no AC and no tunnel vm9");
  expect(await ctl({}, "capture", "--count", "0")).toBe(2);
});
