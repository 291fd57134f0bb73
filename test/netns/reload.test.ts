/**
 * A configuration that changes under load: 5,000 numbered packets a second go through VXLAN 10 from vm1 to vm4 while VSIs,
 * tunnels, ACs, routes and policies elsewhere come and go on both gateways, twenty times. None is lost, none comes twice, none
 * out of order; and when the first file is back, everything the gateways know of their configuration is as it was.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { CheckReport } from "../../src/api/schema.ts";
import { ask } from "../../src/ctl/client.ts";
import { until, within } from "../../src/lab/deadline.ts";
import { type Article, addressOf, openArticle } from "./article-bed.ts";
import { type Gateway, whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

const missing = whyNoGateways("python3");
if (missing) console.log(`reload.test.ts skipped: ${missing}`);

const NUMBERED = fileURLToPath(new URL("numbered.py", import.meta.url));
const RATE = 5000;
const CHANGES = 20;
const PORT = 7777;

type File = Record<string, Record<string, unknown>[]>;

/** What the n-th change adds to a gateway's file, besides VXLAN 10. */
const ADDITIONS: readonly ((file: File, n: number) => void)[] = [
  (file, n) => file.vsis!.push({ name: `extra${n}`, vni: 1000 + n }),
  (file, n) => file.tunnels!.push({ name: `far${n}`, remote: `192.0.2.${100 + n}` }),
  (file, n) => {
    file.vsis!.push({ name: `extra${n}`, vni: 1000 + n });
    file.interfaces!.push({ name: `extra-interface${n}`, vsi: `extra${n}`, address: `77.1.${n}.1/24` });
    file.acs!.push({ name: `extra-vm${n}`, vsi: `extra${n}`, tap: { device: `extra${n}` } });
  },
  (file, n) => {
    file.routes = [...(file.routes ?? []), { prefix: `99.${n}.0.0/16`, action: "discard" }];
  },
  (file, n) => {
    file.vsis!.push({ name: `extra${n}`, vni: 1000 + n });
    file.interfaces!.push({ name: `extra-interface${n}`, vsi: `extra${n}`, address: `77.1.${n}.1/24` });
    const rules = [{ match: { protocol: "tcp", destinationPorts: [n + 1] }, action: "drop" }];
    file.policies = [...(file.policies ?? []), { name: `extra-p${n}`, interfaces: [`extra-interface${n}`], rules }];
  },
];

describe.skipIf(missing !== undefined)("a reload under load", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("reload");
    await ping(article.bed, "vm1", addressOf("vm4"));
  });
  afterAll(() => article?.gateways.remove());

  /** What the gateway knows of its configuration: everything that no frame changes. */
  async function knows(gateway: Gateway): Promise<unknown> {
    const [config, routes, policies, interfaces, vsis, tunnels, acs] = await Promise.all([
      gateway.ctl("config", "get", "-o", "json").then(({ stdout }) => stdout),
      gateway.show<{ origin: string }>("route"),
      gateway.show<{ rules: object[] }>("policy"),
      gateway.show<object>("interface"),
      gateway.show<object>("vsi"),
      gateway.show<object>("tunnel"),
      gateway.show<object>("ac"),
    ]);
    const still = (list: readonly object[]) =>
      list.map((each) => ({ ...each, receive: 0, transmit: 0, macs: 0, neighbors: 0, rttMs: 0, probe: 0 }));
    return {
      config,
      routes: routes.filter(({ origin }) => origin !== "host"),
      policies: policies.map(({ rules, ...rest }) => ({ ...rest, rules: rules.map((rule) => ({ ...rule, hits: 0 })) })),
      lists: [interfaces, vsis, acs].map(still),
      tunnels: tunnels.map((tunnel) => (tunnel as { name: string }).name),
    };
  }

  test("loses, doubles and reorders nothing in twenty changes", { timeout: 120_000 }, async () => {
    const { bed, gw1, gw2 } = article;
    const both = [gw1, gw2];
    const originals = both.map(({ file }) => readFileSync(file, "utf8"));
    const before = await Promise.all(both.map(knows));
    const count = RATE * 25;
    const receiver = bed.follow("vm4", "python3", [NUMBERED, "receive", String(PORT), String(count)]);
    let said = "";
    receiver.stdout!.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const received = new Promise<void>((resolve) => receiver.on("close", () => resolve()));
    await until("the receiver to listen", 10_000, () => said.includes("listening"));
    const args = [NUMBERED, "send", addressOf("vm4"), String(PORT), String(count), String(RATE)];
    let isSending = true;
    const sent = bed.must("vm1", "python3", args, 100_000).finally(() => {
      isSending = false;
    });
    let changed = 0;
    for (let n = 0; n < CHANGES; n++) {
      const gateway = both[n % 2]!;
      const file = parse(originals[n % 2]!) as File;
      ADDITIONS[n % ADDITIONS.length]!(file, n);
      // Every fourth change is back to the first file: what was added goes under load too.
      writeFileSync(gateway.file, n % 4 >= 2 ? originals[n % 2]! : stringify(file), { mode: 0o600 });
      const report = await ask<CheckReport>(gateway.socket, "/v1/config/reload", "POST", { timeoutMs: 30_000 });
      if (report.changes.length > 0) changed++;
    }
    expect(isSending, "the packets must go on until the last change").toBe(true);
    both.forEach(({ file }, i) => {
      writeFileSync(file, originals[i]!, { mode: 0o600 });
    });
    for (const gateway of both) expect((await gateway.ctl("config", "reload")).status).toBe(0);
    const { seconds } = JSON.parse(await sent) as { seconds: number };
    await within("the receiver's end", 60_000, received);
    console.log(`${count} packets in ${seconds.toFixed(1)} s, ${changed} changes: ${said.trim().split("\n").at(-1)}`);
    expect(changed).toBeGreaterThanOrEqual(CHANGES - 2);
    expect(JSON.parse(said.trim().split("\n").at(-1)!)).toEqual({ came: count, twice: 0, late: 0 });
    expect(await Promise.all(both.map(knows))).toEqual(before);
  });
});
