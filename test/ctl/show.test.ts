/** The tables of vtepctl show: what fits a terminal, what is watched, what H3C calls it. */
import { describe, expect, it, vi } from "vitest";
import type { Ac, Interface, Neighbor, Traffic, Tunnel, Vsi } from "../../src/api/schema.ts";
import { PARTS } from "../../src/api/schema-parts.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { layOut, renderTable, shortNumber } from "../../src/ctl/table.ts";
import { understood } from "../../src/ctl/vendor-words.ts";
import { UNWATCHED } from "../api/fake-source.ts";
import { again, ctl, err, forget, out, serve } from "./bed.ts";

const some = (packets: number, bytes: number): Traffic => ({ packets, bytes });
const busy = { receive: some(123_456_789, 98_765_432_109), transmit: some(987_654_321, 12_345_678_901) };

function acs(receive = busy.receive): Ac[] {
  return [1, 2].map((n) => ({
    name: `vm${n}`,
    vsi: `vsi${n}0`,
    device: "eth0",
    netns: `vm${n}`,
    vlan: null,
    mtu: 1450,
    up: true,
    receive,
    transmit: busy.transmit,
  }));
}

function tunnels(): Tunnel[] {
  const vsis = ["vsi10", "vsi20", "vsi30", "vsi40"];
  return ["gw2", "border"].map((name, i) => ({
    name,
    remote: `198.51.100.${i + 102}`,
    up: true,
    state: "unwatched",
    mtu: 1450,
    vsis,
    probe: UNWATCHED,
    ...busy,
  }));
}

const VSIS: Vsi[] = [10, 20].map((vni) => ({
  name: `vsi${vni}`,
  vni,
  interface: `vsi-interface${vni}`,
  arp: "localProxy",
  acs: ["vm1", "vm2", "vm3", "vm4"],
  tunnels: ["gw2", "border"],
  macs: 8192,
  ...busy,
}));

const INTERFACES: Interface[] = [10, 20].map((vni) => ({
  name: `vsi-interface${vni}`,
  vsis: [`vsi${vni}`],
  addresses: [`${vni}.1.1.1/24`],
  mac: "02:f2:be:99:05:13",
  vrf: "main",
  distributed: true,
  mtu: 1450,
  policy: vni === 10 ? "to-border" : null,
  neighbors: 3,
}));

const NEIGHBORS: Neighbor[] = [11, 12].map((host) => ({
  interface: "vsi-interface10",
  vsi: "vsi10",
  ip: `10.101.101.1${host}`,
  mac: "02:00:00:00:01:11",
  state: "reachable",
  kind: "host",
  via: { kind: "tunnel", name: "border" },
  ageSeconds: 3,
  from: "request",
}));

const SOURCE = {
  acs: () => acs(),
  tunnels,
  vsis: () => VSIS,
  interfaces: () => INTERFACES,
  neighbors: () => NEIGHBORS,
  drops: () => [
    {
      last: null,
      ports: [],
      reason: "pool_exhausted",
      count: 987_654_321,
      text: "no room left in the batch's send records or scratch bytes",
    },
  ],
};

