/** EVPN in the page: what is on the screen is what `vtepctl show evpn` tells of the same gateways, and what stands in their tables. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Evpn, EvpnDuplicate, EvpnRoute } from "../../src/api/schema-evpn.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { serveWeb, type Web } from "../../src/web/serve.ts";
import { forget, out } from "../ctl/said.ts";
import { noBrowser, openBrowser, openPage, seriousIn } from "./browser.ts";
import { EvpnGateways } from "./evpn-gateways.ts";

let browser: Browser;
let web: Web;
let bed: EvpnGateways;

const guest = (n: number, ac: string, mac: string) =>
  bed.world.vm([...bed.world.gateways.values()][n - 1]!, {
    ...{ name: `${ac} ${mac}`, ac, ip: `10.1.1.${10 + n}`, mac, gateway: "10.1.1.1" },
  });

beforeAll(async () => {
  bed = new EvpnGateways();
  await bed.join(1);
  await bed.join(2);
  bed.pass(500);
  guest(1, "a1", "02:00:00:00:01:11").ask("10.1.1.1");
  guest(2, "a2", "02:00:00:00:01:12").ask("10.1.1.1");
  bed.pass(2000);
  web = await serveWeb({ sockets: () => bed.sockets, listen: { host: "127.0.0.1", port: 0 }, version: "0" });
  if (noBrowser === null) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await web.close();
  bed.remove();
});

/** What `vtepctl` says of gateway `n`, read. */
async function told<T>(n: number, ...words: string[]): Promise<T> {
  forget();
  expect(await runCommand(["-s", bed.sockets[n - 1]!, ...words, "-o", "json"])).toBe(0);
  return JSON.parse(out) as T;
}

