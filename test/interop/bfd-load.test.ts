/**
 * Liveness beside bulk TCP: BFD with FRR's bfdd, 50 ms x 3, and a keepalive of 100 ms x 3, while four TCP connections fill the gateways.
 *
 *     vm1 - gw1 --+-- gw2 - vm2      iperf3 from vm1 to vm2; a keepalive each way
 *                 +-- frr            bfdd
 *
 *     VTEPD_MINUTES=10 npx vitest run --config test/vitest.config.ts test/interop/bfd-load.test.ts
 *
 * says what happened in so many minutes; without it the transfer lasts twelve seconds. How often a session falls on a machine that has other
 * work is not this product's alone to say. What is judged is what tcpdump saw beside it: no session may fall of a peer whose packets
 * came, none of ours may be missing for longer than the machine kept our thread waiting, and no keepalive may fall that was answered.
 */
import { loadavg } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Tunnel } from "../../src/api/schema.ts";
import type { Bfd, BfdSession } from "../../src/api/schema-bfd.ts";
import { pause, until, within } from "../../src/lab/deadline.ts";
import type { Bed } from "../netns/bed.ts";
import { type Gateway, type Gateways, openGateways, whyNoGateways } from "../netns/gateways.ts";
import { type Frr, startFrr, whyNoBfdd } from "./frr.ts";
import { type Gap, gapsOf, ownShareMs, threadWithNice, unanswered, watchMachine } from "./machine-watch.ts";

const missing = whyNoGateways("iperf3", "tcpdump") ?? whyNoBfdd();
if (missing) console.log(`bfd-load.test.ts skipped: ${missing}`);

const MINUTES = process.env.VTEPD_MINUTES;
const SECONDS = MINUTES === undefined ? 12 : Number(MINUTES) * 60;
const UP_MS = 30_000;
const DETECT_MS = 150;
/** A kernel's answer to an echo is there at once. */
const ANSWER_MS = 100;
/** Of a packet's time by tcpdump and by the session. */
const CLOCKS_MS = 10;
/** The thread of BFD has it (src/liveness/bfd/thread.ts). */
const NICE = -10;

const [GW1, GW2, FRR] = ["192.0.2.1", "192.0.2.2", "192.0.2.9"] as const;

interface Told {
  readonly time: string;
  readonly event: string;
  readonly tunnel?: string;
  readonly diagnosis?: string;
}

/** Events of a gateway's log about sessions and tunnels, from `sinceMs` on. */
const toldBy = (gateway: Gateway, sinceMs: number): (Told & { atMs: number })[] =>
  gateway
    .log()
    .split("\n")
    .filter((line) => /"event":"(bfd|tunnel)\.(up|down|draining)"/.test(line))
    .map((line) => JSON.parse(line) as Told)
    .map((each) => ({ ...each, atMs: Date.parse(each.time) }))
    .filter(({ atMs }) => atMs >= sinceMs);

interface Seen {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly what: string;
}

/** BFD and echoes at a gateway's own end of the underlay, by tcpdump's words; `stop` says whether it saw all of them. */
async function listen(bed: Bed, node: string) {
  const args = ["-i", "ul0", "-nn", "-tt", "-q", "-l", "--immediate-mode", "udp port 3784 or icmp"];
  const child = bed.follow(node, "tcpdump", args);
  let [text, words] = ["", ""];
  child.stdout!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr!.on("data", (chunk: Buffer) => (words += chunk.toString()));
  await until(`tcpdump in ${node}`, UP_MS, () => words.includes("listening on"));
  return async () => {
    const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
    child.kill("SIGINT");
    await within("end of tcpdump", UP_MS, closed);
    const seen = text.split("\n").flatMap((line): Seen[] => {
      const parts = /^(\d+\.\d+) IP ([\d.]+) > ([\d.]+): (.*)$/.exec(line);
      if (parts === null) return [];
      return [{ atMs: Number(parts[1]) * 1000, from: parts[2]!, to: parts[3]!, what: parts[4]! }];
    });
    return { seen, isWhole: /^0 packets dropped by kernel/m.test(words) };
  };
}

/** When `address` sent BFD. */
const bfdOf = (seen: readonly Seen[], address: string) =>
  seen.filter(({ from, to }) => from.startsWith(`${address}.`) && to.endsWith(".3784")).map(({ atMs }) => atMs);

/** What the keepalive at `address` asked, or was answered. */
const echoesOf = (seen: readonly Seen[], address: string, kind: "request" | "reply") =>
  seen.flatMap(({ atMs, from, to, what }) => {
    const echo = /^ICMP echo (request|reply), (id \d+, seq \d+)/.exec(what);
    const asker = kind === "request" ? from : to;
    return echo?.[1] === kind && asker === address ? [[echo[2]!, atMs] as const] : [];
  });

const longest = (times: readonly number[]) => Math.max(0, ...gapsOf(times, 0).map(({ fromMs, toMs }) => toMs - fromMs));

