/** `vtepctl show evpn` and its tables against the real API. */
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { addEvpn, type EvpnSource } from "../../src/api/evpn.ts";
import { listenUnix } from "../../src/api/listener.ts";
import { NEXT } from "../../src/api/pages.ts";
import type { Evpn } from "../../src/api/schema-evpn.ts";
import { STEP } from "../../src/control/sorted.ts";
import { ask } from "../../src/ctl/client.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { forget, out } from "./said.ts";

const VIEW: Evpn = {
  engine: { socket: "/run/bgp.sock", up: true, api: "v4", problem: null },
  ...{ as: 65000, routerId: "192.0.2.1", vtep: "192.0.2.1", state: "synced", stateSeconds: 5, backlog: 0 },
  routes: { in: 3, out: 2, stale: 0, pending: 0 },
  ...{ peers: [], vsis: [], vrfs: [] },
};

/** Ask the API behind which `source` is. */
async function at<T>(source: Partial<EvpnSource>, use: (socket: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "vtepctl-"));
  const socket = join(folder, "gw1.sock");
  const routes = (app: Parameters<typeof addEvpn>[0]) => addEvpn(app, () => source as EvpnSource);
  const listener = await listenUnix(createApi({ version: "1.2.3", features: [{ routes }] }), socket);
  try {
    return await use(socket);
  } finally {
    listener.close();
    rmSync(folder, { recursive: true });
  }
}

const show = (source: Partial<EvpnSource>, ...args: string[]) =>
  at(source, (socket) => runCommand(["-s", socket, "-o", "table", "show", "evpn", ...args]));

it("names the gateways that have one router id, and nothing where each has its own", async () => {
  const sharedRouterIds = [
    { routerId: "192.0.2.1", isOurs: true, vteps: ["192.0.2.2"] },
    { routerId: "192.0.2.7", isOurs: false, vteps: ["192.0.2.8", "192.0.2.9"] },
  ];
  expect(await show({ view: () => ({ ...VIEW, sharedRouterIds }) })).toBe(0);
  expect(out).toContain(
    "routes   3 in, 2 out\n" +
      "problem  router id 192.0.2.1 is ours, and that of 192.0.2.2: give each its own evpn.routerId\n" +
      "problem  router id 192.0.2.7 is that of 192.0.2.8, 192.0.2.9: give each its own evpn.routerId\n\n",
  );
  for (const none of [{}, { sharedRouterIds: [] }]) {
    const before = out.length;
    expect(await show({ view: () => ({ ...VIEW, ...none }) })).toBe(0);
    expect(out.slice(before)).not.toContain("problem");
  }
});

describe("VTEPs", () => {
  const VTEPS = ["9.0.0.1", "10.0.0.1", "10.0.0.9", "192.0.2.2", "2001:db8::9", "2001:db8::10"].map((vtep) => ({
    ...{ vtep, tunnel: null, vnis: [10], routes: 1, refused: "no bridge port is free" },
  }));
  let made = 0;
  const source: Partial<EvpnSource> = {
    *vteps() {
      for (const row of VTEPS) {
        made++;
        yield STEP;
        yield row;
      }
    },
  };
  beforeEach(() => {
    made = 0;
  });

  it("come a page at a time, each once and in order, IPv6 behind IPv4", async () => {
    const pages: string[][] = [];
    await at(source, async (socket) => {
      let after: string | null = "";
      while (after !== null) {
        const query: string = after === "" ? "" : `&after=${encodeURIComponent(after)}`;
        const answer = await fetched(socket, `/v1/evpn/vteps?limit=2${query}`);
        pages.push((JSON.parse(answer.text) as { vtep: string }[]).map(({ vtep }) => vtep));
        after = answer.next;
      }
      await expect(ask(socket, "/v1/evpn/vteps?limit=2&after=vtep")).rejects.toMatchObject({ code: "bad_request" });
      expect(await ask(socket, "/v1/evpn/vteps?after=192.0.2.2")).toEqual(VTEPS.slice(4));
      expect(await ask(socket, "/v1/evpn/vteps")).toEqual(VTEPS);
    });
    expect(pages.flat()).toEqual(VTEPS.map(({ vtep }) => vtep));
    expect(pages.map(({ length }) => length)).toEqual([2, 2, 2]);
  });

  it("are asked for as far as they are shown", async () => {
    expect(await show(source, "vteps", "--lines", "2")).toBe(0);
    expect(
      out
        .split("\n")
        .slice(1, 3)
        .map((line) => line.split(" ")[0]),
    ).toEqual(["9.0.0.1", "10.0.0.1"]);
    expect([out.includes("10.0.0.9"), made]).toEqual([false, 3]);
    forget();
    expect(await show(source, "vteps", "--lines", "2", "2001")).toBe(0);
    expect(out).toContain("2001:db8::10");
  });
});

function fetched(socketPath: string, path: string): Promise<{ readonly text: string; readonly next: string | null }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, agent: false }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
      answer.on("end", () => resolve({ text, next: (answer.headers[NEXT] as string | undefined) ?? null }));
    });
    asked.on("error", reject);
    asked.end();
  });
}
