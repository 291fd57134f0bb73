/** vtepctl against the real API over a real socket, with a fake gateway behind it: bytes out, exit codes. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { parse } from "yaml";
import type { Neighbor } from "../../src/api/schema.ts";
import { build, runCommand } from "../../src/ctl/command-line.ts";
import type { Session } from "../../src/ctl/output.ts";
import { renderTable, shortAge } from "../../src/ctl/table.ts";
import { inOrder } from "../../src/ctl/word-order.ts";
import { changeWith, STATUS } from "../api/fake-source.ts";
import { again, ctl, err, folder, forget, out, serve, socket } from "./bed.ts";

const NEIGHBORS: Neighbor[] = [
  {
    interface: "vsi-interface10",
    vsi: "vsi10",
    ip: "10.1.1.11",
    mac: "02:00:00:00:01:11",
    state: "reachable",
    kind: "host",
    via: { kind: "ac", name: "vm1" },
    ageSeconds: 3,
    from: "request",
  },
  {
    interface: "vsi-interface10",
    vsi: "vsi10",
    ip: "10.1.1.112",
    mac: null,
    state: "incomplete",
    kind: "host",
    via: null,
    ageSeconds: 7300,
    from: null,
  },
];

it("shows a table: upper-case header, aligned columns, nothing else", async () => {
  expect(await ctl({ neighbors: () => NEIGHBORS }, "show", "arp")).toBe(0);
  expect(out).toBe(
    [
      "VSI-INTERFACE    IP          MAC                STATE       VIA     AGE  FROM",
      "vsi-interface10  10.1.1.11   02:00:00:00:01:11  reachable   ac vm1   3s  request",
      "vsi-interface10  10.1.1.112  -                  incomplete  -        2h  -",
      "",
    ].join("\n"),
  );
  expect(err).toBe("");
});

it("prints what the API said with -o json and -o yaml, before or behind the verb", async () => {
  await ctl({ neighbors: () => NEIGHBORS }, "show", "arp", "-o", "json");
  expect(JSON.parse(out)).toEqual(NEIGHBORS);
  const behind = out;
  forget();
  await again("-o", "json", "show", "arp");
  expect(out).toBe(behind);
  forget();
  await again("show", "neighbors", "-o", "yaml");
  expect(parse(out)).toEqual(NEIGHBORS);
});

it.each([
  ["an address, and not those that begin with it", ["10.1.1.11"], ["10.1.1.11"]],
  ["a word of a cell, in either case", ["VM1"], ["10.1.1.11"]],
  ["a whole cell", ["ac vm1"], ["10.1.1.11"]],
  ["words of several cells", ["vsi-interface10", "incomplete"], ["10.1.1.112"]],
  ["what all have", ["vsi-interface10"], ["10.1.1.11", "10.1.1.112"]],
])("shows only the rows with the words on the line: %s", async (_, words, ips) => {
  expect(await ctl({ neighbors: () => NEIGHBORS }, "show", "arp", ...words)).toBe(0);
  const [head, ...rows] = out.split("\n").slice(0, -1);
  expect(head).toMatch(/^VSI-INTERFACE /);
  expect(rows.map((row) => row.split(/ +/)[1])).toEqual(ips);
  forget();
  expect(await again("show", "arp", ...words, "-o", "json")).toBe(0);
  expect(JSON.parse(out)).toEqual(NEIGHBORS.filter(({ ip }) => ips.includes(ip)));
});

it("exits 4 when no row has the words, and prints no table without rows", async () => {
  expect(await ctl({ neighbors: () => NEIGHBORS }, "show", "arp", "10.1.1.12")).toBe(4);
  expect(err).toBe(
    "error: no row has 10.1.1.12\n  fix: vtepctl why 10.1.1.12 tells what is known of it; vtepctl show arp lists all\n",
  );
  forget();
  // Each word stands in a row, but not in the same one.
  expect(await again("show", "arp", "reachable", "10.1.1.112", "-o", "json")).toBe(4);
  expect(JSON.parse(err).error).toMatchObject({ code: "not_found", message: "no row has reachable and 10.1.1.112" });
  expect(out).toBe("");
  expect(await ctl({}, "display", "l2vpn", "mac-address", "02:00:00:00:01:11")).toBe(4);
});

it("prints an empty list as a list", async () => {
  expect(await ctl({}, "show", "vsi", "-o", "json")).toBe(0);
  expect(out).toBe("[]\n");
});

it.each([
  ["vsi", "there is no VSI"],
  ["ac", "there is no AC"],
  ["tunnel", "there is no tunnel"],
  ["interface", "there is no VSI-interface"],
  ["mac", "no MAC is known"],
  ["arp", "no neighbour is known"],
  ["route", "there is no route"],
  ["policy", "there is no policy"],
  ["drops", "no frame has been dropped"],
])("show %s with nothing to show says so on stderr, and has no header without rows", async (what, says) => {
  expect(await ctl({}, "show", what)).toBe(0);
  expect({ out, err }).toEqual({ out: "", err: `${says}\n` });
});

const LAST = {
  secondsAgo: 3,
  via: { kind: "tunnel" as const, name: "gw2" },
  vsi: null,
  taps: [],
  outer: "192.0.2.2",
  outerPort: null,
  vni: 77,
  flags: 8,
  frame: "60 bytes",
};

const PORTS = [
  {
    via: { kind: "tunnel" as const, name: "gw2" },
    count: 11,
    last: { at: "2026-01-02T03:04:05.678Z", vsi: null, vni: 77, outer: "192.0.2.2", frame: "60 bytes" },
  },
  { via: null, count: 1, last: null },
];

it("shows only the drops that happened, all with --all, and always all in JSON", async () => {
  const drops = () => [
    { reason: "runt", count: 0, text: "too short", last: null, ports: [] },
    { reason: "unknown_vni", count: 12, text: "no way", last: LAST, ports: PORTS },
  ];
  await ctl({ drops }, "show", "drops");
  expect(out).toBe(
    "REASON       PACKETS  LAST                    TEXT\nunknown_vni       12  3s, tunnel gw2, vni 77  no way\n",
  );
  forget();
  await again("show", "drops", "--all");
  expect(out.split("\n")).toHaveLength(4);
  forget();
  await again("show", "drops", "-o", "json");
  expect(JSON.parse(out)).toEqual(drops());
  forget();
  await again("show", "drops", "--ports", "-w");
  expect(out.split("\n")).toEqual([
    expect.stringMatching(/^REASON +PORT +PACKETS +LAST +VNI +OUTER +FRAME$/),
    expect.stringMatching(/^unknown_vni +tunnel gw2 +11 +2026-01-02 03:04:05 +77 +192\.0\.2\.2 +60 bytes$/),
    expect.stringMatching(/^unknown_vni +- +1 +- +- +- +-$/),
    "",
  ]);
});

it("shows each rule of a policy on a line of its own", async () => {
  const rule = (match: string) => ({ match, action: "nextHop 10.1.1.2", alive: true, bypassedBy: null, hits: 5 });
  const policies = () => [{ name: "p", interfaces: ["i"], rules: [rule("any"), rule("source 10.0.0.0/8")] }];
  await ctl({ policies }, "show", "policy");
  expect(out.split("\n").slice(1, 3)).toEqual([
    "p       i                  1  any                nextHop 10.1.1.2     5",
    "p       i                  2  source 10.0.0.0/8  nextHop 10.1.1.2     5",
  ]);
});

it("tells the status, in words and in JSON", async () => {
  expect(await ctl({}, "status")).toBe(0);
  expect(out).toMatch(/^node {8}gw1\nready {7}yes\n/);
  expect(out).toMatch(/balance 0/);
  forget();
  await again("status", "-o", "json");
  expect(JSON.parse(out)).toEqual(STATUS);
});

it("flushes and says how many went", async () => {
  const flushNeighbors = vi.fn(() => 2);
  expect(await ctl({ flushNeighbors }, "arp", "flush", "--interface", "i 1")).toBe(0);
  expect(out).toBe("2 neighbours removed\n");
  expect(flushNeighbors).toHaveBeenCalledWith("i 1", null, null, 4);
});

// ---- when it goes wrong ----------------------------------------------------------------------------------------

it("exits 4 when the object is not there", async () => {
  expect(await ctl({ flushMacs: () => null }, "mac", "flush", "--vsi", "nope")).toBe(4);
  expect(out).toBe("");
  expect(err).toBe("error: there is no VSI nope\n  fix: vtepctl show vsi lists them\n");
});

it("exits 2 when the daemon notices what makes no sense, and says which part", async () => {
  expect(await ctl({}, "arp", "del", "10.1.1.999", "--interface", "i")).toBe(2);
  expect(err).toMatch(/^error: ip: .+\n {2}fix: .+\n$/);
  forget();
  expect(await again("arp", "flush", "--interface", "i", "--ip", "10.1.1", "-o", "json")).toBe(2);
  expect(JSON.parse(err).error).toMatchObject({ code: "bad_request", message: expect.stringMatching(/^ip: /) });
  expect(out).toBe("");
});

it.each([
  [400, 2, "bad_request"],
  [404, 4, "not_found"],
  [409, 1, "conflict"],
] as const)(
  "says what the daemon refuses with status %i in its words, and exits with %i",
  async (status, exit, code) => {
    const addNeighbor = () => ({ status, message: "not this one", hint: "take another" });
    const change = changeWith({ addNeighbor });
    const words = ["arp", "add", "10.1.1.9", "02:00:00:00:00:09", "--interface", "i", "--ac", "vm1"];
    expect(await ctl({ change }, ...words)).toBe(exit);
    expect(err).toBe("error: not this one\n  fix: take another\n");
    forget();
    expect(await again(...words, "-o", "json")).toBe(exit);
    expect(JSON.parse(err)).toEqual({ error: { code, message: "not this one", hint: "take another" } });
    expect(out).toBe("");
  },
);

it("names the sockets beside one that is not there: the gateway may have been left out", async () => {
  const run = mkdtempSync(join(folder, "run-"));
  for (const name of ["gw2.sock", "gw1.sock", "gw1.attach.sock", "gw1.pid"]) writeFileSync(join(run, name), "");
  vi.stubEnv("VTEPD_SOCKET", join(run, "vtepd.sock"));
  expect(await runCommand(["status"])).toBe(3);
  vi.unstubAllEnvs();
  expect(err).toBe(
    `error: cannot reach vtepd at ${run}/vtepd.sock: there is no such socket\n` +
      `  fix: name the daemon's socket: -s ${run}/gw1.sock, or -s ${run}/gw2.sock\n`,
  );
});

it("exits 3 with a fix when there is no answer", async () => {
  expect(await runCommand(["-s", join(folder, "none.sock"), "status"])).toBe(3);
  expect(err).toMatch(/cannot reach vtepd at .*none\.sock: there is no such socket\n {2}fix: .*vtepd run -c FILE/);
  const file = join(folder, "file");
  writeFileSync(file, "");
  expect(await runCommand(["-s", file, "status"])).toBe(3);
});

it("says it in JSON to a program that asked for JSON", async () => {
  expect(await runCommand(["-s", join(folder, "none.sock"), "status", "-o", "json"])).toBe(3);
  expect(JSON.parse(err)).toMatchObject({ error: { code: "unreachable", hint: expect.stringContaining("vtepd run") } });
  expect(out).toBe("");
});

it("exits 3 when something else answers", async () => {
  const path = join(folder, "other.sock");
  const other = createServer((connection) => connection.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"));
  await new Promise<void>((resolve) => void other.listen(path, resolve));
  expect(await runCommand(["-s", path, "status"])).toBe(3);
  expect(err).toMatch(/is no vtepd/);
  other.close();
});

it("finds the socket in VTEPD_SOCKET", async () => {
  vi.stubEnv("VTEPD_SOCKET", socket);
  await serve({});
  expect(await runCommand(["show", "ac", "-o", "json"])).toBe(0);
  vi.unstubAllEnvs();
});

it.each([
  ["an unknown verb", ["shwo"]],
  ["an unknown kind", ["show", "arpp"]],
  ["no verb", []],
  ["an unknown form", ["status", "-o", "xml"]],
  ["an unknown option", ["status", "--frobnicate"]],
  ["too much", ["status", "now"]],
])("exits 2 on %s", async (_, args) => {
  expect(await runCommand(args)).toBe(2);
  expect(out).toBe("");
  expect(err).not.toBe("");
  const said = err;
  forget();
  expect(await runCommand([...args, "-o", "json"])).toBe(2);
  expect(out).toBe("");
  const { error } = JSON.parse(err);
  expect(error).toEqual({ code: "usage", message: expect.any(String), hint: "vtepctl --help tells more" });
  if (args.length > 0) expect(said).toContain(`error: ${error.message}\n`);
  else expect(error.message).toBe("a verb is missing");
});

it("lists the words there are where one is unknown", async () => {
  expect(await runCommand(["show", "bogus"])).toBe(2);
  expect(err).toMatch(
    /^error: unknown command 'bogus'\n\(there are vsi, ac, tunnel, .*drops.*; --help tells more\)\n$/,
  );
  forget();
  expect(await runCommand(["bogus"])).toBe(2);
  expect(err).toMatch(/\(there are status, show, .*doctor.*; --help tells more\)\n$/);
  expect(err).not.toContain("__complete");
});

it.each([
  [
    ["-n", "3", "show", "mac"],
    ["show", "mac", "-n", "3"],
  ],
  [
    ["-w", "display", "l2vpn", "mac-address", "vm1"],
    ["display", "l2vpn", "mac-address", "-w", "vm1"],
  ],
  [
    ["-s", "show", "-n=3", "-o", "json", "show", "mac", "vm1"],
    ["-s", "show", "-o", "json", "show", "mac", "-n=3", "vm1"],
  ],
  [
    ["--drop", "observe"],
    ["observe", "--drop"],
  ],
])("%j is %j: an option of a verb may stand in front of it", (said, meant) => {
  expect(inOrder(build({} as Session), said)).toEqual(meant);
});

it.each([
  [["show", "mac", "-n", "3"]],
  [["--frobnicate", "show", "mac"]],
  [["-n", "3"]],
  [["bogus", "show"]],
  [["-n", "3", "health"]],
])("%j stays as it is", (said) => {
  expect(inOrder(build({} as Session), said)).toEqual(said);
});

it("shows so many rows where -n stands in front", async () => {
  await serve({ neighbors: () => NEIGHBORS });
  expect(await runCommand(["-n", "1", "-s", socket, "show", "arp", "-o", "json"])).toBe(0);
  expect(JSON.parse(out)).toHaveLength(1);
});

it("knows that JSON is asked for however it is written", async () => {
  for (const form of [["-o", "json"], ["-ojson"], ["--output", "json"], ["--output=json"]]) {
    forget();
    expect(await runCommand([...form, "shwo"])).toBe(2);
    expect(JSON.parse(err).error.code).toBe("usage");
  }
});

it("prints help and version to stdout and exits 0", async () => {
  expect(await runCommand(["--help"])).toBe(0);
  expect(out).toMatch(/Usage: vtepctl/);
  forget();
  expect(await runCommand(["--version"])).toBe(0);
  expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
});

// ---- the table itself ------------------------------------------------------------------------------------------

it("lets no name move the cursor, and draws nothing for nothing", () => {
  const columns = [{ title: "A", of: (row: string | null) => row }];
  expect(renderTable(columns, ["x\u001b[2J", null, ""])).toBe("A\nx·[2J\n-\n-\n");
});

it("says ages in one unit", () => {
  expect([null, 0, 3.9, 119, 120, 7199, 7200, 172_799, 172_800].map(shortAge)).toEqual([
    "-",
    "0s",
    "3s",
    "119s",
    "2m",
    "119m",
    "2h",
    "47h",
    "2d",
  ]);
});
