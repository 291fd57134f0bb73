/** The tables of vtepctl show: what fits a terminal, what is watched. */
import { describe, expect, it, vi } from "vitest";
import type { Neighbor } from "../../src/api/schema.ts";
import { PARTS } from "../../src/api/schema-parts.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { layOut, renderTable, shortNumber } from "../../src/ctl/table.ts";
import { again, ctl, err, forget, out, serve } from "./bed.ts";
import { acs, NEIGHBORS, SOURCE, some } from "./shown-source.ts";

describe("a table", () => {
  it.each(["vsi", "ac", "tunnel", "interface", "arp", "vrf", "drops"])(
    "show %s fits 80 columns; -w has all",
    async (what) => {
      expect(await ctl(SOURCE, "show", what)).toBe(0);
      const narrow = out.split("\n");
      for (const line of narrow) expect(line.length, line).toBeLessThanOrEqual(80);
      forget();
      expect(await again("show", what, "-w")).toBe(0);
      expect(out.split("\n").every((line) => line.length <= 80)).toBe(false);
      forget();
      await again("show", what, "-o", "json");
      expect(JSON.parse(out)[0]).toBeDefined();
    },
  );

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

it("show route says what a dead end is, however long the next hops of others are", async () => {
  const of = (prefix: string, action: string, ...hops: string[]) => ({
    ...{ vrf: "main", prefix, origin: "static", action, interface: hops.length > 0 ? "vsi-interface10" : null },
    nextHops: hops.map((ip) => ({ ip, interface: "vsi-interface10", alive: true, bypassedBy: null })),
  });
  const routes = () => [
    of("2001:db8:50::1/128", "forward", "2001:db8:10::2", "fe80::83:5ff:fed1:3091"),
    ...["prohibit", "unreachable", "discard"].map((action, n) => of(`2001:db8:6${n}::/48`, action)),
  ];
  await ctl({ routes }, "show", "route");
  const [head, ...lines] = out.split("\n");
  expect(head).not.toContain("ACTION");
  expect(lines.slice(1, 4).map((line) => line.split(/ {2,}/)[2])).toEqual(["prohibit", "unreachable", "discard"]);
});

describe("-4 and -6", () => {
  const route = (prefix: string) => ({
    vrf: "main",
    prefix,
    origin: "static",
    action: "discard",
    interface: null,
    nextHops: [],
  });
  const ROUTES = ["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8:10::/64"].map(route);
  const six = { ...NEIGHBORS[0]!, ip: "2001:db8:10::11" };
  const source = { routes: () => ROUTES, neighbors: () => [...NEIGHBORS, six] } as unknown as Parameters<typeof ctl>[0];
  const shown = async (...words: string[]) => {
    forget();
    expect(await again("show", ...words, "-o", "json"), err).toBe(0);
    return (JSON.parse(out) as { prefix?: string; ip?: string }[]).map(({ prefix, ip }) => prefix ?? ip);
  };

  it("show the rows of that family, also of a page, with words, and in H3C's", async () => {
    await serve(source);
    expect(await shown("route")).toEqual(ROUTES.map(({ prefix }) => prefix));
    expect(await shown("route", "-6")).toEqual(["::/0", "2001:db8:10::/64"]);
    expect(await shown("route", "--ipv4")).toEqual(["0.0.0.0/0", "10.0.0.0/8"]);
    expect(await shown("route", "-4", "-6")).toHaveLength(4);
    expect(await shown("route", "-6", "-n", "1")).toEqual(["::/0"]);
    expect(await shown("route", "static", "-6")).toHaveLength(2);
    expect(await shown("ipv6", "routing-table")).toEqual(["::/0", "2001:db8:10::/64"]);
    expect(await again("display", "ipv6", "interface", "brief"), err).toBe(0);
    expect(await shown("arp")).toEqual(NEIGHBORS.map(({ ip }) => ip));
    expect(await shown("neighbor", "-6")).toEqual([six.ip]);
    expect(await shown("nd")).toEqual([six.ip]);
    expect(await again("show", "route", "2001:db8:77::1")).toBe(4);
    expect(err).toContain("vtepctl why 2001:db8:77::1 tells which route it takes");
  });
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

describe("VRFs", () => {
  it("have a table with the state of each, and verbose all that is known of one", async () => {
    await ctl(SOURCE, "show", "vrf");
    expect(out.split("\n").slice(0, 3)).toEqual([
      "VRF   STATE     L3VNI  ROUTES  NEIGHBORS  REASON",
      "main  up            -       4          6  -",
      "red   degraded   4001       5          0  L3VNI 4001: no BGP session is up",
    ]);
    forget();
    await again("show", "vrf", "red", "verbose");
    expect(out).toContain("EXPORT      65000:4001\n");
    expect(out).toContain("ROUTES      own 1,evpn 4\n");
    expect(await again("show", "vrf", "blue")).toBe(4);
    forget();
    // The same reason in all rows is a reason all the same.
    const [main] = SOURCE.vrfs();
    const down = ["main", "red"].map((name) => ({ ...main!, name, state: "down" as const, reason: "no AC is up" }));
    await ctl({ vrfs: () => down }, "show", "vrf");
    expect(out.split("\n")[1]).toMatch(/^main +down .* no AC is up$/);
    expect(await again("show", "vrf", "blue")).toBe(4);
    expect(err).toContain("vtepctl show vrf lists all");
  });

  it("--vrf: the rows of one, which the daemon chooses; one that there is not is told", async () => {
    const route = { prefix: "10.1.1.0/24", origin: "connected", action: "glean", interface: null, nextHops: [] };
    const of = {
      routes: () => ["main", "red"].map((vrf) => ({ vrf, ...route })),
      hasVrf: (name: string) => name === "red",
    };
    expect(await ctl({ ...SOURCE, ...of }, "show", "route", "--vrf", "red", "-o", "json")).toBe(0);
    expect(JSON.parse(out)).toEqual([{ vrf: "red", ...route }]);
    forget();
    await again("show", "route");
    expect(out).toMatch(/^VRF +PREFIX/);
    expect(await again("show", "neighbor", "--vrf", "blue")).toBe(4);
    expect(err).toContain("there is no VRF blue");
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