describe("a table", () => {
  it.each(["vsi", "ac", "tunnel", "interface", "arp", "drops"])("show %s fits 80 columns; -w has all", async (what) => {
    expect(await ctl(SOURCE, "show", what)).toBe(0);
    const narrow = out.split("\n");
    for (const line of narrow) expect(line.length, line).toBeLessThanOrEqual(80);
    forget();
    expect(await again("show", what, "-w")).toBe(0);
    expect(out.split("\n").every((line) => line.length <= 80)).toBe(false);
    forget();
    await again("show", what, "-o", "json");
    expect(JSON.parse(out)[0]).toBeDefined();
  });

  it("leaves out what is empty and what all rows share, and has sizes in short", async () => {
    await ctl(SOURCE, "show", "ac");
    expect(out).toBe(
      [
        "AC   VSI    STATE  NETNS  RX-PACKETS  RX-BYTES  TX-PACKETS  TX-BYTES",
        "vm1  vsi10  up     vm1     123456789     98.8G   987654321     12.3G",
        "vm2  vsi20  up     vm2     123456789     98.8G   987654321     12.3G",
        "",
      ].join("\n"),
    );
    expect(err).toBe("");
    forget();
    await again("show", "ac", "-w");
    expect(out.split("\n")[0]).toMatch(/DEVICE +NETNS +VLAN +MTU /);
    expect(out).toContain("98765432109");
  });

  it("has of one row all that is known and fits", async () => {
    await ctl({ acs: () => [{ ...acs()[0]!, receive: some(1, 60), transmit: some(2, 120) }] }, "show", "ac");
    expect(out.split("\n")[0]).toBe("AC   VSI    STATE  DEVICE  NETNS  RX-PACKETS  RX-BYTES  TX-PACKETS  TX-BYTES");
  });

  it("breaks a long text at its blanks, under its column", () => {
    const columns = [
      { title: "A", of: (row: { a: string; b: string }) => row.a },
      { title: "B", of: (row: { b: string }) => row.b, wraps: true as const },
    ];
    const rows = [{ a: "x", b: "one two three four five six seven" }];
    expect(renderTable(columns, rows, 27)).toBe("A  B\nx  one two three four five\n   six seven\n");
    expect(renderTable(columns, rows)).toBe("A  B\nx  one two three four five six seven\n");
  });

  it("drops columns of one rank together, the highest first, and names them", () => {
    const wide = (title: string, rank?: number) => ({
      title,
      of: (row: number) => `${title}${row}`,
      ...(rank && { rank }),
    });
    const columns = [
      wide("AAAAAAAA"),
      wide("BBBBBBBB", 1),
      wide("CCCCCCCC", 2),
      wide("DDDDDDDD", 1),
      wide("EEEEEEEE", 2),
    ];
    expect(layOut(columns, [1, 2], 40)).toMatchObject({ left: ["CCCCCCCC", "EEEEEEEE"] });
    expect(layOut(columns, [1, 2], 20).text).toBe("AAAAAAAA\nAAAAAAAA1\nAAAAAAAA2\n");
  });

  it("names next hops that see nothing, of policies and of routes, and dead ones", async () => {
    const match = "to 20.1.1.0/24";
    const rule = { match, action: "nextHop 10.1.1.12", alive: true, hits: 3 };
    const policies = () => [
      {
        name: "firewall",
        interfaces: ["vsi-interface10"],
        rules: [
          { ...rule, bypassedBy: "gw2" },
          { ...rule, match: "any", bypassedBy: null },
        ],
      },
    ];
    await ctl({ policies }, "show", "policy");
    const lines = out.split("\n");
    expect(lines[1]).toMatch(/^firewall .* nextHop 10\.1\.1\.12 \(bypassed: tunnel gw2\) +3$/);
    expect(lines[2]).toMatch(/ any +nextHop 10\.1\.1\.12 +3$/);
    forget();
    const hop = { interface: "vsi-interface10", alive: true, bypassedBy: null };
    const nextHops = [
      { ...hop, ip: "10.1.1.2" },
      { ...hop, ip: "10.1.1.12", bypassedBy: "gw2" },
      { ...hop, ip: "10.1.1.13", alive: false },
    ];
    const route = { vrf: "main", prefix: "60.0.0.0/8", origin: "static", action: "forward", interface: null, nextHops };
    await ctl({ routes: () => [route] }, "show", "route");
    expect(out).toContain("10.1.1.2,10.1.1.12(bypassed),10.1.1.13(dead)");
  });

  it("-n bounds the rows, in JSON as well, and wants a number", async () => {
    await ctl(SOURCE, "show", "arp", "-n", "1");
    expect(out.split("\n")).toHaveLength(3);
    forget();
    await again("show", "arp", "-n", "1", "-o", "json");
    expect(JSON.parse(out)).toEqual(NEIGHBORS.slice(0, 1));
    expect(await again("show", "arp", "-n", "many")).toBe(2);
  });

  it.each([
    [0, "0"],
    [999, "999"],
    [1000, "1.00k"],
    [9994, "9.99k"],
    [9996, "10.0k"],
    [999_499, "999k"],
    [999_500, "1.00M"],
    [98_765_432_109, "98.8G"],
  ])("%d is %s in short", (value, text) => expect(shortNumber(value)).toBe(text));
});

