/**
 * Gateway MACs that change under running traffic, on real TAPs and real kernels of guests: by a reload (`mac: auto` to
 * `shared`), by a gateway and a Border that are replaced under other names. Traffic heals within two seconds, and no frame
 * of a guest is flooded on the way. test/gateway/moves.test.ts has the same in virtual time, frame by frame.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Article, addressOf, macOf, openArticle } from "./article-bed.ts";
import { whyNoGateways } from "./gateways.ts";
import { countFrames, openDump, ping } from "./traffic.ts";

const missing = whyNoGateways("tcpdump");
if (missing) console.log(`replaced.test.ts skipped: ${missing}`);

const HEALED_MS = 2000;
/** What a busy machine adds: processes that start, guests that are late. */
const SLACK_MS = 1500;
const EVERY_MS = 50;

/** Who talks to whom: within a VXLAN, between two, from and to the outside. */
const FLOWS = [
  ["vm1", "vm4"],
  ["vm1", "vm5"],
  ["vm5", "vm1"],
  ["ext", "vm5"],
  ["vm3", "ext"],
] as const;

describe.skipIf(missing !== undefined)("a gateway MAC that changes", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("replaced");
    for (const [from, to] of FLOWS)
      expect((await ping(article.bed, from, addressOf(to))).ttls.length).toBeGreaterThan(0);
  }, 60_000);
  afterAll(() => article?.gateways.remove());

  /** Pings of all flows that run until they are stopped. */
  function openFlows() {
    const flows = FLOWS.map(([from, to]) => {
      const seconds = String(EVERY_MS / 1000);
      const child = article.bed.follow(from, "ping", ["-n", "-i", seconds, "-D", addressOf(to)]);
      const answersMs: number[] = [];
      child.stdout!.on("data", (chunk: Buffer) => {
        for (const [, at] of chunk.toString().matchAll(/^\[([\d.]+)\] \d+ bytes from/gm))
          answersMs.push(Number(at) * 1000);
      });
      return { name: `${from} to ${to}`, child, answersMs };
    });
    return {
      stop: () => {
        for (const { child } of flows) child.kill("SIGKILL");
      },
      running: () =>
        expect.poll(() => flows.every(({ answersMs }) => answersMs.length > 5), { timeout: 10_000 }).toBe(true),
      /** All flows answer again within the time, each steadily, and none has a longer gap than that behind `fromMs`. */
      async heal(fromMs: number) {
        const untilMs = Date.now() + 2 * (HEALED_MS + SLACK_MS);
        await expect
          .poll(
            () => flows.every(({ answersMs }) => answersMs.at(-1)! > fromMs && answersMs.at(-1)! > untilMs - 1000),
            {
              timeout: 3 * (HEALED_MS + SLACK_MS),
            },
          )
          .toBe(true);
        for (const { name, answersMs } of flows) {
          const behind = [fromMs, ...answersMs.filter((at) => at > fromMs)];
          const longest = Math.max(...behind.slice(1).map((at, i) => at - behind[i]!));
          expect(longest, name).toBeLessThan(HEALED_MS + SLACK_MS);
        }
      },
    };
  }

  /** `act` while all flows run, seen by a guest of VXLAN 10 that is no party to them: no frame that it is not meant to see. */
  async function under(act: () => Promise<number>): Promise<void> {
    const { bed } = article;
    const flows = openFlows();
    // By the underlay: no datagram that carries a guest's frame as the guest sent it to a gateway (its MAC as inner source).
    const dump = await openDump(bed, "underlay", "ulbr", "udp port 4789");
    try {
      await flows.running();
      const fromMs = await act();
      await flows.heal(fromMs);
    } finally {
      flows.stop();
      await dump.stop();
    }
    expect(await countFrames(dump.file, "udp port 4789")).toBeGreaterThan(100);
    for (const guest of ["vm1", "vm3", "vm4", "vm5"]) {
      const [hi, lo] = macOf(guest)
        .replaceAll(":", "")
        .match(/(.{4})(.{8})/)!
        .slice(1) as [string, string];
      // UDP header 8, VXLAN 8, inner destination 6: the inner source.
      const source = `udp port 4789 and udp[22:2] = 0x${hi} and udp[24:4] = 0x${lo}`;
      expect(await countFrames(dump.file, source), `frames of ${guest} in a tunnel`).toBe(0);
    }
  }

  const edit = (file: string, change: (text: string) => string) => {
    const before = readFileSync(file, "utf8");
    const after = change(before);
    expect(after).not.toBe(before);
    writeFileSync(file, after);
  };

  /** The gateway ends, and one of another name takes its place: same underlay address, same TAPs, another MAC. */
  async function replace(which: "gw2" | "border", name: string): Promise<number> {
    const was = article[which];
    edit(was.file, (text) => text.replace(`node: ${which}\n`, `node: ${name}\n`));
    expect(await was.stop()).toMatchObject({ code: 0 });
    article = { ...article, [which]: await was.restart() };
    return Date.now();
  }

  test("auto to shared, by a reload", { timeout: 60_000 }, async () => {
    const { gw1 } = article;
    const old = await gw1.macOf("vsi10");
    await under(async () => {
      edit(gw1.file, (text) => text.replaceAll("mac: auto", "mac: shared"));
      const fromMs = Date.now();
      expect((await gw1.ctl("config", "reload")).status).toBe(0);
      return fromMs;
    });
    expect(await gw1.macOf("vsi10")).not.toBe(old);
  });

  test("gw2 replaced under another name", { timeout: 90_000 }, async () => {
    const old = await article.gw2.macOf("vsi10");
    await under(() => replace("gw2", "gw2b"));
    expect(await article.gw2.macOf("vsi10")).not.toBe(old);
  });

  test("the Border replaced under another name", { timeout: 90_000 }, async () => {
    const old = await article.border.macOf("vsi10");
    await under(() => replace("border", "border-b"));
    expect(await article.border.macOf("vsi10")).not.toBe(old);
  });
});
