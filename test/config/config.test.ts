/**
 * Good files: what they become, which defaults they get, what a reload sees of them, and that the schema handed to
 * editors agrees with the parser.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configDiff } from "../../src/config/diff.ts";
import { formatErrors } from "../../src/config/error.ts";
import { jsonSchema, type SchemaNode } from "../../src/config/json-schema.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
import { formatIp } from "../../src/control/ip.ts";
import type { Config } from "../../src/control/plan.ts";

const fixture = (name: string) => join(import.meta.dirname, "fixtures", name);

function good(text: string): Config {
  const result = parseConfig(text, "test.yaml");
  if ("errors" in result) throw new Error(formatErrors(result.errors));
  return result.config;
}

function load(name: string): Config {
  return good(readFileSync(fixture(name), "utf8"));
}

const MINIMAL = "node: gw1\nunderlay: {address: 192.0.2.1}\n";

describe("a good file", () => {
  test("defaults of the smallest one", () => {
    expect(good(MINIMAL)).toEqual({
      node: "gw1",
      underlay: {
        address: "192.0.2.1",
        family: 4,
        port: 4789,
        mtu: "auto",
        overhead: 50,
        sourcePorts: { first: 49152, count: 4 },
        checksum: "auto",
        acceptZeroChecksum: false,
        dscp: "copy",
        strictReserved: false,
        managementVni: 1,
        offload: { tapTso: true, tapUso: true, coalesce: true, udpGso: true, udpGro: true },
      },
      tunnels: [],
      vsis: [],
      interfaces: [],
      acs: [],
      routes: [],
      policies: [],
      nextHopProbe: { intervalMs: 1000, multiplier: 3 },
      drain: { seconds: 4, track: null },
      tracks: [],
      bfd: null,
      limits: {
        macs: 65536,
        neighbors: 65536,
        routes: 16384,
        neighbors6: 65536,
        routes6: 16384,
        acMacs: 1024,
        searchesOfUplink: 512,
        puntPerSecond: 2000,
        puntPerAcPerSecond: 500,
        icmpPerSecond: 1000,
        icmpPerAcPerSecond: 100,
      },
      evpn: null,
      vrfs: [],
      workers: { count: 1, priority: "auto", cpus: null },
      control: { socket: "/run/vtepd/vtepd.sock", observe: null },
      attach: null,
      metrics: null,
      stateDirectory: null,
      log: { level: "info", format: "auto" },
    } satisfies Config);
  });

  test.each([
    ["workers: 3", "", 12],
    ["workers: {count: 2}", "", 8],
    ["workers: 3", ", sourcePorts: {count: 5}", 5],
  ])("source ports are four for each worker, or as many as the file says: %s%s", (workers, ports, count) => {
    const file = `node: gw1\nunderlay: {address: 192.0.2.1${ports}}\n${workers}\n`;
    expect(good(file).underlay.sourcePorts).toEqual({ first: 49152, count });
  });

  test("the manual's example, object by object", () => {
    const config = load("gw1.yaml");
    expect(config.tunnels[1]).toEqual({ name: "border", remote: "192.0.2.3", keepalive: null, bfd: null });
    expect(config.vsis[0]).toMatchObject({
      vni: 10,
      tunnels: ["gw2", "border"],
      interface: "vsi-interface10",
      arp: "localProxy",
    });
    expect(config.vsis[0]!.mac.static).toEqual([
      { mac: "02:00:00:00:01:11", port: { kind: "ac", name: "vm1" } },
      { mac: "02:00:00:00:01:12", port: { kind: "tunnel", name: "gw2" } },
    ]);
    expect(config.vsis[1]).toMatchObject({
      tunnels: ["gw2", "border"],
      arp: "localProxy",
      interface: "vsi-interface20",
    });
    const [first, second] = config.interfaces;
    expect(first).toMatchObject({
      vsis: ["vsi10", "vsi11"],
      mac: "auto",
      icmpSource: { text: "10.1.1.201", ip: 0x0a0101c9 },
    });
    expect(first!.addresses).toEqual([
      { text: "10.1.1.1", ip: 0x0a010101, prefix: { text: "10.1.1.0/24", network: 0x0a010100, length: 24 } },
    ]);
    expect(first!.arp.static).toEqual([
      { text: "10.1.1.9", ip: 0x0a010109, mac: "02:00:00:00:01:09", vsi: "vsi10", port: { kind: "ac", name: "vm1" } },
    ]);
    expect(second!.addresses.map((each) => each.prefix.text)).toEqual(["20.1.1.0/24", "20.1.2.0/24"]);
    expect(config.acs[1]).toEqual({
      name: "vm2",
      vsi: "vsi20",
      tap: { device: "tap-vm2", netns: null, mtu: "auto", persist: true },
      handover: false,
      vlan: 20,
      antiSpoof: true,
      bindings: [],
      slaac: 0,
      routerAdvertisements: "deny",
      stormPerSecond: 1000,
      storm: { broadcast: 0, unknownUnicast: 0, multicast: 0 },
    });
    expect(config.routes.map((route) => route.target.kind)).toEqual(["nextHops", "nextHops", "prohibit"]);
    expect(config.policies[0]!.rules[0]!.match).toMatchObject({
      protocol: 6,
      destinationPorts: [
        { first: 80, last: 80 },
        { first: 440, last: 443 },
      ],
    });
    expect(config.policies[0]!.rules.map((rule) => rule.action.kind)).toEqual(["nextHop", "drop", "defaultNextHop"]);
    expect(config.metrics).toEqual({ host: "127.0.0.1", port: 9475, hosts: [] });
  });

  test("a Border: an uplink has no tunnels and may flood ARP beside a VSI-interface", () => {
    const config = load("border.yaml");
    expect(config.vsis[2]).toMatchObject({
      name: "uplink",
      vni: null,
      tunnels: [],
      arp: "flood",
      interface: "outside",
    });
    expect(config.interfaces.every((each) => !each.distributed)).toBe(true);
  });

  test("a plain L2 VTEP over IPv6: canonical addresses, 70 bytes of overhead", () => {
    const config = load("l2.yaml");
    expect(config.underlay).toMatchObject({ address: "2001:db8::1", family: 6, overhead: 70, mtu: 1500 });
    expect(config.tunnels[0]!.remote).toBe("2001:db8::ff");
    expect(config.vsis[0]).toMatchObject({ arp: "flood", interface: null });
    expect(config.acs[0]!.tap).toEqual({ device: "eth0", netns: "vm1", mtu: 1430, persist: false });
  });

  test("addresses above 127 are negative int32 and print back", () => {
    const config = good(
      `${MINIMAL}vsis: [{name: a, vni: 1}]\ninterfaces: [{name: i, vsi: a, address: 192.168.1.1/30}]\n`,
    );
    const address = config.interfaces[0]!.addresses[0]!;
    expect(address.ip).toBe(0xc0a80101 | 0);
    expect(formatIp(address.prefix.network)).toBe("192.168.1.0");
  });

  test("defaults that depend on other keys", () => {
    const config = good(
      `${MINIMAL}limits: {macs: 100, neighbors: 50}\nvsis: [{name: a, vni: 1}]\ninterfaces: [{name: i, vsi: a, address: 10.0.0.0/31}]\n`,
    );
    expect(config.vsis[0]!.mac.limit).toBe(100);
    expect(config.interfaces[0]!.arp.limit).toBe(50);
    expect(config.limits.acMacs).toBe(100);
    expect(good("node: a\nunderlay: {address: 192.0.2.1, checksum: zero}").underlay.offload.udpGso).toBe(false);
    const accepts = (more: string) =>
      good(`node: a\nunderlay: {address: "2001:db8::1"${more}}`).underlay.acceptZeroChecksum;
    expect(["", ", checksum: zero", ", acceptZeroChecksum: true"].map(accepts)).toEqual([false, true, true]);
    expect(good(`${MINIMAL}metrics: {}\n`).metrics).toEqual({ host: "127.0.0.1", port: 9475, hosts: [] });
  });

  test("an alias, a CRLF file, a BOM and the same subnet in two VRFs are fine", () => {
    const text = [
      "node: gw1",
      "underlay: {address: 192.0.2.1}",
      "vsis: [{name: a, vni: 1, flood: &f {multicast: false}}, {name: b, vni: 2, flood: *f}]",
      "interfaces:",
      "  - {name: i, vsi: a, address: 10.0.0.1/8}",
      "  - {name: j, vsi: b, address: 10.0.0.1/8, vrf: blue}",
    ];
    const config = good(`\ufeff${text.join("\r\n")}\r\n`);
    expect(config.vsis[1]!.flood.multicast).toBe(false);
    expect(config.interfaces[1]!.vrf).toBe("blue");
  });

  test("is JSON: what it says survives a round trip", () => {
    const config = load("gw1.yaml");
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
  });
});

describe("the difference of two configurations", () => {
  test("none between a file and itself, whatever the order of its lists", () => {
    const config = load("gw1.yaml");
    expect(configDiff(config, load("gw1.yaml")).empty).toBe(true);
    expect(configDiff(config, { ...config, tunnels: [...config.tunnels].reverse() }).empty).toBe(true);
  });

  test("objects added, removed and changed by name; untouched ones do not appear", () => {
    const text = readFileSync(fixture("gw1.yaml"), "utf8");
    const next = good(
      text
        .replace("  - {name: vsi11, vni: 11}", "  - {name: vsi11, vni: 12}\n  - {name: vsi30, vni: 30}")
        .replace("  - {prefix: 70.0.0.0/8, action: prohibit}\n", "")
        .replace("nextHop: 10.1.1.2, vrf: main", "nextHop: 10.1.1.3"),
    );
    const diff = configDiff(load("gw1.yaml"), next);
    expect(diff.vsis.added.map((vsi) => vsi.name)).toEqual(["vsi30"]);
    expect(diff.vsis.changed.map((each) => [each.from.vni, each.to.vni])).toEqual([[11, 12]]);
    expect(diff.routes.removed.map((route) => route.prefix.text)).toEqual(["70.0.0.0/8"]);
    expect(diff.routes.changed.map((each) => each.to.prefix.text)).toEqual(["0.0.0.0/0"]);
    expect(
      [diff.acs, diff.tunnels, diff.interfaces, diff.policies].flatMap((list) => [
        ...list.added,
        ...list.removed,
        ...list.changed,
      ]),
    ).toEqual([]);
    expect(diff).toMatchObject({ settings: [], needsRestart: [], empty: false });
  });

  test("single values by path, and which of them need a restart", () => {
    const next = good(
      "node: gw9\nunderlay: {address: 192.0.2.9, port: 8472, dscp: 3}\nlog: {level: warn}\nmetrics: {}\n",
    );
    const diff = configDiff(good(MINIMAL), next);
    expect(diff.settings).toEqual([
      "node",
      "underlay.port",
      "underlay.dscp",
      "underlay.address",
      "metrics",
      "log.level",
    ]);
    expect(diff.needsRestart).toEqual(["node", "underlay.port", "underlay.address"]);
    expect(
      configDiff(good(MINIMAL), { ...good(MINIMAL), workers: { count: 2, priority: "auto", cpus: null } }).needsRestart,
    ).toEqual(["workers.count"]);
  });
});

describe("the JSON Schema", () => {
  test("every key is described", () => {
    const bare: string[] = [];
    const visit = (node: SchemaNode, path: string): void => {
      for (const [key, value] of Object.entries(node.properties ?? {})) {
        if (value.description === undefined) bare.push(`${path}.${key}`);
        visit(value, `${path}.${key}`);
      }
      if (node.items !== undefined) visit(node.items, `${path}[]`);
      for (const each of node.anyOf ?? []) visit(each, path);
    };
    visit(jsonSchema(), "");
    expect(bare).toEqual([]);
  });
});

describe("reading a file", () => {
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "vtepd-config-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const write = (name: string, content: string | Uint8Array, mode = 0o640): string => {
    const path = join(directory, name);
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  };
  const rule = (path: string): string => {
    const result = loadConfig(path);
    if ("config" in result) return "ok";
    expect(result.errors[0]!.file).toBe(path);
    return `${result.errors[0]!.rule}: ${result.errors[0]!.message}`;
  };

  test("a good one", () => {
    expect(rule(write("good.yaml", MINIMAL))).toBe("ok");
  });

  test("what cannot be read is an error with a name", () => {
    symlinkSync(join(directory, "loop"), join(directory, "loop"));
    expect(rule(join(directory, "absent.yaml"))).toBe("unreadable: there is no such file");
    expect(rule(join(directory, "loop"))).toBe("unreadable: its symbolic links lead in a circle");
    expect(rule(directory)).toBe("not-a-file: this is a directory");
    expect(rule("/dev/zero")).toBe("not-a-file: this is no regular file");
    expect(rule(write("open.yaml", MINIMAL, 0o666))).toBe("world-writable: everybody may write this file");
    expect(rule(write("binary.yaml", new Uint8Array([0x6e, 0xff, 0xfe])))).toBe(
      "unreadable: the file is not UTF-8 text",
    );
    expect(rule(write("large.yaml", "#".repeat(10 * 1024 * 1024)))).toContain("too-large");
    expect(rule("a\0b")).toContain("unreadable");
  });
});
