/** A fleet of which one does not answer: its row says so, the others are told, and the exit code is that of one that is missing. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { type Listener, listenUnix } from "../../src/api/listener.ts";
import type { Ac, Tunnel } from "../../src/api/schema.ts";
import type { Trace } from "../../src/api/schema-trace.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { journeyOf } from "../../src/web/journey.ts";
import { STATUS, sourceWith } from "../api/fake-source.ts";
import { err, forget, out } from "./said.ts";

let folder = "";
let gw1: Listener;
const none = { packets: 0, bytes: 0 };
const TRACE: Trace = {
  packet: "icmp",
  steps: [],
  fate: { kind: "sent", reason: null, class: null, text: "sent to tunnel gw3", next: null },
  sends: [],
  next: [{ tunnel: "gw3", remote: "192.0.2.3", local: "192.0.2.1", vni: 20, hex: "aabb" }],
  injected: false,
};
const SILENT = "gw3: no answer: cannot reach vtepd at ";

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "fleet-"));
  const source = sourceWith({
    status: () => ({ ...STATUS, node: "gw1" }),
    acs: () => [{ name: "vm1", vsi: "vsi10", device: null, mtu: 1450, up: true, receive: none, transmit: none } as Ac],
    tunnels: (): Tunnel[] => [],
    trace: () => TRACE,
  });
  gw1 = await listenUnix(createApi(source), join(folder, "gw1.sock"));
  writeFileSync(join(folder, "gw3.sock"), "");
});
afterEach(() => {
  gw1.close();
  rmSync(folder, { recursive: true });
});

const trace = (...args: string[]) => runCommand(["--fleet", folder, "trace", ...args, "10.1.1.11", "20.1.1.12"]);

it("trace goes on with those that answer, and exits with 3", async () => {
  expect(await trace("--ac", "vm1")).toBe(3);
  expect(out).toContain("gw1: icmp\n");
  expect(out).toContain(`\n${SILENT}`);
  expect(out).toContain("tunnel gw3 leads to 192.0.2.3, which was not asked or did not answer");
  forget();
  expect(await trace("--ac", "vm1", "-o", "json")).toBe(3);
  const { legs, silent } = JSON.parse(out);
  expect([legs.length, silent]).toMatchObject([1, [{ node: "gw3", error: { code: "unreachable" } }]]);
});

it("trace says that the gateway, or the AC, may be where there is no answer", async () => {
  expect(await trace("--gateway", "gw3", "--ac", "vm1")).toBe(3);
  forget();
  expect(await trace("--ac", "vm5")).toBe(4);
  expect(err).toContain(`asked: gw1; ${SILENT}`);
  gw1.close();
  expect(await trace("--ac", "vm1")).toBe(3);
});

it("the page's trace goes on as well", async () => {
  const sockets = ["gw1", "gw3"].map((name) => join(folder, `${name}.sock`));
  const asked = { ac: "vm1", protocol: "icmp", source: "10.1.1.11", destination: "20.1.1.12" } as const;
  const { legs, silent } = await journeyOf(sockets, asked);
  expect([legs.length, silent]).toEqual([1, [expect.stringContaining(SILENT)]]);
});
