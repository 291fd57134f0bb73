/**
 * The page of `vtepctl web` over the lab's real gateways: counts like `vtepctl show`, the three walks, and four faults, each of
 * which shows at the hop where it does its harm, with its reason.
 *
 * With VTEPD_WRITE=1 what was recorded becomes the files of test/web/fixtures.
 */
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { bringUp, namespaceOf, takeDown } from "../../src/lab/bed.ts";
import { vtepctl } from "../../src/lab/gateway.ts";
import { folderOf, type LabState } from "../../src/lab/state.ts";
import { labDriver } from "../../src/lab/web-driver.ts";
import type { Driver } from "../../src/web/driver.ts";
import { Recorder } from "../../src/web/recording.ts";
import type { Walk, WalkLine } from "../../src/web/said-walk.ts";
import { serveWeb, type Web } from "../../src/web/serve.ts";
import { noBrowser, openBrowser, openPage } from "../web/browser.ts";

const TOKEN = "fixed-for-the-test";
const NODES = ["gw1", "gw2", "border"];
const SCHEME = { mode: "distributed", gatewayMac: "auto", handover: false, offload: true, families: [4, 6] } as const;

let state: LabState;
let driver: Driver;
let web: Web;
let browser: Browser | null = null;
const files = new Map<string, string>();

const fileOf = (node: string) => join(folderOf(state.name), `${node}.yaml`);
const sockets = () => NODES.map((node) => join(folderOf(state.name), `${node}.sock`));

beforeAll(async () => {
  state = await bringUp(
    "webtest",
    SCHEME,
    () => undefined,
    () => undefined,
  );
  driver = labDriver(state);
  web = await serveWeb({ sockets, listen: { host: "127.0.0.1", port: 0 }, token: TOKEN, driver, version: "0" });
  for (const node of NODES) files.set(node, readFileSync(fileOf(node), "utf8"));
  if (noBrowser === null) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await web?.close();
  if (state !== undefined) await takeDown(state, false);
});
afterEach(() => {
  for (const [node, text] of files) writeFileSync(fileOf(node), text);
});

