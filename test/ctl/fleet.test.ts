/** Several gateways asked at once: -s A -s B, --fleet DIR, each a real API on a socket of its own with a fake gateway behind. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { type Listener, listenUnix } from "../../src/api/listener.ts";
import type { Ac, Interface, Status, Tunnel, Vsi } from "../../src/api/schema.ts";
import type { Trace, TraceRequest } from "../../src/api/schema-trace.ts";
import type { EventRecord } from "../../src/api/schema-watch.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { fleetChecks, type Site } from "../../src/ctl/fleet-check.ts";
import { type ApiSource, STATUS, sourceWith, UNWATCHED } from "../api/fake-source.ts";
import { err, forget, out } from "./said.ts";

const ADDRESSES: Readonly<Record<string, string>> = { gw1: "192.0.2.1", gw2: "192.0.2.2", border: "192.0.2.3" };
const none = { receive: { packets: 0, bytes: 0 }, transmit: { packets: 0, bytes: 0 } };
let folder = "";
let listeners: Listener[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fleet-"));
});
afterEach(() => {
  for (const listener of listeners) listener.close();
  listeners = [];
  rmSync(folder, { recursive: true });
});

const statusOf = (node: string): Status => ({
  ...STATUS,
  node,
  underlay: { address: ADDRESSES[node] ?? "192.0.2.9", port: 4789, mtu: 1500, device: "eth0", problem: null },
});

function tunnelsOf(node: string): Tunnel[] {
  return Object.entries(ADDRESSES)
    .filter(([name]) => name !== node)
    .map(([name, remote]) => ({
      name,
      remote,
      up: true,
      state: "unwatched",
      mtu: 1450,
      vsis: ["vsi10"],
      probe: UNWATCHED,
      ...none,
    }));
}

async function raise(node: string, source: Partial<ApiSource> = {}): Promise<void> {
  const all = { status: () => statusOf(node), tunnels: () => tunnelsOf(node), ...source };
  listeners.push(await listenUnix(createApi(sourceWith(all)), join(folder, `${node}.sock`)));
}

const fleet = (...args: string[]) => runCommand(["--fleet", folder, ...args]);

describe("status", () => {
  it("is a row for each gateway, and what one of them waits for below", async () => {
    await raise("gw1");
    await raise("gw2", { status: () => ({ ...statusOf("gw2"), ready: false, missing: ["AC vm4 is down"] }) });
    for (const name of ["gw1.attach.sock", "gw1.observe.sock", "gw1.bgp.sock", "bgp.sock"])
      writeFileSync(join(folder, name), "");
    expect(await fleet("status")).toBe(0);
    const [head, ...rows] = out.split("\n");
    expect(head).toMatch(/^NODE +READY +VTEP +UPTIME +ACS-UP/);
    expect(rows[0]).toMatch(/^gw1 +yes +192\.0\.2\.1 +61s +0\/0/);
    expect(rows[1]).toMatch(/^gw2 +no +192\.0\.2\.2/);
    expect(rows[2]).toBe("gw2: not ready: AC vm4 is down");
  });

  it("shows those that answer, says which does not, and exits with 3", async () => {
    await raise("gw1");
    writeFileSync(join(folder, "gw2.sock"), "");
    expect(await fleet("status")).toBe(3);
    expect(out).toMatch(/\ngw2 +no answer/);
    expect(out).toContain("gw2: cannot reach vtepd at ");
    forget();
    expect(await fleet("status", "-o", "json")).toBe(3);
    const [one, two] = JSON.parse(out);
    expect(one).toMatchObject({ node: "gw1", status: { ready: true }, error: null });
    expect(two).toMatchObject({ node: "gw2", status: null, error: { code: "unreachable" } });
  });

  it("takes several -s as well; a verb that changes something asks one gateway alone", async () => {
    await raise("gw1");
    await raise("gw2");
    const both = ["-s", join(folder, "gw2.sock"), "-s", join(folder, "gw1.sock")];
    expect(await runCommand([...both, "status"])).toBe(0);
    expect(out).toMatch(/\ngw2 [^\n]*\ngw1 /);
    forget();
    expect(await runCommand([...both, "config", "reload"])).toBe(2);
    expect(err).toContain("reload asks one gateway, and several are named");
    expect(await runCommand(["--fleet", join(folder, "none"), "status"])).toBe(4);
  });
});

describe("observe", () => {
  const record = (time: string, event: string): EventRecord => ({
    seq: 1,
    time,
    level: "info",
    event,
    step: null,
    fields: {},
  });
  const watch = (...records: EventRecord[]): Partial<ApiSource> => ({
    watch: {
      bootId: "b0",
      recent: () => records,
      follow: (_, sink) => {
        for (const each of records) sink(each);
        return () => undefined;
      },
      capture: () => () => undefined,
    },
  });

  it("merges what was kept by time, with the gateway's name", async () => {
    await raise("gw1", watch(record("2026-01-02T00:00:01.000Z", "a"), record("2026-01-02T00:00:03.000Z", "c")));
    await raise("gw2", watch(record("2026-01-02T00:00:02.000Z", "b")));
    expect(await fleet("observe")).toBe(0);
    expect(out.split("\n")).toEqual([
      "00:00:01.000  gw1       -          a",
      "00:00:02.000  gw2       -          b",
      "00:00:03.000  gw1       -          c",
      "",
    ]);
    forget();
    expect(await fleet("observe", "-n", "1", "-o", "json")).toBe(0);
    expect(JSON.parse(out)).toEqual([{ node: "gw1", ...record("2026-01-02T00:00:03.000Z", "c") }]);
  });

  it("-f follows all that answer, and goes on when one ends", async () => {
    await raise("gw1", watch(record("2026-01-02T00:00:01.000Z", "a")));
    await raise("gw2", watch(record("2026-01-02T00:00:02.000Z", "b")));
    writeFileSync(join(folder, "gw3.sock"), "");
    const running = fleet("observe", "-f", "-o", "json");
    await vi.waitFor(() => expect(out.trim().split("\n")).toHaveLength(2));
    const nodes = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).node);
    expect(nodes.sort()).toEqual(["gw1", "gw2"]);
    expect(err).toContain("gw3: cannot reach vtepd");
    listeners.shift()!.close();
    await vi.waitFor(() => expect(err).toContain("gw1: the daemon ended the stream"));
    process.emit("SIGINT");
    expect(await running).toBe(3);
  });
});

describe("trace", () => {
  const legFrom = (from: string, packet: string, ...sends: Trace["sends"]): Trace => ({
    packet,
    steps: [{ stage: "egress", text: "x", result: "y" }],
    fate: { kind: sends.length > 0 ? "sent" : "dropped", reason: null, class: null, text: "no route", next: null },
    sends,
    next: sends.flatMap(({ via, vni, frame }) =>
      via.kind === "ac" ? [] : [{ tunnel: via.name, remote: ADDRESSES[via.name]!, local: from, vni: vni!, hex: frame }],
    ),
    injected: false,
  });
  const send = (kind: "ac" | "tunnel", name: string, frame: string): Trace["sends"][number] => ({
    via: { kind, name },
    vsi: "vsi20",
    vni: kind === "tunnel" ? 20 : null,
    bytes: 98,
    frame,
  });
  const leg = (packet: string, ...sends: Trace["sends"]) => legFrom("192.0.2.1", packet, ...sends);
  const acs =
    (...names: string[]) =>
    () =>
      names.map((name) => ({ name }) as Ac);

  it("follows the frame through the tunnel to the gateway at its other end, until it leaves by an AC", async () => {
    const asked: [string, TraceRequest][] = [];
    const answering = (node: string, trace: Trace) => (request: TraceRequest) => {
      asked.push([node, request]);
      return trace;
    };
    await raise("gw1", { acs: acs("vm1"), trace: answering("gw1", leg("ttl 64", send("tunnel", "gw2", "aabb"))) });
    await raise("gw2", { acs: acs("vm5"), trace: answering("gw2", leg("ttl 63", send("ac", "vm5", "ccdd"))) });
    expect(await fleet("trace", "--ac", "vm1", "icmp", "10.1.1.11", ">", "20.1.1.12", "--inject")).toBe(0);
    expect(asked.map(([node, { ac, peer, vni, hex, inject }]) => ({ node, ac, peer, vni, hex, inject }))).toEqual([
      { node: "gw1", ac: "vm1", inject: true },
      { node: "gw2", peer: "192.0.2.1", vni: 20, hex: "aabb", inject: false },
    ]);
    expect(out).toMatch(/^gw1: ttl 64\n 1 egress.*\ngw2: ttl 63\n.*\nEND {2}leaves gw2 by ac vm5\n$/s);
    forget();
    await fleet("trace", "--ac", "vm1", "10.1.1.11", "20.1.1.12", "-o", "json");
    expect(JSON.parse(out).legs.map(({ node, from }: { node: string; from: number | null }) => [node, from])).toEqual([
      ["gw1", null],
      ["gw2", 0],
    ]);
  });

  it("says where it goes on without us, and is not caught in a loop", async () => {
    const loop = (name: string) => () =>
      legFrom(name === "gw1" ? "192.0.2.2" : "192.0.2.1", "again", send("tunnel", name, "aabb"));
    await raise("gw1", { acs: acs("vm1"), trace: () => leg("a", send("tunnel", "border", "aabb")) });
    await raise("gw2", { acs: acs("vm1", "vm5"), trace: loop("gw1") });
    expect(await fleet("trace", "--ac", "vm1", "10.1.1.11", "20.1.1.12")).toBe(2);
    expect(err).toContain("gw1 and gw2 both have an AC vm1");
    forget();
    expect(await fleet("trace", "--gateway", "gw1", "--ac", "vm1", "10.1.1.11", "20.1.1.12")).toBe(0);
    expect(out).toContain("END  gw1: tunnel border leads to 192.0.2.3, which was not asked\n");
    expect(await fleet("trace", "--ac", "vm9", "10.1.1.11", "20.1.1.12")).toBe(4);
    listeners.shift()!.close();
    await raise("gw1", { acs: acs("vm1"), trace: loop("gw2") });
    forget();
    expect(await fleet("trace", "--ac", "vm5", "10.1.1.11", "20.1.1.12")).toBe(0);
    expect(out.match(/again/g)!.length).toBe(32);
    expect(out).toContain("not followed, that is enough");
  });
});

// ---- what gateways say of each other -----------------------------------------------------------------------------

function site(node: string, change: (site: { -readonly [K in keyof Site]: Site[K] }) => void = () => {}): Site {
  const vsis = [10, 20].map(
    (vni): Vsi => ({
      name: `vsi${vni}`,
      vni,
      interface: `i${vni}`,
      arp: "localProxy",
      acs: [],
      tunnels: Object.keys(ADDRESSES).filter((name) => name !== node),
      macs: 0,
      ...none,
    }),
  );
  const interfaces = [10, 20].map(
    (vni): Interface => ({
      name: `i${vni}`,
      vsis: [`vsi${vni}`],
      addresses: [node === "border" ? `${vni}.1.1.2/24` : `${vni}.1.1.1/24`],
      mac: `02:00:00:00:${ADDRESSES[node]!.at(-1)!.padStart(2, "0")}:${vni}`,
      vrf: "main",
      distributed: node !== "border",
      mtu: 1450,
      policy: null,
      neighbors: 0,
    }),
  );
  const bgp = { routerId: null, hasEvpn: false };
  const made = { node, status: statusOf(node), vsis, interfaces, tunnels: tunnelsOf(node), ...bgp };
  change(made);
  return made;
}

const ALL = ["gw1", "gw2", "border"];
const faults = (sites: readonly Site[]) =>
  fleetChecks(sites).flatMap(({ name, result, text }) =>
    result === "ok" ? [] : [`${result} ${name.slice(7)}: ${text}`],
  );

describe("doctor", () => {
  it("finds nothing where all agree, and says what it looked at", () => {
    const checks = fleetChecks(ALL.map((node) => site(node)));
    expect(checks.map(({ name, result }) => [name, result])).toEqual([
      ["fleet: identities", "ok"],
      ["fleet: VNIs", "ok"],
      ["fleet: subnets", "ok"],
      ["fleet: gateway MACs", "ok"],
      ["fleet: MTUs", "ok"],
      ["fleet: tunnels", "ok"],
    ]);
  });

  it.each<[string, string, Parameters<typeof site>[1], string[]]>([
    [
      "a VNI with a wrong digit",
      "gw2",
      (it) => {
        it.vsis = it.vsis.map((vsi) => (vsi.vni === 10 ? { ...vsi, vni: 11 } : vsi));
      },
      ["fail VNIs: VSI vsi10 is VNI 10 on gw1, border; VNI 11 on gw2", "warn VNIs: VNI 11 is on gw2 alone (VSI vsi10)"],
    ],
    [
      "a gateway address that differs",
      "gw2",
      (it) => {
        it.interfaces = it.interfaces.map((i) => (i.name === "i10" ? { ...i, addresses: ["10.1.1.254/24"] } : i));
      },
      ["fail subnets: VNI 10: the gateway address differs: 10.1.1.1/24 on gw1; 10.1.1.254/24 on gw2"],
    ],
    [
      "a Border with the distributed gateways' address",
      "border",
      (it) => {
        it.interfaces = it.interfaces.map((i) => (i.name === "i10" ? { ...i, addresses: ["10.1.1.1/24"] } : i));
      },
      ["fail subnets: VNI 10: 10.1.1.1/24 is the address of border, which is no distributed gateway, and of gw1"],
    ],
    [
      "a Border with a distributed gateway's MAC",
      "border",
      (it) => {
        it.interfaces = it.interfaces.map((i) => ({ ...i, mac: `02:00:00:00:02:${i.name.slice(1)}` }));
      },
      [
        "fail gateway MACs: VNI 10: border, which is no distributed gateway, has 02:00:00:00:02:10, the MAC of gw2",
        "fail gateway MACs: VNI 20: border, which is no distributed gateway, has 02:00:00:00:02:20, the MAC of gw2",
      ],
    ],
    [
      "an underlay MTU that differs",
      "gw1",
      (it) => {
        it.status = { ...it.status, underlay: { ...it.status.underlay, mtu: 9000 } };
      },
      ["warn MTUs: the underlay MTU differs: 9000 on gw1; 1500 on gw2, border"],
    ],
    [
      "a small MTU in one direction",
      "gw1",
      (it) => {
        it.tunnels = it.tunnels.map((tunnel) => (tunnel.name === "gw2" ? { ...tunnel, mtu: 1350 } : tunnel));
      },
      ["warn MTUs: gw1 sends gw2 packets of up to 1350 bytes and takes up to 1450 from it"],
    ],
    [
      "a tunnel that is missing on one side",
      "gw2",
      (it) => {
        it.tunnels = it.tunnels.filter(({ name }) => name !== "gw1");
      },
      ["fail tunnels: gw2 has no tunnel to gw1 (192.0.2.1), which has VNI 10, 20, too"],
    ],
    [
      "a VSI that does not use the tunnel",
      "gw1",
      (it) => {
        it.vsis = it.vsis.map((vsi) => (vsi.vni === 20 ? { ...vsi, tunnels: ["gw2"] } : vsi));
      },
      ["fail tunnels: gw1 does not use its tunnel border for VNI 20, which border has, too"],
    ],
    [
      "a VTEP address taken twice",
      "gw2",
      (it) => {
        it.status = statusOf("gw1");
      },
      ["fail identities: gw1, gw2 have one VTEP address, 192.0.2.1"],
    ],
    [
      "another UDP port",
      "gw2",
      (it) => {
        it.status = { ...it.status, underlay: { ...it.status.underlay, port: 8472 } };
      },
      ["fail identities: VXLAN runs on different UDP ports: 4789 on gw1, border; 8472 on gw2"],
    ],
  ])("finds %s", (_, node, change, wanted) => {
    expect(faults(ALL.map((each) => site(each, each === node ? change : undefined)))).toEqual(
      expect.arrayContaining(wanted),
    );
  });

  it("finds a MAC that some share and others do not", () => {
    const shared = (it: { interfaces: Site["interfaces"] }) => {
      it.interfaces = it.interfaces.map((i) => ({ ...i, mac: "02:00:5e:00:00:0a" }));
    };
    const third = { ...site("border"), node: "gw3", interfaces: site("gw1").interfaces };
    expect(faults([site("gw1", shared), site("gw2", shared)])).not.toContainEqual(expect.stringContaining("MAC"));
    expect(faults([site("gw1", shared), site("gw2", shared), third])).toContain(
      "fail gateway MACs: VNI 10: some gateways share a MAC and others do not: 02:00:5e:00:00:0a on gw1, gw2; 02:00:00:00:01:10 on gw3",
    );
  });

  it("prints each gateway's checks and then what they say of each other; exit code 7 for a fault between two", async () => {
    const parts = (node: string, tunnels: Tunnel[]): Partial<ApiSource> => {
      const { vsis, interfaces } = site(node);
      const checks = [{ name: "ready", result: "ok" as const, text: "yes", fix: null }];
      return {
        vsis: () => [...vsis],
        interfaces: () => [...interfaces],
        tunnels: () => tunnels,
        doctor: async () => ({ checks }),
      };
    };
    await raise("gw1", parts("gw1", tunnelsOf("gw1")));
    await raise("gw2", parts("gw2", []));
    expect(await fleet("doctor")).toBe(7);
    expect(out).toContain("gw1\n  ok    ready: yes\ngw2\n  ok    ready: yes\nbetween them\n");
    expect(out).toContain(
      "  FAIL  fleet: tunnels: gw2 has no tunnel to gw1 (192.0.2.1), which has VNI 10, 20, too\n" +
        "        fix: add {name: gw1, remote: 192.0.2.1} to tunnels of gw2\n",
    );
    forget();
    expect(await fleet("doctor", "-o", "json")).toBe(7);
    expect(JSON.parse(out)).toMatchObject({
      gateways: [{ node: "gw1", checks: [{ name: "ready" }] }, { node: "gw2" }],
    });
  });
});
