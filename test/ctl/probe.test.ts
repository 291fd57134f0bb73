/** `ping`, `why`, `doctor` and `capture --iface` against the real API over a socket, with a fake gateway: output and exit codes. */

import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { Tunnel } from "../../src/api/schema.ts";
import type { HostPing, PathSearch, PingResult } from "../../src/api/schema-probe.ts";
import type { Why } from "../../src/api/schema-why.ts";
import { pcapHead, pcapRecord, readRecords, vniFilter } from "../../src/ctl/capture-iface.ts";
import type { ApiSource } from "../api/fake-source.ts";
import { UNWATCHED } from "../api/fake-source.ts";
import { again, ctl, err, forget, out } from "./bed.ts";

const TUNNEL: Tunnel = {
  watchedBy: "keepalive",
  name: "gw2",
  remote: "192.0.2.2",
  up: true,
  state: "up",
  mtu: 1350,
  vsis: ["vsi10"],
  probe: { ...UNWATCHED, state: "up", rttMs: 0.25, loss: 0.02, pathMtu: 1400 },
  receive: { packets: 1, bytes: 100 },
  transmit: { packets: 2, bytes: 200 },
};
const REPLY: PingResult = { kind: "reply", length: 64, rttMs: 0.25, mtu: null, reason: null, fix: null };
const SEARCH: PathSearch = {
  tunnel: "gw2",
  searching: false,
  silent: false,
  pathMtu: 1400,
  usedMtu: 1400,
  innerMtu: 1350,
  tries: [
    { length: 1500, passed: false, hint: 1400 },
    { length: 1400, passed: true, hint: 0 },
  ],
};

/** A gateway with one tunnel; what its echoes bring. */
function prober(
  pings: PingResult[],
  search: PathSearch | { reason: string; fix: string } = SEARCH,
): Partial<ApiSource> {
  return {
    tunnels: () => [TUNNEL],
    probe: {
      ping: async () => pings.shift()!,
      search: () => search,
      searchOf: () => ("tunnel" in search ? search : null),
    },
  } as unknown as Partial<ApiSource>;
}

describe("ping", () => {
  it("prints each echo and a summary", async () => {
    const pings: PingResult[] = [REPLY, { ...REPLY, kind: "lost", rttMs: null }, { ...REPLY, rttMs: 0.75 }];
    expect(await ctl(prober(pings), "ping", "gw2", "-i", "10")).toBe(0);
    expect(out).toBe(
      [
        "64 bytes to gw2 (192.0.2.2), 1: 0.250 ms",
        "64 bytes to gw2 (192.0.2.2), 2: no answer in 1 s",
        "64 bytes to gw2 (192.0.2.2), 3: 0.750 ms",
        "3 sent, 2 answered, 33 % lost; round trip 0.250/0.500/0.750 ms (least/mean/most)",
        "",
      ].join("\n"),
    );
  });

  it("exits with 7 when nothing came back, and says what was too long", async () => {
    const pings: PingResult[] = [
      { ...REPLY, kind: "tooBig", length: 1500, rttMs: null, mtu: 1400 },
      { ...REPLY, kind: "tooBig", length: 1500, rttMs: null },
    ];
    expect(await ctl(prober(pings), "ping", "gw2", "-c", "2", "-i", "10", "-l", "1500")).toBe(7);
    expect(out).toContain("1: too long: a router on the way carries 1400\n");
    expect(out).toContain("2: too long for our own device\n2 sent, 0 answered, 100 % lost\n");
  });

  it("says the same in JSON and YAML", async () => {
    expect(await ctl(prober([REPLY]), "ping", "gw2", "-c", "1", "-o", "json")).toBe(0);
    const expected = { tunnel: "gw2", remote: "192.0.2.2", sent: 1, answered: 1, echoes: [REPLY] };
    expect(JSON.parse(out)).toEqual(expected);
    forget();
    await ctl(prober([REPLY]), "ping", "gw2", "-c", "1", "-o", "yaml");
    expect(parse(out)).toEqual(expected);
  });

  it("--mtu prints the search; 7 when the peer is silent", async () => {
    expect(await ctl(prober([]), "ping", "gw2", "--mtu")).toBe(0);
    expect(out).toBe(
      [
        " 1500 bytes  too long; a router on the way carries 1400",
        " 1400 bytes  passes",
        "path MTU to gw2 (192.0.2.2): 1400 bytes, 1350 inside the tunnel",
        "",
      ].join("\n"),
    );
    forget();
    const silent = { ...SEARCH, silent: true, pathMtu: null, tries: [] };
    expect(await ctl(prober([], silent), "ping", "gw2", "--mtu")).toBe(7);
    expect(out).toBe("gw2 (192.0.2.2) answers no echo: its path MTU cannot be told\n");
  });

  it("exits with 6 where the daemon cannot probe, 4 for no tunnel, 2 for nonsense", async () => {
    const off: PingResult = { ...REPLY, kind: "off", rttMs: null, reason: "no right", fix: "give it" };
    expect(await ctl(prober([off], { reason: "no right", fix: "give it" }), "ping", "gw2")).toBe(6);
    expect(err).toBe("error: the daemon cannot probe: no right\n  fix: give it\n");
    expect(await again("ping", "gw2", "--mtu")).toBe(6);
    expect(await again("ping", "gw9")).toBe(4);
    expect(await again("ping", "gw2", "-c", "0")).toBe(2);
    expect(await again("ping", "gw2", "-l", "27")).toBe(2);
  });

  it("show tunnel has what the prober knows", async () => {
    await ctl(prober([]), "show", "tunnel", "-w");
    expect(out.split("\n")[1]).toMatch(/^gw2 +192\.0\.2\.2 +up +keepalive +1350 +0\.250 +2% +1400 +vsi10/);
  });

  it("show tunnel counts what was turned away at the door, where there is any", async () => {
    const source: Partial<ApiSource> = { tunnels: () => [{ ...TUNNEL, turnedAway: 1234 }] };
    await ctl(source, "show", "tunnel");
    expect(out).toMatch(/ TURNED-AWAY$/m);
    expect(out).toMatch(/ 1\.23k$/m);
    await ctl(source, "show", "tunnel", "-w");
    expect(out).toMatch(/ 1234$/m);
    forget();
    await ctl({ tunnels: () => [{ ...TUNNEL, turnedAway: 0 }] }, "show", "tunnel");
    expect(out).not.toContain("TURNED-AWAY");
  });
});