describe("--watch", () => {
  it("shows rates between two answers, until interrupted", async () => {
    let packets = 1000;
    await serve({
      acs: () => {
        packets += 500;
        return acs(some(packets, packets * 1000));
      },
    });
    const running = again("show", "ac", "--watch=0.1", "vm1");
    await vi.waitFor(() => expect(out.split("RX-PPS").length).toBeGreaterThan(2), { timeout: 4000 });
    process.emit("SIGINT");
    expect(await running).toBe(0);
    const pages = out.split(/\d\d:\d\d:\d\d UTC\n/).slice(1);
    expect(pages[0]).toContain("RX-PACKETS");
    const [head, row] = pages[1]!.split("\n");
    expect(head).toMatch(/^AC +VSI +STATE +DEVICE +NETNS +MTU +RX-PPS +RX-BIT\/S +TX-PPS +TX-BIT\/S$/);
    const [pps, bits] = row!.trim().split(/ +/).slice(-4);
    // 500 packets of 1000 bytes in a tenth of a second and what a busy machine adds.
    expect(pps).toMatch(/^\d(\.\d+)?k$|^\d{3}$/);
    expect(bits).toMatch(/M$/);
    expect(row).toMatch(/ 0 +0$/);
  });

  it("takes a word behind it as a word, and tells one JSON line for each answer", async () => {
    await serve(SOURCE);
    const running = again("show", "arp", "-o", "json", "--watch", "10.101.101.112");
    await vi.waitFor(() => expect(out).toContain("\n"));
    process.emit("SIGTERM");
    expect(await running).toBe(0);
    expect(
      out
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line))[0],
    ).toEqual(NEIGHBORS.slice(1));
    expect(await again("show", "arp", "--watch=0")).toBe(2);
  });

  it("ends with exit code 3 where nothing ever answered, and asks again where something did", async () => {
    expect(await runCommand(["-s", "/nonexistent", "show", "arp", "--watch"])).toBe(3);
    forget();
    await serve(SOURCE);
    const running = again("show", "arp", "--watch=0.1");
    await vi.waitFor(() => expect(out).toContain("reachable"));
    const { hangUp } = await import("./bed.ts");
    hangUp();
    await vi.waitFor(() => expect(out).toContain("asking again"), { timeout: 4000 });
    process.emit("SIGINT");
    expect(await running).toBe(0);
  });
});

