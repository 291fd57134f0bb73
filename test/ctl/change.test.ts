/** vtepctl's verbs that change a gateway, and how it behaves, against the real API with a fake gateway behind it. */
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import type { Change, LogLevel } from "../../src/api/schema.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { changeWith, REPORT, SCHEDULING, STATUS } from "../api/fake-source.ts";
import { again, ctl, err, folder, forget, out } from "./bed.ts";

const BAD = {
  file: "/etc/vtepd.yaml",
  line: 6,
  column: 14,
  path: "vsis[0].vni",
  rule: "too-big",
  message: "99999999 is more than 16777215",
  fix: "choose a VNI from 1 to 16777215",
  text: "vsis: [{vni: 99999999}]",
  caret: 13,
  span: 8,
};

it("prints what a reload changed, one line each", async () => {
  const changes: Change[] = [
    { action: "remove", kind: "ac", name: "vm9", details: [] },
    { action: "add", kind: "route", name: "20.0.0.0/8 in VRF main", details: [] },
    { action: "change", kind: "vsi", name: "vsi10", details: [{ path: "vni", from: "10", to: "11" }] },
    {
      action: "change",
      kind: "vsi",
      name: "vsi20",
      details: [
        { path: "tunnels", from: "border", to: null },
        { path: "tunnels", from: null, to: "gw3" },
      ],
    },
    { action: "change", kind: "setting", name: "metrics.port", details: [{ path: "", from: "9475", to: "9476" }] },
  ];
  const reloadConfig = async () => ({ ...REPORT, changes, needsRestart: ["metrics.port"] });
  expect(await ctl({ change: changeWith({ reloadConfig }) }, "config", "reload")).toBe(0);
  expect(out.split("\n")).toEqual([
    "- ac vm9",
    "+ route 20.0.0.0/8 in VRF main",
    "~ vsi vsi10: vni 10 -> 11",
    "~ vsi vsi20",
    "    tunnels - border",
    "    tunnels + gw3",
    "~ setting metrics.port: 9475 -> 9476  (needs a restart)",
    "applied: 1 added, 1 removed, 3 changed; needs a restart: metrics.port",
    "",
  ]);
});

it.each([
  ["reload", "no difference to what runs\n"],
  ["diff", "no difference to what runs\n"],
  ["check", "/etc/vtepd.yaml: valid; no difference to what runs\n"],
])("config %s where nothing differs says so once", async (verb, says) => {
  expect(await ctl({ change: changeWith({}) }, "config", verb)).toBe(0);
  expect(out).toBe(says);
});

it.each(["reload", "check", "diff"])(
  "exits 5 when %s meets a bad file, with place, line, caret and fix",
  async (verb) => {
    const report = { ...REPORT, valid: false, reason: "the file is not valid", errors: [BAD] };
    const change = changeWith({ reloadConfig: async () => report, checkConfig: async () => report });
    expect(await ctl({ change }, "config", verb)).toBe(5);
    expect(err).toContain(
      [
        "/etc/vtepd.yaml:6:14: vsis[0].vni: 99999999 is more than 16777215 [too-big]",
        "  6 | vsis: [{vni: 99999999}]",
        "    |              ^^^^^^^^",
        "  fix: choose a VNI from 1 to 16777215",
      ].join("\n"),
    );
    forget();
    expect(await ctl({ change }, "config", verb, "-o", "json")).toBe(5);
    expect(JSON.parse(out)).toEqual(report);
  },
);

it("asks the daemon about a file by its absolute path", async () => {
  const checkConfig = vi.fn(async () => REPORT);
  expect(await ctl({ change: changeWith({ checkConfig }) }, "config", "check", "new.yaml")).toBe(0);
  expect(checkConfig).toHaveBeenCalledWith(join(process.cwd(), "new.yaml"));
  expect(out).toBe("/etc/vtepd.yaml: valid; no difference to what runs\n");
});

it("adds and removes single entries", async () => {
  const addNeighbor = vi.fn(() => null);
  const addMac = vi.fn(() => null);
  const removeMac = vi.fn(() => null);
  const flushNeighbors = vi.fn(() => 1);
  const parts = { change: changeWith({ addNeighbor, addMac, removeMac }), flushNeighbors };
  const mac = "02:00:00:00:00:09";
  expect(await ctl(parts, "arp", "add", "10.1.1.9", mac, "--interface", "i", "--ac", "vm1")).toBe(0);
  expect(addNeighbor).toHaveBeenCalledWith({ interface: "i", ip: "10.1.1.9", mac, ac: "vm1" });
  expect(await ctl(parts, "mac", "add", mac, "--vsi", "v", "--tunnel", "gw2", "-o", "table")).toBe(0);
  expect(addMac).toHaveBeenCalledWith({ vsi: "v", mac, tunnel: "gw2" });
  expect(await ctl(parts, "mac", "add", mac, "--vsi", "v", "--tunnel", "gw2", "--origin", "evpn", "-o", "table")).toBe(
    0,
  );
  expect(addMac).toHaveBeenLastCalledWith({ vsi: "v", mac, tunnel: "gw2", origin: "evpn" });
  expect(await ctl(parts, "mac", "add", mac, "--vsi", "v", "--tunnel", "gw2", "--origin", "learned")).toBe(2);
  expect(await ctl(parts, "mac", "del", mac, "--vsi", "a b")).toBe(0);
  expect(removeMac).toHaveBeenCalledWith("a b", mac);
  expect(await ctl(parts, "arp", "del", "10.1.1.9", "--interface", "i")).toBe(0);
  expect(out).toBe(`10.1.1.9 at ${mac} added\n${mac} added\n${mac} added\n${mac} removed\n10.1.1.9 removed\n`);
  expect(await ctl(parts, "mac", "add", mac, "--vsi", "v")).toBe(2);
  const evpn = ["--tunnel", "gw2", "--origin", "evpn"];
  expect(await ctl(parts, "arp", "add", "10.1.1.9", mac, "--interface", "i", ...evpn)).toBe(0);
  expect(addNeighbor).toHaveBeenLastCalledWith({ interface: "i", ip: "10.1.1.9", mac, tunnel: "gw2", origin: "evpn" });
  expect(await ctl(parts, "mac", "add", mac, "--vsi", "v", "--ac", "a", "--tunnel", "t")).toBe(2);
  expect(await ctl({ flushNeighbors: () => 0 }, "arp", "del", "10.1.1.9", "--interface", "i")).toBe(4);
});