describe.skipIf(noBrowser !== null)("in a browser", () => {
  beforeEach(async () => {
    for (const context of browser.contexts()) await context.close();
  });

  it("engine, sessions and VSIs have the numbers of `vtepctl show evpn`", async () => {
    const { page, complaints } = await openPage(browser, web.url);
    await page.waitForSelector("[data-evpn=gw2]");
    for (const n of [1, 2]) {
      const said = await told<Evpn>(n, "show", "evpn");
      const text = async (selector: string) =>
        (await page.locator(`[data-evpn=gw${n}]${selector}`).first().textContent())!.trim();
      expect(await text(" [data-count=in]")).toBe(String(said.routes.in));
      expect(await text(" [data-count=out]")).toBe(String(said.routes.out));
      expect(said.routes.in).toBeGreaterThan(0);
      expect(await page.locator(`[data-evpn=gw${n}] [data-peer]`).count()).toBe(said.peers.length);
      expect(await text(" [data-peer]")).toContain(`${said.peers[0]!.address} ${said.peers[0]!.state}`);
      expect(await text(" td")).toContain("in sync since");
      for (const vsi of said.vsis) {
        const at = `[data-vsi=${vsi.vsi}] `;
        expect(await text(`${at}[data-count=vteps]`)).toBe(String(vsi.vteps));
        expect(await text(`${at}[data-count=macs]`)).toBe(`${vsi.macs.used}/${vsi.macs.out}`);
        expect(await text(`${at}[data-count=ips]`)).toBe(`${vsi.ips.used}/${vsi.ips.out}`);
        expect(await text(`${at}[data-count=moves]`)).toBe(`${vsi.moves.in}/${vsi.moves.out}`);
        expect(await text(`${at}[data-count=duplicates]`)).toBe(String(vsi.duplicates));
      }
    }
    expect(complaints).toEqual([]);
  });

  it("says of no host that gateways differ about it where one has it twice: known, and answered for", async () => {
    const { page } = await openPage(browser, `${web.url}`);
    await page.evaluate('location.hash = "#/tables"');
    await page.waitForSelector("main tbody tr");
    expect(await page.locator("main tbody").first().textContent()).toContain("suppressed");
    expect(await page.locator("tr.differs").count()).toBe(0);
  });

  it.each(["light", "dark"] as const)("has nothing serious that axe finds, in %s", async (colorScheme) => {
    const { page } = await openPage(browser, web.url, { colorScheme, bypassCSP: true });
    await page.waitForSelector("[data-evpn=gw2]");
    expect(await seriousIn(page)).toEqual([]);
    await page.goto(`http://127.0.0.1:${web.port}/#/tables`);
    await page.click("text=EVPN");
    await page.waitForSelector("[data-table=evpn] tbody tr");
    expect(await seriousIn(page)).toEqual([]);
  });

  it("a tunnel that routes brought is marked as discovered, in the picture and in its words", async () => {
    const { page } = await openPage(browser, web.url);
    await page.waitForSelector("[data-gateway=gw2]");
    const tunnels = await told<{ name: string }[]>(1, "show", "tunnel");
    expect(tunnels.map(({ name }) => name)).toEqual(["evpn:192.0.2.2"]);
    expect(await page.locator("svg .cable").getAttribute("aria-label")).toContain("discovered by EVPN");
    await page.locator("svg .cable").click();
    await page.waitForSelector(".detail >> text=evpn:192.0.2.2: unwatched, discovered (EVPN)");
  });

  it("each route stands in the tables once, with its state on each gateway and the entry that it made", async () => {
    const { page } = await openPage(browser, web.url);
    await page.waitForSelector("[data-evpn=gw2]");
    await page.goto(`http://127.0.0.1:${web.port}/#/tables`);
    await page.click("text=EVPN");
    await page.waitForSelector("[data-table=evpn] tbody tr");
    const all: EvpnRoute[][] = [];
    for (const n of [1, 2]) all.push(await told<EvpnRoute[]>(n, "show", "evpn", "routes"));
    const keys = new Set(all.flat().map(({ rd, route }) => `${rd} ${route}`));
    expect(await page.locator("[data-table=evpn] tbody tr").count()).toBe(keys.size);
    for (const [i, routes] of all.entries())
      expect(await page.locator(`[data-table=evpn] td[data-node=gw${i + 1}] > div`).count()).toBe(routes.length);
    const host = page.locator("tr", { hasText: "[2]:[0]:[48]:[02:00:00:00:01:12]:[32]:[10.1.1.12]" });
    expect(await host.locator("td").first().textContent()).toBe("VNI 10 vsi10");
    expect(await host.locator("td[data-node=gw1]").textContent()).toMatch(
      /^used by 192\.0\.2\.2.*; MAC → tunnel evpn:192\.0\.2\.2; ARP 10\.1\.1\.12 → tunnel evpn:192\.0\.2\.2$/,
    );
    expect(await host.locator("td[data-node=gw2]").textContent()).toMatch(/^announced ours.*; MAC at ac a2; ARP/);
    const flood = page.locator("tr", { hasText: "[3]:[0]:[32]:[192.0.2.2]" }).first();
    expect(await flood.locator("td[data-node=gw1]").textContent()).toContain("flooding → tunnel evpn:192.0.2.2");
  });

  it("MACs say that EVPN told them", async () => {
    const { page } = await openPage(browser, web.url);
    await page.waitForSelector("[data-evpn=gw2]");
    await page.goto(`http://127.0.0.1:${web.port}/#/tables`);
    await page.click("text=MAC");
    const row = page.locator("tr", { hasText: "02:00:00:00:01:12" });
    await row.waitFor();
    expect(await row.locator("td[data-node=gw1]").textContent()).toBe("tunnel evpn:192.0.2.2 evpn");
    expect(await row.locator("td[data-node=gw2]").textContent()).toBe("ac a2 learned");
  });

  it("a MAC that moves too often is named with the time in which it recovers", async () => {
    const mac = "02:00:00:00:01:aa";
    const [here, there] = [guest(1, "a1", mac), guest(2, "a2", mac)];
    for (let n = 0; n < 8; n++) {
      (n % 2 === 0 ? here : there).sendArp({ op: 1, targetIp: here.ip });
      bed.pass(3000);
    }
    const found = [...(await told<EvpnDuplicate[]>(1, "show", "evpn", "duplicates"))];
    found.push(...(await told<EvpnDuplicate[]>(2, "show", "evpn", "duplicates")));
    expect(found.map((each) => each.mac)).toContain(mac);
    const { page } = await openPage(browser, web.url);
    await page.waitForSelector(`.evpn >> text=${mac} in vsi10 moved`);
    expect(await page.locator(".evpn .findings").textContent()).toContain(`vtepctl evpn clear-duplicate ${mac}`);
    const shown = await page.locator(".evpn [data-count=duplicates]").allTextContents();
    expect(shown.reduce((sum, text) => sum + Number(text), 0)).toBe(found.length);
  });
});
