/** A capture from inside real gateways, read by a stranger: tshark must find names, stamps, directions and comments. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Trace } from "../../src/api/schema-trace.ts";
import { type Article, addressOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

const FIELDS = [
  "frame.interface_name",
  "frame.time_epoch",
  "frame.packet_flags_direction",
  "frame.comment",
  "arp.opcode",
  "icmp.type",
  "ip.src",
];

function read(file: string): { place: string; at: string; direction: string; comment: string; rest: string }[] {
  const args = ["-r", file, "-T", "fields", ...FIELDS.flatMap((field) => ["-e", field])];
  const { stdout, status, stderr } = spawnSync("tshark", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [place = "", at = "", direction = "", comment = "", ...rest] = line.split("\t");
      return { place, at, direction, comment, rest: rest.join(" ").trim() };
    });
}

const echoesOf = (packets: ReturnType<typeof read>) =>
  packets.filter(({ rest }) => rest.startsWith("8") || rest.startsWith("0"));

const VTEPCTL = join(import.meta.dirname, "../../dist/ctl/main.js");
/** A process starts, a file is written: what a busy machine may take for it. */
const SOON_MS = 15_000;

describeReal(whyNoGateways("tshark"), "capture and trace", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("capture");
  });
  afterAll(() => article?.gateways.remove());

  /** vtepctl that runs until it is interrupted. */
  function openCtl(...args: readonly string[]) {
    const { bed, gw1 } = article;
    const child = bed.follow("gw1", process.execPath, [VTEPCTL, "-s", gw1.socket, ...args]);
    let [out, err] = ["", ""];
    child.stdout!.on("data", (chunk: Buffer) => (out += chunk));
    child.stderr!.on("data", (chunk: Buffer) => (err += chunk));
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    return { child, ended, out: () => out, said: () => err };
  }

  test("VM1 asks for VM5: the steps of scenario 2, as tshark reads them; and nothing was lost", async () => {
    const { bed, gw1 } = article;
    const file = join(bed.folder, "gw1.pcapng");
    await gw1.ctl("arp", "flush");
    const capturing = openCtl("capture", "vm1", "gw2", "-w", file);
    await expect.poll(() => spawnSync("tshark", ["-r", file]).status, { timeout: SOON_MS }).toBe(0);
    const sentMs = Date.now();
    expect((await ping(bed, "vm1", addressOf("vm5"), { count: 2 })).ttls).toEqual([62, 62]);
    // Both echoes and both answers, each in and out.
    await expect.poll(() => echoesOf(read(file)).length, { timeout: SOON_MS }).toBeGreaterThanOrEqual(8);
    capturing.child.kill("SIGINT");
    expect([await capturing.ended, capturing.said()]).toEqual([
      0,
      expect.stringMatching(/capture: \d+ frames, 0 lost\n$/),
    ]);
    const packets = read(file);
    const echoes = echoesOf(packets);
    expect(new Set(packets.map(({ place }) => place))).toEqual(new Set(["ac vm1", "tunnel gw2"]));
    const told = echoes.map(({ place, direction, comment }) => `${place} ${Number(direction)} ${comment}`);
    for (const line of [
      "ac vm1 1 S2.9 · vsi10 · sent to tunnel gw2",
      "tunnel gw2 2 S2.9 · vsi20 · sent to tunnel gw2",
      "tunnel gw2 1 S2.9 · vsi10 · sent to ac vm1",
      "ac vm1 2 S2.9 · vsi10 · sent to ac vm1",
    ])
      expect(told, line).toContain(line);
    const arps = packets.map(({ comment }) => comment.split(" ")[0]!).filter((step) => /^S2\.[47]$/.test(step));
    expect(arps).toEqual(expect.arrayContaining(["S2.4", "S2.7"]));
    for (const { at } of packets) {
      expect(at).toMatch(/\.\d{9}$/);
      expect(Math.abs(Number(at) * 1000 - sentMs)).toBeLessThan(10_000);
    }
  }, 60_000);

  test("what trace foretells is what happens: the tunnel carries it, and --inject makes VM5 answer", async () => {
    const { gw1, bed } = article;
    await ping(bed, "vm1", addressOf("vm5"));
    const words = ["trace", "--ac", "vm1", "icmp", addressOf("vm1"), ">", addressOf("vm5"), "-o", "json"];
    const whatIf = JSON.parse((await gw1.ctl(...words)).stdout) as Trace;
    expect(whatIf.fate).toMatchObject({ kind: "sent", text: "sent to tunnel gw2" });
    const before = (await gw1.status()).ledger.dataplane;
    const injected = JSON.parse((await gw1.ctl(...words, "--inject")).stdout) as Trace;
    expect([injected.injected, injected.sends]).toEqual([true, whatIf.sends]);
    // The request out and VM5's answer in: the answer goes to VM1, which the gateway believes to have asked.
    await expect
      .poll(async () => (await gw1.status()).ledger.dataplane.sent, { timeout: 3000 })
      .toBeGreaterThanOrEqual(before.sent + 2);
    expect((await gw1.status()).ledger.dataplane.injected).toBeGreaterThan(before.injected);
  }, 20_000);

  test("observe tells a drop with its reason, its place and the frame", async () => {
    const { gw1 } = article;
    const observing = openCtl("observe", "-f", "--drop", "--ac", "vm1", "-o", "json");
    const hex = "0180c2000000020000000111000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223";
    const tell = setInterval(() => void gw1.ctl("trace", "--ac", "vm1", "--hex", hex, "--inject"), 500);
    await expect.poll(observing.out, { timeout: SOON_MS }).toContain("\n");
    clearInterval(tell);
    observing.child.kill("SIGINT");
    await observing.ended;
    const first = JSON.parse(observing.out().split("\n")[0]!) as { event: string; fields: Record<string, string> };
    expect(first).toMatchObject({ event: "drop", fields: { reason: "reserved_mac", ac: "vm1", vsi: "vsi10" } });
    expect(first.fields.frame).toContain("01:80:c2:00:00:00");
  }, 60_000);
});
