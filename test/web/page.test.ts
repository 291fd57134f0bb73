/**
 * The page of `vtepctl web` over gateways that are only an API: what it shows, what it costs, and what hostile names do to it.
 */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { serveWeb, type Web } from "../../src/web/serve.ts";
import { noBrowser, openBrowser, openPage, seriousIn } from "./browser.ts";
import { answersOf, FakeGateway, leaning } from "./fake-gateway.ts";

const VIEWS = ["fabric", "walk", "trace", "tables", "events"];

/** What a page shows, and what must not be in it. */
const LOOK = `({
  elements: document.querySelectorAll("main img, main script, main iframe, main object, [onerror]").length,
  text: document.body.innerText,
  names: [...document.querySelectorAll("[aria-label]")].map((each) => each.getAttribute("aria-label")).join(),
})`;

let browser: Browser;
let web: Web | null = null;
let gateways: FakeGateway[] = [];

beforeAll(async () => {
  if (noBrowser === null) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
});
afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close();
  await web?.close();
  web = null;
  for (const gateway of gateways) gateway.stop();
  gateways = [];
});

async function serve(...all: readonly (readonly [string, Record<string, unknown>])[]): Promise<string> {
  gateways = await Promise.all(all.map(([node, answers]) => new FakeGateway(node, answers).start()));
  web = await serveWeb({
    sockets: () => gateways.map(({ socket }) => socket),
    listen: { host: "127.0.0.1", port: 0 },
    version: "0",
  });
  return web.url;
}

const two = () =>
  serve(
    ["gw1", answersOf("gw1", "192.0.2.1", [{ name: "gw2", remote: "192.0.2.2" }])],
    ["gw2", answersOf("gw2", "192.0.2.2", [{ name: "one", remote: "192.0.2.1" }], [10, 20], "vm4")],
  );

it("is small: 70 KB and no more, packed, with everything it loads", () => {
  const files = ["page.js", "style.css", "index.html", "icon.svg"];
  const bytes = files.map((name) => gzipSync(readFileSync(`dist/web/page/${name}`), { level: 9 }).length);
  expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(70_000);
});