describe("the words of H3C", () => {
  it.each([
    [["all"], [], false],
    [["verbose"], [], true],
    [["vsi-interface", "10"], ["vsi-interface10"], false],
    [["Vsi-interface", "10", "verbose"], ["vsi-interface10"], true],
    [["interface", "vsi-interface", "10"], ["vsi-interface10"], false],
    [["name", "vsi10", "verbose"], ["vsi10"], true],
    [["vsi", "vsi10"], ["vsi10"], false],
    [["10.1.1.1", "brief"], ["10.1.1.1"], false],
    [["vm1"], ["vm1"], false],
    [["suppression", "vsi", "name", "vsi10"], ["suppressed", "vsi10"], false],
  ])("%j asks for rows with %j, verbose: %s", (said, words, verbose) => {
    expect(understood("arp", said)).toEqual({ name: "arp", words, verbose });
  });

  it.each([
    [["tunnel"], "tunnel", [], false],
    [["Tunnel", "gw2", "verbose"], "tunnel", ["gw2"], true],
    [["tunnel", "brief"], "tunnel", [], false],
    [["vsi-interface"], "interface", [], false],
    [["Vsi-interface", "brief"], "interface", [], false],
    [["vsi-interface", "10"], "interface", ["vsi-interface10"], false],
  ])("display interface %j is show %s with %j, verbose: %s", (said, name, words, verbose) => {
    expect(understood("interface", said)).toEqual({ name, words, verbose });
  });

  it.each([
    [
      ["display", "interface", "vsi-interface", "10"],
      ["show", "interface", "vsi-interface10"],
    ],
    [
      ["display", "ip", "interface", "brief"],
      ["show", "interface"],
    ],
    [
      ["display", "interface", "tunnel"],
      ["show", "tunnel"],
    ],
    [
      ["display", "interface", "vsi-interface"],
      ["show", "interface"],
    ],
    [
      ["display", "arp", "all"],
      ["show", "arp"],
    ],
    [
      ["display", "mac-address"],
      ["show", "mac"],
    ],
    [
      ["display", "l2vpn", "service-instance"],
      ["show", "ac"],
    ],
    [
      ["display", "ip", "policy-based-route"],
      ["show", "policy"],
    ],
  ])("%j is %j", async (theirs, ours) => {
    expect(await ctl(SOURCE, ...theirs)).toBe(0);
    const said = out;
    forget();
    await again(...ours);
    expect(said).toBe(out);
  });

  it("verbose: each row with everything, one fact a line", async () => {
    expect(await ctl(SOURCE, "display", "l2vpn", "vsi", "name", "vsi10", "verbose")).toBe(0);
    expect(out.split("\n").slice(0, 5)).toEqual([
      "VSI            vsi10",
      "VNI            10",
      "VSI-INTERFACE  vsi-interface10",
      "ARP            localProxy",
      "ACS            vm1,vm2,vm3,vm4",
    ]);
    forget();
    await again("display", "vxlan", "tunnel", "verbose");
    expect(out.split("\n\n")).toHaveLength(2);
  });

  it("what is not found is told with a command that exists", async () => {
    expect(await ctl(SOURCE, "display", "l2vpn", "service-instance", "vm9")).toBe(4);
    expect(err).toContain("vtepctl show ac lists all");
    forget();
    await again("display", "l2vpn", "service-instance", "--help");
    expect(out).toContain("$ vtepctl display l2vpn service-instance vm1\n");
  });
});

it("an address that no route row has: why tells its route", async () => {
  expect(await ctl({ routes: () => [] }, "show", "route", "20.1.1.12")).toBe(4);
  expect(err).toContain("fix: vtepctl why 20.1.1.12 tells which route it takes; vtepctl show route lists all");
});

describe("what is asked of the daemon", () => {
  it("-n asks for no more rows than are shown; where rows are looked for, for all of them", async () => {
    const rows = ["10.1.1.11", "10.1.1.12", "10.1.1.13"].map(
      (ip) => ({ ip, via: null, state: "reachable" }) as Neighbor,
    );
    let read = 0;
    function* neighbors() {
      for (const row of rows) {
        read++;
        yield row;
      }
    }
    expect(await ctl({ neighbors }, "show", "arp", "-n", "1", "-o", "json")).toBe(0);
    expect(JSON.parse(out)).toEqual(rows.slice(0, 1));
    expect(read).toBe(2);
    forget();
    await ctl({ neighbors }, "show", "arp", "10.1.1.13", "-n", "1", "-o", "json");
    expect(JSON.parse(out)).toEqual(rows.slice(2));
  });

  it("a snapshot has what was named, or everything", async () => {
    expect(await ctl({}, "show", "snapshot", "acs", "events", "-o", "json")).toBe(0);
    expect(Object.keys(JSON.parse(out))).toEqual(["at", "spreadMs", "bootId", "truncated", "acs", "events"]);
    forget();
    await ctl({}, "show", "snapshot", "-o", "json");
    expect(Object.keys(JSON.parse(out)).slice(4)).toEqual(PARTS);
    expect(await ctl({}, "show", "snapshot", "secrets")).toBe(2);
  });
});