describe("the judge", () => {
  test("finds gaps, and takes from them what the machine is to blame for", () => {
    const gaps = gapsOf([0, 50, 250, 300], 150);
    expect(gaps).toEqual([{ fromMs: 50, toMs: 250 }]);
    const [gap] = gaps as [Gap];
    expect(ownShareMs(gap, [], [])).toBe(200);
    const looks = [0, 100, 200, 300].map((atMs) => ({ atMs, waitedMs: atMs < 200 ? 7 : 90 }));
    expect(ownShareMs(gap, looks, [])).toBe(117);
    expect(ownShareMs(gap, looks, [{ atMs: 260, lateMs: 60 }])).toBe(57);
    // Before the gap and after it.
    expect(
      ownShareMs(
        gap,
        [],
        [
          { atMs: 40, lateMs: 30 },
          { atMs: 400, lateMs: 30 },
        ],
      ),
    ).toBe(200);
  });

  test("finds questions without an answer in time", () => {
    const asked = [
      ["1", 0],
      ["2", 100],
      ["3", 200],
    ] as const;
    expect(
      unanswered(
        asked,
        [
          ["1", 1],
          ["2", 350],
        ],
        100,
      ),
    ).toEqual([100, 200]);
  });
});

describe.skipIf(missing !== undefined)("liveness beside bulk TCP", () => {
  let gateways: Gateways;
  let gw1: Gateway;
  let gw2: Gateway;
  let frr: Frr;

  const session = async (): Promise<BfdSession> => (await gw1.look<Bfd>("/v1/bfd")).sessions[0]!;
  const tunnel = async (gateway: Gateway, name: string) =>
    (await gateway.look<Tunnel[]>("/v1/tunnels")).find((each) => each.name === name)!;
  const allUp = async () => {
    await until("BFD to be up at its pace", UP_MS, async () => {
      const { state, detectionMs } = await session();
      return state === "up" && detectionMs === DETECT_MS;
    });
    for (const [gateway, name] of [
      [gw1, "gw2"],
      [gw2, "gw1"],
    ] as const)
      await until(`the keepalive of ${gateway.node}`, UP_MS, async () => (await tunnel(gateway, name)).state === "up");
  };

  beforeAll(async () => {
    gateways = await openGateways("bfdload");
    const { bed } = gateways;
    for (const name of ["gw1", "gw2", "router", "frr", "vm1", "vm2"]) await bed.namespace(name);
    for (const [name, address] of [
      ["gw1", GW1],
      ["gw2", GW2],
      ["frr", FRR],
    ] as const) {
      await bed.veth(name, "ul0", "router", `to-${name}`);
      await bed.ip(name, `addr add ${address}/24 dev ul0`);
    }
    await bed.bridge("router", "br0", ["to-gw1", "to-gw2", "to-frr"]);
    const config = (own: string, peer: string, remote: string, vm: string, more: readonly object[] = []) => ({
      underlay: { address: own },
      tunnels: [{ name: peer, remote, keepalive: { intervalMs: 100, multiplier: 3 } }, ...more],
      vsis: [{ name: "vsi10", vni: 10 }],
      interfaces: [{ name: "vsi-interface10", vsi: "vsi10", address: "10.1.1.1/24" }],
      acs: [{ name: vm, vsi: "vsi10", tap: { device: "eth0", netns: bed.name(vm) } }],
    });
    const withFrr = { name: "frr", remote: FRR, bfd: { intervalMs: 50, multiplier: 3 } };
    gw1 = await gateways.start("gw1", config(GW1, "gw2", GW2, "vm1", [withFrr]));
    gw2 = await gateways.start("gw2", config(GW2, "gw1", GW1, "vm2"));
    for (const [vm, ip] of [
      ["vm1", "10.1.1.11"],
      ["vm2", "10.1.1.12"],
    ] as const)
      await bed.ip(vm, `addr add ${ip}/24 dev eth0`, "link set dev eth0 up");
    const pace = ["receive-interval 50", "transmit-interval 50", "detect-multiplier 3", "no shutdown"];
    const peer = ["bfd", ` peer ${GW1} local-address ${FRR} interface ul0`, ...pace.map((line) => `  ${line}`)];
    frr = await startFrr(bed, "frr", [...peer, " exit", "exit", ""].join("\n"), ["zebra", "bfdd"]);
  });
  afterAll(async () => {
    await gateways?.remove();
    frr?.remove();
  });

  /** The transfer, `SECONDS` long. @returns Gbit/s, by what gw1 has sent into its tunnel. */
  async function transfer(): Promise<number> {
    const { bed } = gateways;
    const server = bed.follow("vm2", "iperf3", ["-s", "-B", "10.1.1.12", "-i", "0"]);
    await until("iperf3's server", UP_MS, async () => /:5201\b/.test(await bed.must("vm2", "ss", ["-Hltn"])));
    const args = ["-c", "10.1.1.12", "-i", "0", "-P", "4", "-t", String(SECONDS + 60)];
    const client = bed.follow("vm1", "iperf3", args);
    const sent = async () => (await tunnel(gw1, "gw2")).transmit.bytes;
    const first = await sent();
    await until("the transfer", UP_MS, async () => (await sent()) - first > 1e6);
    const [before, beganMs] = [await sent(), performance.now()];
    await pause(SECONDS * 1000);
    const bits = ((await sent()) - before) * 8;
    const isThere = client.exitCode === null;
    for (const each of [client, server]) each.kill("SIGKILL");
    if (!isThere) throw new Error("iperf3 ended before its time");
    return bits / (performance.now() - beganMs) / 1e6;
  }

  test(`for ${SECONDS} s: nothing falls for another reason than the machine's`, {
    timeout: SECONDS * 1000 + 180_000,
  }, async () => {
    const { bed } = gateways;
    await allUp();
    const tid = threadWithNice(gw1.pid, NICE);
    if (tid === undefined) throw new Error(`no thread of gw1 has nice ${NICE}`);
    const ears = [await listen(bed, "gw1"), await listen(bed, "gw2")] as const;
    const beganMs = Date.now();
    const watch = watchMachine(bed, "router", gw1.pid, tid);
    const before = await session();
    const gigabits = await transfer();
    const after = await session();
    const endedMs = Date.now();
    watch.stop();
    const [at1, at2] = [await ears[0](), await ears[1]()];
    const [ours, theirs] = [bfdOf(at1.seen, GW1), bfdOf(at1.seen, FRR)];
    const asked = echoesOf(at1.seen, GW1, "request").length + echoesOf(at2.seen, GW2, "request").length;
    const waitedMs = watch.looks.at(-1)!.waitedMs - watch.looks[0]!.waitedMs;
    const events = [gw1, gw2].flatMap((gateway) =>
      toldBy(gateway, beganMs).map(
        ({ time, event, tunnel: name, diagnosis = "" }) => `${time} ${gateway.node} ${event} ${name} ${diagnosis}`,
      ),
    );
    console.log(
      [
        `${((endedMs - beganMs) / 1000).toFixed(0)} s, iperf3 ${gigabits.toFixed(1)} Gbit/s, load ${loadavg()
          .map((each) => each.toFixed(1))
          .join(" ")}`,
        `BFD with FRR: ${after.changes - before.changes} transitions; ${after.received - before.received} received, ${after.late - before.late} late`,
        `longest gap on the wire: ours ${longest(ours).toFixed(0)} ms, FRR's ${longest(theirs).toFixed(0)} ms, of ${DETECT_MS}; as the session saw it ${after.longestGapMs} ms`,
        `the thread of BFD waited for a processor ${waitedMs.toFixed(0)} ms in all; a bare timer was late ${watch.lates.length} times, ${Math.max(0, ...watch.lates.map(({ lateMs }) => lateMs))} ms at most`,
        `keepalives: ${asked} echoes asked`,
        events.length === 0 ? "no event of a session or a tunnel" : events.join("\n"),
      ].join("\n"),
    );

    expect(gigabits).toBeGreaterThan(0);
    expect(after.received - before.received).toBeGreaterThan(SECONDS);
    // A capture that lost packets shows gaps that were none.
    if (!at1.isWhole || !at2.isWhole) return console.log("tcpdump lost packets: not judged");
    const silences = gapsOf(theirs, DETECT_MS - CLOCKS_MS);
    const deaf = toldBy(gw1, beganMs).filter(
      ({ event, tunnel: name, diagnosis, atMs }) =>
        event === "bfd.down" &&
        name === "frr" &&
        diagnosis === "detectionTimeExpired" &&
        !silences.some(({ fromMs }) => fromMs <= atMs && atMs <= fromMs + 2000),
    );
    expect(deaf, "fell although FRR's packets came").toEqual([]);
    const mute = gapsOf(ours, DETECT_MS).filter((gap) => ownShareMs(gap, watch.looks, watch.lates) >= DETECT_MS);
    expect(mute, "said nothing although the machine let it").toEqual([]);
    for (const [gateway, own, name, { seen }] of [
      [gw1, GW1, "gw2", at1],
      [gw2, GW2, "gw1", at2],
    ] as const) {
      const lost = unanswered(echoesOf(seen, own, "request"), echoesOf(seen, own, "reply"), ANSWER_MS);
      const wrong = toldBy(gateway, beganMs).filter(
        ({ event, tunnel: of, atMs }) =>
          event === "tunnel.down" && of === name && !lost.some((askedMs) => askedMs <= atMs && atMs - askedMs <= 2000),
      );
      expect(wrong, `${gateway.node}'s keepalive fell although every echo was answered`).toEqual([]);
    }
    await allUp();
  });
});