describe("ping of a host", () => {
  const answer: HostPing = {
    kind: "reply",
    source: "10.1.1.1",
    length: 84,
    rttMs: 0.5,
    ttl: 64,
    via: { kind: "ac", name: "vm1" },
    note: null,
  };
  const asked: unknown[] = [];
  const hosts = (...answers: HostPing[]) =>
    ({
      probe: {
        pingHost: (...question: unknown[]) => {
          asked.push(question);
          const [name, ip] = question;
          if (ip === "10.1.1.1") return "10.1.1.1 is an address of if10 itself";
          return name === "if10" ? Promise.resolve(answers.shift()!) : null;
        },
      },
    }) as unknown as Partial<ApiSource>;

  it("prints each echo, where the host is, and what a loss may mean, once", async () => {
    const lost: HostPing = { ...answer, kind: "lost", rttMs: null, ttl: null, note: "look there" };
    expect(await ctl(hosts(answer, lost, lost), "ping", "10.1.1.11", "--interface", "if10", "-i", "10")).toBe(0);
    expect(out).toBe(
      [
        "84 bytes from 10.1.1.1 to 10.1.1.11 (ac vm1), 1: 0.500 ms, ttl 64",
        "84 bytes from 10.1.1.1 to 10.1.1.11 (ac vm1), 2: no answer in 1 s",
        "84 bytes from 10.1.1.1 to 10.1.1.11 (ac vm1), 3: no answer in 1 s",
        "3 sent, 1 answered, 67 % lost; round trip 0.500/0.500/0.500 ms (least/mean/most)",
        "note: look there",
        "",
      ].join("\n"),
    );
    expect(asked[0]).toEqual(["if10", "10.1.1.11", 84]);
  });

  it("prints the hop limit of an IPv6 host, and that it was not found by neighbour discovery", async () => {
    const source = "2001:db8:10::1";
    const lost: HostPing = { ...answer, source, kind: "unresolved", rttMs: null, ttl: null, via: null };
    const to = "2001:db8:10::11";
    await ctl(hosts({ ...answer, source }, lost), "ping", to, "--interface", "if10", "-i", "10", "-c", "2");
    expect(out.split("\n").slice(0, 2)).toEqual([
      `84 bytes from ${source} to ${to} (ac vm1), 1: 0.500 ms, hop limit 64`,
      `84 bytes from ${source} to ${to}, 2: no answer in 1 s, and none to neighbour discovery`,
    ]);
    expect(await ctl(hosts(), "ping", to)).toBe(2);
    expect(err).toContain(`vtepctl ping ${to} --interface NAME`);
  });

  it("exits with 7 without an answer, 4 without such a VSI-interface, 2 for what makes no sense", async () => {
    const lost: HostPing = { ...answer, kind: "unresolved", rttMs: null, ttl: null, via: null };
    expect(await ctl(hosts(lost), "ping", "10.1.1.11", "--interface", "if10", "-c", "1", "-o", "json")).toBe(7);
    expect(JSON.parse(out)).toMatchObject({ interface: "if10", ip: "10.1.1.11", sent: 1, answered: 0 });
    expect(await ctl(hosts(), "ping", "10.1.1.11", "--interface", "if99")).toBe(4);
    expect(await ctl(hosts(), "ping", "10.1.1.1", "--interface", "if10")).toBe(2);
    expect(await ctl(hosts(), "ping", "10.1.1.11", "--interface", "if10", "--mtu")).toBe(2);
    forget();
    expect(await ctl(hosts(), "ping", "10.1.1.11")).toBe(2);
    expect(err).toContain("vtepctl ping 10.1.1.11 --interface NAME");
  });
});