/** @param told of each line as it comes */
async function post(path: string, body: object, told?: (line: WalkLine) => void): Promise<WalkLine[]> {
  const answer = await fetch(`http://127.0.0.1:${web.port}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const lines: WalkLine[] = [];
  for await (const text of createInterface(Readable.fromWeb(answer.body!))) {
    if (text === "") continue;
    const line = JSON.parse(text) as WalkLine;
    lines.push(line);
    told?.(line);
  }
  return lines;
}

function walkIn(lines: readonly WalkLine[]): Walk {
  const last = lines.at(-1);
  if (last?.kind !== "walk") throw new Error(JSON.stringify(last));
  return last.walk;
}

const made = async (scenario: number, scheme = "distributed", family = 4): Promise<Walk> =>
  walkIn(await post("/api/walk", { scenario, family, scheme }));

describe("walks in the lab", () => {
  it.each([
    [1, 4, 13],
    [2, 4, 18],
    [3, 4, 18],
    [1, 6, 13],
    [2, 6, 18],
    [3, 6, 18],
  ])("S%i by IPv%i has every hop, every frame of the article, and no fault", async (scenario, family, least) => {
    const walk = await made(scenario, "distributed", family);
    expect(walk.pair?.[1].includes(":")).toBe(family === 6);
    expect([walk.trouble, walk.arrived, walk.lost]).toEqual([null, true, 0]);
    expect(walk.hops.length).toBeGreaterThanOrEqual(least);
    expect(walk.hops.filter(({ state: each }) => each !== "passed")).toEqual([]);
    expect(walk.steps.filter(({ holds }) => holds !== true)).toEqual([]);
    expect(walk.hops.filter(({ step }) => step !== null).length).toBeGreaterThanOrEqual(9);
  });

  it("both schemes: a central gateway is passed by the packet, a distributed one is not", async () => {
    const central = await made(2, "centralized");
    const through = central.hops.filter(({ kind, from, to }) => kind === "ip" && [from, to].includes("gateway border"));
    expect(through).toHaveLength(4);
    expect([central.arrived, central.trouble, central.scheme]).toEqual([true, null, "centralized"]);
    const distributed = await made(2);
    expect(
      distributed.hops.filter(({ kind, from, to }) => kind === "ip" && [from, to].includes("gateway border")),
    ).toEqual([]);
  });

  const recordAll = async () => {
    for (const scenario of driver.scenarios.filter(({ family }) => family === 4)) {
      await driver.prepare("distributed", 4, () => undefined);
      const recorder = await Recorder.arm(sockets(), 30);
      const judged = await driver.run(scenario.number, 4, "distributed");
      while (recorder.quietMs < 400) await new Promise((resolve) => setTimeout(resolve, 50));
      const recording = await recorder.finish();
      const file = new URL(`../web/fixtures/s${scenario.number}.json`, import.meta.url);
      writeFileSync(file, `${JSON.stringify({ recording, judged, scenario })}\n`);
    }
  };
  if (process.env.VTEPD_WRITE === "1") it("is recorded", recordAll);
});

describe("what is broken shows where it breaks", () => {
  const harm = (at: number) => execFileSync("sh", ["-c", driver.lesson.faults[at]!.break.split(" && ")[0]!]);
  const first = (walk: Walk) => {
    const { hop, causes } = walk.trouble!;
    const { from, to, state: how, step, reason } = walk.hops[hop]!;
    return { way: `${from} > ${to}`, how, step, reason: reason?.name, causes: causes.join("\n") };
  };

  it("another VNI: gw2 drops what gw1 asks", async () => {
    harm(0);
    const { causes, ...red } = first(await made(2));
    expect(red).toEqual({ way: "gateway gw1 > gateway gw2", how: "dropped", step: 4, reason: "unknown_vni" });
    expect(causes).toContain("VNI 21 is on gw2 alone (VSI vsi20)");
  });

  it("a missing tunnel: what gw1 should ask gw2 is never sent", async () => {
    harm(1);
    const { causes, ...red } = first(await made(2));
    expect(red).toEqual({ way: "gateway gw1 > gateway gw2", how: "missing", step: 4, reason: "missing" });
    expect(causes).toBe("gw1 does not use its tunnel gw2 for VNI 20, which gw2 has, too");
  });

  it("an MTU that is too small: gw1 refuses the packet, and says so to vm1", async () => {
    // Warm, so that the packet does not wait.
    await made(2);
    harm(2);
    expect((await vtepctl(state.name, "gw1", ["config", "reload"])).status).toBe(0);
    const inside = ["netns", "exec", namespaceOf(state, "vm1"), "ping", "-c1", "-W1", "-Mdo", "-s1400", "20.1.1.12"];
    const shoot = ({ kind }: WalkLine) => kind === "armed" && spawn("ip", inside, { stdio: "ignore" });
    const walk = walkIn(await post("/api/watch", {}, shoot));
    const { causes, ...red } = first(walk);
    expect(red).toMatchObject({ way: "ac gw1 vm1 > gateway gw1", how: "dropped", reason: "mtu" });
    expect(causes).toContain("VNI 20: the VSI-interface's MTU differs");
    expect(walk.hops.at(-1)!.text).toContain("ICMP unreachable");
    for (const [node, text] of files) writeFileSync(fileOf(node), text);
    expect((await vtepctl(state.name, "gw1", ["config", "reload"])).status).toBe(0);
  });

  it("a wrong mask: gw1 does not look for vm5, but sends its packet to the Border", async () => {
    harm(3);
    const walk = await made(2);
    const { causes, ...red } = first(walk);
    expect(red).toEqual({ way: "gateway gw1 > ac gw1 vm2", how: "missing", step: 4, reason: "missing" });
    const own = (mask: number) => `20.1.1.1/${mask} 2001:db8:20::1/64 fe80::1/64`;
    expect(causes).toContain(`VNI 20: the gateway address differs: ${own(29)} on gw1; ${own(24)} on gw2`);
    expect(walk.arrived).toBe(true);
  });

  it("mended, the walk is whole again", async () => {
    for (const { break: breaks, mend } of driver.lesson.faults)
      for (const line of [breaks, mend]) execFileSync("sh", ["-c", line.split(" && ")[0]!]);
    for (const node of NODES) expect(readFileSync(fileOf(node), "utf8")).toBe(files.get(node));
    expect((await made(2)).trouble).toBeNull();
  });
});

describe.skipIf(noBrowser !== null)("the page", () => {
  it("counts what vtepctl show counts", async () => {
    const { page } = await openPage(browser!, web.url);
    for (const node of NODES) {
      await page.waitForSelector(`[data-gateway=${node}]`);
      const rows = async (what: string) => {
        const { stdout } = await vtepctl(state.name, node, ["show", what, "-o", "json"]);
        return (JSON.parse(stdout) as unknown[]).length;
      };
      const shown = async (what: string) =>
        await page.locator(`[data-gateway=${node}] [data-count=${what}]`).textContent();
      expect(await shown("tunnels")).toBe(String(await rows("tunnel")));
      expect(await shown("vsis")).toBe(String(await rows("vsi")));
      expect(await shown("routes")).toBe(String(await rows("route")));
      const acs = await rows("ac");
      expect(await shown("acs")).toBe(`${acs}/${acs}`);
    }
    expect(await page.locator("svg .gateway").count()).toBe(3);
    expect(await page.locator("svg .leaf").count()).toBe(7);
    expect(await page.locator("svg .cable").count()).toBe(3);
    await page.context().close();
  });

  it("makes a walk by a click, goes through it by keys, and keeps it as a file that needs no server", async () => {
    const { page, complaints } = await openPage(browser!, web.url);
    await page.goto(`http://127.0.0.1:${web.port}/#/walk`);
    await page.click("text=S2");
    // A walk that was made before is shown until this one is there.
    await page.waitForSelector(".progress");
    await page.waitForSelector(".progress", { state: "detached", timeout: 60_000 });
    const hops = await page.locator("[data-hop]").count();
    expect(hops).toBeGreaterThanOrEqual(18);
    const where = () => page.locator(".where").textContent();
    expect(await where()).toBe(`hop 1 of ${hops}`);
    await page.keyboard.press("End");
    expect(await where()).toBe(`hop ${hops} of ${hops}`);
    await page.keyboard.press("ArrowLeft");
    expect(await where()).toBe(`hop ${hops - 1} of ${hops}`);
    await page.keyboard.press("Home");
    for (let at = 1; at < hops && (await page.locator("[data-arp=gw1] li").count()) < 2; at++)
      await page.keyboard.press("ArrowRight");
    const entries = await page.locator("[data-arp=gw1] li").allTextContents();
    expect(entries.map((text) => /^[\d.]+ \S+/.exec(text)?.[0])).toEqual(["10.1.1.11 M1", "20.1.1.12 G2.20"]);
    await page.check("text=predict each hop");
    expect(await page.locator("[data-hop]").count()).toBe(1);
    await page.locator(".choices button").first().click();
    await page.click("text=see the frame");
    expect(await page.locator("[data-hop]").count()).toBe(2);
    const [file] = await Promise.all([page.waitForEvent("download"), page.click("button >> text=as a file")]);
    const path = join(folderOf(state.name), "walk.html");
    await file.saveAs(path);
    expect(file.suggestedFilename()).toBe("walk-s2.html");
    expect(complaints).toEqual([]);
    await page.context().close();
    const kept = await openPage(browser!, `file://${path}`);
    await kept.page.waitForSelector("svg.stage");
    expect(await kept.page.locator("[data-hop]").count()).toBe(hops);
    await kept.page.keyboard.press("End");
    expect(await kept.page.locator(".where").textContent()).toBe(`hop ${hops} of ${hops}`);
    expect(kept.requests.filter((each) => !each.startsWith("file://"))).toEqual([]);
    expect(kept.complaints).toEqual([]);
    await kept.page.context().close();
  });

  it("walks by IPv6 where the reader chooses it", async () => {
    const { page, complaints } = await openPage(browser!, web.url);
    await page.goto(`http://127.0.0.1:${web.port}/#/walk`);
    await page.waitForSelector("text=S1");
    await page.selectOption("label:has-text('by') select", "6");
    await page.click("text=S1");
    await page.waitForSelector("text=who has 2001:db8:10::12?", { timeout: 60_000 });
    expect(await page.locator("h2", { hasText: "by IPv6" }).count()).toBe(1);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});