it("shows and sets the log's level", async () => {
  let level: LogLevel["level"] = "info";
  const change = changeWith({
    logLevel: () => ({ level }),
    setLogLevel: (next) => {
      level = next;
    },
  });
  expect(await ctl({ change }, "log", "level")).toBe(0);
  expect(await ctl({ change }, "log", "level", "debug")).toBe(0);
  expect(out).toBe("info\ndebug\n");
  expect(await ctl({ change }, "log", "level", "loud")).toBe(2);
});

it("tells health by exit code, and nothing more when it shall be quiet", async () => {
  expect(await ctl({}, "health")).toBe(0);
  expect(out).toBe("ready\n");
  const status = () => ({ ...STATUS, ready: false, missing: ["AC vm1 is down"] });
  expect(await ctl({ status }, "health")).toBe(7);
  expect(err).toContain("not ready: AC vm1 is down");
  forget();
  expect(await ctl({ status }, "health", "--quiet")).toBe(7);
  expect(await runCommand(["-s", join(folder, "none.sock"), "health", "--quiet"])).toBe(3);
  expect(out + err).toBe("");
});

const MEMORY = { resident: 92 << 20, proportional: null };

it("shows features as a table", async () => {
  const features = () => ({
    offloads: [
      { name: "tapTso", wanted: true, inUse: true },
      { name: "udpGso", wanted: true, inUse: false },
      { name: "coalesce", wanted: false, inUse: false },
    ],
    probes: [
      { offload: "udpGso", outcome: "refused" as const, text: "datagrams of one send do not arrive whole" },
      { offload: "coalesce", outcome: "off" as const, text: "not asked: off in the configuration" },
    ],
    fallbacks: [
      { cause: "udp_gso_eio", count: 2 },
      { cause: "send_retry", count: 0 },
    ],
    workers: [{ worker: 0, receiveBuffer: 4194304, receiveDrops: 0 }],
    scheduling: {
      ...SCHEDULING,
      threads: [
        {
          worker: 0,
          priority: "nice 0",
          cpus: "0-1",
          refused: ["nice -15: EACCES (permission denied)"],
          runDelay: 0.334,
        },
      ],
    },
    memory: { resident: 92 << 20, proportional: 46 << 20 },
  });
  expect(await ctl({ change: changeWith({ features }) }, "show", "features")).toBe(0);
  expect(out).toBe(
    [
      "FEATURE      STATE          NOTE",
      "tapTso       on             -",
      "udpGso       off            wanted; not given, done in software",
      "coalesce     off            off in the configuration",
      "udpGso       probe refused  datagrams of one send do not arrive whole",
      "udp_gso_eio  fallback       2 times",
      "worker 0     runs           receive buffer 4194304 bytes, 0 datagrams lost in it",
      "scheduling   auto           session (autogroup), nice 0",
      "worker 0     nice 0         on processors 0-1; waits for one 33 % of the time;",
      "                            refused nice -15: EACCES (permission denied)",
      "memory       92 MB          46 MB with Node's text and the like shared out",
      "",
    ].join("\n"),
  );
});

it("show drops tells what was lost before the gateway could read, in the table alone", async () => {
  const lost = (receiveDrops: number) => {
    const workers = [0, 1].map((worker) => ({ worker, receiveBuffer: 4194304, receiveDrops: worker * receiveDrops }));
    return {
      change: changeWith({
        features: () => ({ offloads: [], probes: [], fallbacks: [], workers, scheduling: SCHEDULING, memory: MEMORY }),
      }),
    };
  };
  await ctl(lost(40), "show", "drops");
  expect(out.split("\n").at(-2)).toBe(
    "besides, 40 datagrams were lost in the underlay's receive buffer, before the gateway could read: vtepctl doctor",
  );
  forget();
  await ctl(lost(40), "show", "drops", "-o", "json");
  expect(JSON.parse(out)).toEqual([]);
  forget();
  await ctl(lost(0), "show", "drops");
  expect(out).not.toContain("besides");
});

it.each([
  [
    ["display", "l2vpn", "vsi"],
    ["show", "vsi"],
  ],
  [
    ["display", "l2vpn", "mac-address"],
    ["show", "mac"],
  ],
  [
    ["display", "vxlan", "tunnel"],
    ["show", "tunnel"],
  ],
  [
    ["display", "ip", "routing-table"],
    ["show", "route"],
  ],
  [
    ["display", "vsi-interface"],
    ["show", "interface"],
  ],
  [
    ["display", "arp"],
    ["show", "arp"],
  ],
])("understands %j as %j", async (theirs, ours) => {
  expect(await ctl({}, ...theirs)).toBe(0);
  const said = out;
  forget();
  await again(...ours);
  expect(out).toBe(said);
});