describe("why", () => {
  const WHY: Why = {
    subject: "10.1.1.11",
    kind: "ip",
    known: true,
    sentences: ["It is here.", "It was there."],
    macs: [],
    neighbors: [],
    routes: [],
  };

  it("prints the sentences, or all of it", async () => {
    const asked: unknown[] = [];
    const source: Partial<ApiSource> = {
      why: (question) => {
        asked.push(question);
        return WHY;
      },
    };
    expect(await ctl(source, "why", "10.1.1.11", "--interface", "vsi-interface10")).toBe(0);
    expect(out).toBe("It is here.\nIt was there.\n");
    expect(asked).toEqual([{ ip: "10.1.1.11", mac: null, interface: "vsi-interface10", vsi: null, vrf: null }]);
    forget();
    expect(await ctl(source, "why", "02:00:00:00:01:AA", "-o", "json")).toBe(0);
    expect(JSON.parse(out)).toEqual(WHY);
    expect(asked[1]).toEqual({ ip: null, mac: "02:00:00:00:01:aa", interface: null, vsi: null, vrf: null });
  });

  it("refuses what is neither, and says what is not there", async () => {
    expect(await ctl({}, "why", "vm1")).toBe(2);
    expect(err).toContain("vm1 is neither an IP address nor a MAC");
    expect(await ctl({}, "why", "10.1.1.1", "--vsi", "nope")).toBe(4);
    expect(await ctl({}, "why", "10.1.1.999")).not.toBe(0);
  });
});

describe("doctor", () => {
  const checks = [
    { name: "ready", result: "ok" as const, text: "yes", fix: null },
    { name: "peer gw2", result: "warn" as const, text: "silent", fix: "look" },
    { name: "port", result: "fail" as const, text: "taken by \u001b[31mx", fix: "stop it" },
  ];

  it("prints a line for each check, the fix beside what is not well, and exits with 7 on a failure", async () => {
    expect(await ctl({ doctor: async () => ({ checks }) }, "doctor")).toBe(7);
    expect(out).toBe(
      "ok    ready: yes\nwarn  peer gw2: silent\n      fix: look\nFAIL  port: taken by ·[31mx\n      fix: stop it\n",
    );
    forget();
    await again("doctor", "-o", "json");
    expect(JSON.parse(out)).toEqual({ checks });
  });

  it("exits with 0 when there are warnings alone", async () => {
    expect(await ctl({ doctor: async () => ({ checks: checks.slice(0, 2) }) }, "doctor")).toBe(0);
  });
});

describe("capture --iface", () => {
  it("makes a filter of a VNI: its 24 bits, and not the reserved byte behind them", () => {
    expect(vniFilter(10, 4789)).toBe(
      "(udp dst port 4789 and udp[12:4] & 0xffffff00 = 0x00000a00) or " +
        "(ip6 and ip6[6] = 17 and ip6[42:2] = 4789 and ip6[52:4] & 0xffffff00 = 0x00000a00)",
    );
    expect(vniFilter(16_777_215, 8472)).toContain("0xffffff00 = 0xffffff00");
  });

  it("writes libpcap's format with nanoseconds", () => {
    expect(pcapHead().toString("hex")).toBe("4d3cb2a1020004000000000000000000ffff000001000000");
    expect(pcapRecord(1_700_000_000_123_456_789n, Uint8Array.of(1, 2, 3)).toString("hex")).toBe(
      `00f15365${"15cd5b07"}0300000003000000010203`,
    );
  });

  it("reads the child's records in any portions, and stops when that is enough", () => {
    const record = (n: number) => {
      const bytes = Buffer.alloc(12 + n, n);
      bytes.writeUInt32BE(n, 0);
      bytes.writeBigUInt64BE(BigInt(n), 4);
      return bytes;
    };
    const all = Buffer.concat([record(3), record(0), record(5)]);
    for (let cut = 0; cut <= all.length; cut++) {
      const seen: number[] = [];
      const take = (_: bigint, frame: Buffer) => seen.push(frame.length) > 0;
      const used = readRecords(all.subarray(0, cut), take);
      readRecords(all.subarray(used), take);
      expect(seen).toEqual([3, 0, 5]);
    }
    expect(readRecords(all, () => false)).toBe(15);
  });

  it("refuses what does not go with a device", async () => {
    expect(await ctl({}, "capture", "vm1", "--iface", "lo", "-w", "-")).toBe(2);
    expect(await ctl({}, "capture", "--iface", "lo")).toBe(2);
    expect(await ctl({}, "capture", "--iface", "no-such-dev", "-w", "-")).not.toBe(0);
  });
});