describe.skipIf(noBrowser !== null)("in a browser", () => {
  it("takes the token out of the address, asks no other server, and breaks no rule of its own", async () => {
    const url = await two();
    const { page, requests, complaints } = await openPage(browser, url);
    await page.waitForSelector("[data-gateway=gw2]");
    expect(page.url()).not.toContain("t=");
    for (const view of VIEWS) {
      await page.goto(`http://127.0.0.1:${web!.port}/#/${view}`);
      await page.waitForSelector("main h2");
    }
    const origins = new Set(requests.map((each) => new URL(each).origin));
    expect([...origins]).toEqual([`http://127.0.0.1:${web!.port}`]);
    expect(requests.filter((each) => each.includes("t="))).toEqual([]);
    expect(complaints).toEqual([]);
    expect(await page.context().cookies()).toEqual([]);
  });

  it("draws a node for each gateway and AC, and one cable for two tunnels whose names differ", async () => {
    const { page } = await openPage(browser, await two());
    await page.waitForSelector("[data-gateway=gw2]");
    expect(await page.locator("svg .gateway").count()).toBe(2);
    expect(await page.locator("svg .leaf").count()).toBe(2);
    expect(await page.locator("svg .cable").count()).toBe(1);
    const label = await page.locator("svg .cable").getAttribute("aria-label");
    expect(label).toContain("gw1 – gw2: up, VNI 10, 20");
  });

  it("lists what the gateways lean on, troubles first, and has no card where there is nothing of it", async () => {
    const plain = await openPage(browser, await two());
    await plain.page.waitForSelector("[data-gateway=gw2]");
    const isAsked = () => gateways.every(({ asked }) => asked.some(({ path }) => path.startsWith("/v1/next-hops")));
    await expect.poll(isAsked, { timeout: 20_000 }).toBe(true);
    expect(await plain.page.locator("#redundancy-title").count()).toBe(0);
    await web!.close();
    const status = answersOf("gw1", "192.0.2.1", [])["/v1/status"] as object;
    const draining = { "/v1/status": { ...status, ready: false, missing: ["draining: track isp is down"] } };
    const url = await serve(["gw1", { ...answersOf("gw1", "192.0.2.1", []), ...leaning("isp"), ...draining }]);
    const { page } = await openPage(browser, url);
    await page.waitForSelector("[data-redundancy=gw1]");
    const rows = await page.locator("[data-redundancy=gw1]").allTextContents();
    expect(rows).toHaveLength(4);
    expect(rows[0]).toContain("next hop 10.1.1.2 behind b1 on isp");
    expect(rows[1]).toMatch(/track isp: 203\.0\.113\.1 via 50\.1\.1\.1 on outside.*down.*1 min.*route 0\.0\.0\.0\/0/);
    expect(rows[2]).toMatch(/BFD of tunnel isp.*down, tunnel down; detectionTimeExpired; the peer says down, none/);
    expect(rows[3]).toContain("draining: track isp is down");
  });

  it("says among them that a gateway does not answer, which leans on nothing that is known", async () => {
    const { page } = await openPage(browser, await two());
    await page.waitForSelector("[data-gateway=gw2]");
    gateways[1]!.stop();
    await page.waitForSelector("[data-redundancy]");
    const rows = await page.locator("[data-redundancy]").allTextContents();
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatch(/gw2.*the gateway.*gw2\.sock/);
    expect(await page.locator("[data-redundancy] td.bad").count()).toBe(1);
  });

  it("says what one end of a tunnel has and the other has not", async () => {
    const url = await serve(
      ["gw1", answersOf("gw1", "192.0.2.1", [{ name: "gw2", remote: "192.0.2.2" }], [10, 20])],
      ["gw2", answersOf("gw2", "192.0.2.2", [{ name: "gw1", remote: "192.0.2.1" }], [10, 21], "vm4")],
    );
    const { page } = await openPage(browser, url);
    await page.waitForSelector("[data-gateway=gw2]");
    expect(await page.locator("svg .cable").getAttribute("aria-label")).toContain("one-sided");
    await page.locator("svg .cable").click();
    await page.waitForSelector("text=20, 21");
  });

  it("says what watches a tunnel, and how soon it would notice", async () => {
    const { page } = await openPage(browser, await two());
    await page.waitForSelector("[data-gateway=gw2]");
    await page.locator("svg .cable").click();
    const words = "BFD up, asked every 50 ms, down after 150 ms of silence";
    await page.waitForSelector(`.detail >> text=one: up, packets up to 1450 bytes, 0.10 ms; ${words}`);
  });

  it("says that a gateway is silent, in its place, and goes on with the others", async () => {
    const { page } = await openPage(browser, await two());
    await page.waitForSelector("[data-gateway=gw2]");
    gateways[1]!.stop();
    await page.waitForSelector("[data-health=bad]");
    expect(await page.locator("[data-gateway=gw2]").textContent()).toContain("there is no such socket");
    expect(await page.locator("[data-gateway=gw1]").textContent()).toContain("ready");
  });

  it("leads from an address in an event to what all gateways know of it", async () => {
    const url = await two();
    const mac = "02:00:00:00:00:11";
    const known = { interface: "if10", vsi: "vsi10", mac, state: "reachable", kind: "host", via: null, ageSeconds: 0 };
    const tables = [
      { ...known, ip: "10.1.1.11" },
      { ...known, ip: "10.1.1.12" },
    ];
    for (const gateway of gateways) gateway.answers["/v1/neighbors"] = tables;
    const fields = { vsi: "vsi10", ip: "10.1.1.11", mac };
    const record = {
      seq: 1,
      time: "2026-01-01T00:00:00Z",
      level: "info",
      event: "neighbor.learned",
      step: null,
      fields,
    };
    gateways[0]!.answers["/v1/events/recent"] = [record];
    const { page, complaints } = await openPage(browser, url);
    await page.waitForSelector("[data-gateway=gw2]");
    await page.goto(`http://127.0.0.1:${web!.port}/#/events`);
    await page.click(".events td button >> text=10.1.1.11");
    await page.waitForSelector("text=1 of 2 rows");
    expect(await page.inputValue("input[type=search]")).toBe("10.1.1.11");
    expect(complaints).toEqual([]);
  });

  it("has neighbours and routes of IPv6 in its tables, beside IPv4's", async () => {
    const url = await two();
    const mac = "02:00:00:00:00:11";
    const known = { interface: "if10", vsi: "vsi10", mac, state: "reachable", kind: "host", via: null, ageSeconds: 0 };
    const route = { vrf: "main", origin: "static", action: "forward", interface: null, viaVrf: null };
    for (const gateway of gateways) {
      gateway.answers["/v1/neighbors"] = ["10.1.1.11", "2001:db8:10::11"].map((ip) => ({ ...known, ip }));
      gateway.answers["/v1/routes"] = [
        { ...route, prefix: "::/0", nextHops: [{ ip: "fe80::2%if10", alive: true }] },
        { ...route, prefix: "2001:db8:10::/64", nextHops: [], interface: "if10" },
      ];
    }
    const { page, complaints } = await openPage(browser, url);
    await page.waitForSelector("[data-gateway=gw2]");
    await page.goto(`http://127.0.0.1:${web!.port}/#/tables`);
    await page.fill("input[type=search]", "2001:db8:10::11");
    await page.waitForSelector("text=1 of 2 rows");
    expect(await page.locator("[data-table=neighbors] tbody").textContent()).toContain(mac);
    await page.fill("input[type=search]", "");
    await page.click("label >> text=Routes");
    await page.waitForSelector("[data-table=routes]");
    const rows = await page.locator("[data-table=routes] tbody tr").allTextContents();
    expect(rows.map((row) => row.replace(/static.*/, ""))).toEqual([
      "main::/0fe80::2%if10 ",
      "main2001:db8:10::/64if10 ",
    ]);
    expect(complaints).toEqual([]);
  });

  it("follows a solicitation of IPv6, and a packet of it", async () => {
    const url = await two();
    const fate = { kind: "punted", reason: null, class: "nd", text: "punted: nd", next: "it answers" };
    const trace = { packet: "nd who has ::1", steps: [], fate, sends: [], next: [], injected: false };
    for (const gateway of gateways) gateway.answers["/v1/trace"] = trace;
    const { page, complaints } = await openPage(browser, url);
    await page.waitForSelector("[data-gateway=gw2]");
    await page.goto(`http://127.0.0.1:${web!.port}/#/trace`);
    const asked = () => gateways.flatMap((gateway) => gateway.asked.filter(({ path }) => path === "/v1/trace"));
    for (const protocol of ["nd", "icmp"]) {
      await page.getByLabel("its address").fill("2001:db8:10::11");
      await page.getByLabel("to", { exact: true }).fill("2001:db8:10::12");
      await page.getByLabel("protocol").selectOption(protocol);
      await page.click("button >> text=follow it");
      await page.waitForSelector("text=punted: nd");
      // The answer before stays on the page meanwhile.
      await expect
        .poll(() => asked().map(({ body }) => (JSON.parse(body) as { protocol: string }).protocol))
        .toContain(protocol);
    }
    const around = { source: "2001:db8:10::11", destination: "2001:db8:10::12" };
    expect(asked().map(({ body }) => JSON.parse(body))).toMatchObject([
      { ...around, protocol: "nd" },
      { ...around, protocol: "icmp", ttl: 64 },
    ]);
    expect(complaints).toEqual([]);
  });

  it("leaves connections for other pages: of one browser four show events, and the fifth says why it does not", async () => {
    const url = await two();
    const { page, complaints } = await openPage(browser, url);
    await page.waitForSelector("[data-gateway=gw2]");
    const pages = [page];
    while (pages.length < 7) {
      const next = await page.context().newPage();
      await next.goto(url);
      await next.waitForSelector("[data-gateway=gw2]");
      pages.push(next);
    }
    for (const [i, each] of pages.entries()) {
      await each.goto(`http://127.0.0.1:${web!.port}/#/events`);
      await each.waitForSelector("main h2");
      if (i >= 4) await each.waitForSelector("text=4 pages of this browser show events");
    }
    await pages[6]!.reload();
    await pages[6]!.goto(`http://127.0.0.1:${web!.port}/#/fabric`);
    await pages[6]!.waitForSelector("[data-gateway=gw2]");
    expect(complaints).toEqual([]);
  });

  it("asks nothing while it is hidden", async () => {
    const { page } = await openPage(browser, await two());
    await page.waitForSelector("[data-gateway=gw2]");
    await page.evaluate(`Object.defineProperty(document, "hidden", { get: () => true });
      document.dispatchEvent(new Event("visibilitychange"))`);
    await page.waitForTimeout(1500);
    for (const gateway of gateways) gateway.asked.length = 0;
    await page.waitForTimeout(2500);
    expect(
      gateways.flatMap(({ asked }) => asked.map(({ path }) => path)).filter((path) => path.startsWith("/v1/snapshot")),
    ).toEqual([]);
  });

  it("shows hostile names as text: no element, no script, nothing that turns the line around", async () => {
    const image = '<img src=x onerror="document.title=1;alert(1)">';
    const turned = "gw\u202e1\u0000\u001b[31m";
    const long = "a".repeat(65_536);
    const answers = answersOf(image, "192.0.2.1", [{ name: image, remote: "192.0.2.2" }], [10, 20], turned);
    const script = "<script>document.title=1</script>";
    answers["/v1/neighbors"] = [
      { interface: image, vsi: script, ip: long, mac: turned, state: image, kind: "host", via: null, ageSeconds: 0 },
    ];
    answers["/v1/doctor"] = { checks: [{ name: image, result: "fail", text: long + script, fix: turned }] };
    answers["/v1/drops"] = [{ reason: image, count: 1, text: turned, last: { secondsAgo: 1, frame: script } }];
    const record = { time: image, level: "warn", event: script, step: image, fields: { [image]: long, b: turned } };
    answers["/v1/events/recent"] = [record];
    answers["/v1/events"] = `: \n\nevent: x\ndata: ${JSON.stringify(record)}\n\n`;
    // A socket's path has 107 bytes.
    const { page, requests, complaints } = await openPage(browser, await serve([long.slice(0, 50), answers]));
    await page.waitForSelector("[data-gateway]");
    for (const view of VIEWS) {
      await page.goto(`http://127.0.0.1:${web!.port}/#/${view}`);
      await page.waitForSelector("main h2");
      await page.waitForTimeout(500);
      const found = (await page.evaluate(LOOK)) as { elements: number; text: string; names: string };
      expect(found.elements).toBe(0);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
      expect(found.text + found.names).not.toMatch(/[\u0000-\u0008\u001b\u202a-\u202e\u2066-\u2069]/);
      expect(found.text.length).toBeLessThan(20_000);
    }
    await page.goto(`http://127.0.0.1:${web!.port}/#/events`);
    await page.waitForSelector("text=\\u{202e}");
    expect(complaints).toEqual([]);
    expect(requests.filter((each) => !each.startsWith(`http://127.0.0.1:${web!.port}/`))).toEqual([]);
  });

  it.each(["light", "dark"] as const)("has nothing serious that axe finds, in %s", async (colorScheme) => {
    const url = await two();
    const { page } = await openPage(browser, url, { colorScheme, bypassCSP: true });
    await page.waitForSelector("[data-gateway=gw2]");
    for (const view of VIEWS) {
      await page.goto(`http://127.0.0.1:${web!.port}/#/${view}`);
      await page.waitForSelector("main h2");
      expect([view, await seriousIn(page)]).toEqual([view, []]);
    }
  });
});
