/** What is taken away from a walk: a capture file that tshark reads, and pictures that stand alone. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportHtml } from "../../src/web/export.ts";
import type { Walk } from "../../src/web/said-walk.ts";
import { serveWeb } from "../../src/web/serve.ts";
import { walkOf } from "../../src/web/walk.ts";
import { walkPcapng } from "../../src/web/walk-pcapng.ts";
import { noBrowser, openBrowser, openPage, seriousIn } from "./browser.ts";
import { answersOf, FakeGateway } from "./fake-gateway.ts";
import { recorded } from "./recorded.ts";

const folder = mkdtempSync(join(tmpdir(), "vtepd-export-"));
afterAll(() => rmSync(folder, { recursive: true }));

const HOSTILE = '<img src=x onerror="document.title=1">\u202e</text><script>document.title=1</script>';

function walkFrom(number: number, title = "walk"): Walk {
  const { recording } = recorded(number);
  return walkOf(recording, { id: "1", at: "2026-01-01T00:00:00Z", scheme: "distributed", causes: [title] });
}

const assets = () => ({
  script: readFileSync("dist/web/page/page.js", "utf8"),
  style: readFileSync("dist/web/page/style.css", "utf8"),
});

const hasTshark = (() => {
  try {
    execFileSync("tshark", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    console.warn("skipped: no tshark");
    return false;
  }
})();

/** Fields of each packet, as tshark reads the file. */
function fieldsOf(walk: Walk, ...fields: string[]): string[][] {
  const file = join(folder, "walk.pcapng");
  writeFileSync(file, walkPcapng(walk, "0"));
  const args = ["-r", file, "-o", "ip.check_checksum:TRUE", "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"];
  const text = execFileSync("tshark", [...args, ...fields.flatMap((each) => ["-e", each])], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.split("|"));
}

describe.skipIf(!hasTshark)("a walk as pcapng", () => {
  it.each([1, 2, 3])("S%i: a packet for each hop, in order, in its datagram, with its step and place", (number) => {
    const walk = walkFrom(number);
    const names = ["frame.comment", "frame.interface_name", "vxlan.vni", "ip.src", "udp.dstport", "ip.checksum.status"];
    const packets = fieldsOf(walk, ...names, "frame.time_epoch", "_ws.malformed");
    expect(packets.length).toBe(walk.hops.length);
    for (const [i, hop] of walk.hops.entries()) {
      const [comment, place, vni, source, port, checksum, time, malformed] = packets[i]!;
      expect(comment).toContain(`hop ${i + 1}${hop.step === null ? "" : `, S${number}.${hop.step}`}: ${hop.text}`);
      expect(place).toMatch(hop.tunnel === null ? /^(gw1|gw2|border) (vm\d|ext)$/ : /^(gw1|gw2|border) underlay$/);
      expect(vni).toBe(hop.tunnel === null ? "" : String(hop.tunnel.vni));
      if (hop.tunnel !== null) expect([source, port, checksum]).toEqual([hop.tunnel.source, "4789", "1"]);
      expect(Number(time) - Number(packets[0]![6])).toBeCloseTo(hop.atMs / 1000, 5);
      expect(malformed).toBe("");
    }
    const first = BigInt(walk.beganNs);
    const seen = recorded(number).recording.gateways.flatMap(({ frames }) => frames.map(({ at }) => BigInt(at)));
    expect(seen).toContain(first);
  });

  it("tells what was lost, and leaves out what was never sent", () => {
    const walk = walkFrom(2);
    const hops = walk.hops.map((hop, i) =>
      i === 1 ? { ...hop, hex: "", state: "missing" as const } : i === 2 ? { ...hop, state: "lost" as const } : hop,
    );
    const comments = fieldsOf({ ...walk, hops }, "frame.comment").map(([comment]) => comment);
    expect(comments.length).toBe(hops.length - 1);
    expect(comments.join()).toContain("lost: ");
  });
});

describe.skipIf(noBrowser !== null)("pictures", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser.close();
  });

  async function pictureOf(url: string, selector: string, button: string): Promise<string> {
    const { page, complaints } = await openPage(browser, url);
    await page.waitForSelector(selector);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`button >> text=${button}`)]);
    const file = join(folder, download.suggestedFilename());
    await download.saveAs(file);
    expect(complaints).toEqual([]);
    return readFileSync(file, "utf8");
  }

  /** Opened by itself, from a disk. */
  async function seen(svg: string): Promise<{ texts: string[]; fills: string[]; foreign: number }> {
    const file = join(folder, "alone.svg");
    writeFileSync(file, svg);
    const { page, requests, complaints } = await openPage(browser, `file://${file}`);
    expect([requests, complaints]).toEqual([[`file://${file}`], []]);
    const read = `({
      texts: [...document.querySelectorAll("text")].map((each) => each.textContent),
      fills: [...document.querySelectorAll("rect, path")].map((each) => getComputedStyle(each).fill),
      foreign: document.querySelectorAll("script, img, foreignObject, image, [onclick], [onerror]").length,
    })`;
    return (await page.evaluate(read)) as { texts: string[]; fills: string[]; foreign: number };
  }

  it("the ladder of a walk that was kept stands alone, with its colours and all its hops", async () => {
    const walk = walkFrom(2);
    const file = join(folder, "walk.html");
    writeFileSync(file, exportHtml({ ...walk, title: HOSTILE }, assets()));
    const { texts, fills, foreign } = await seen(await pictureOf(`file://${file}`, "svg.stage", "picture"));
    for (const { step } of walk.hops) if (step !== null) expect(texts).toContain(`S2.${step}`);
    expect(texts.filter((text) => text.startsWith("VNI ")).length).toBe(
      walk.hops.filter(({ tunnel }) => tunnel !== null).length,
    );
    expect(new Set(fills).size).toBeGreaterThan(3);
    expect(foreign).toBe(0);
  });

  it.each(["light", "dark"] as const)("a walk has nothing serious that axe finds, in %s", async (colorScheme) => {
    const file = join(folder, "walk.html");
    writeFileSync(file, exportHtml(walkFrom(2), assets()));
    const { page } = await openPage(browser, `file://${file}`, { colorScheme, bypassCSP: true });
    await page.waitForSelector("svg.stage");
    for (const [at, act] of [
      ["the first hop", async () => undefined],
      ["a hop in a tunnel", async () => await page.keyboard.press("End")],
      ["its bytes", async () => await page.click(".bytes summary")],
      ["a question", async () => await page.click("text=predict each hop")],
    ] as const) {
      await act();
      expect([at, await seriousIn(page)]).toEqual([at, []]);
    }
  });

  it("the fabric, with names that are hostile", async () => {
    const gateway = await new FakeGateway(
      "gw1",
      answersOf(HOSTILE.slice(0, 60), "192.0.2.1", [], [10, 20], HOSTILE),
    ).start();
    const web = await serveWeb({
      sockets: () => [gateway.socket],
      listen: { host: "127.0.0.1", port: 0 },
      version: "0",
    });
    try {
      const { texts, foreign } = await seen(await pictureOf(web.url, "svg.topology .gateway", "picture"));
      expect(texts).toContain("<img src=x onerror");
      expect(foreign).toBe(0);
    } finally {
      await web.close();
      gateway.stop();
    }
  });
});
