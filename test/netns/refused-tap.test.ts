/**
 * A reload that is refused leaves no TAP behind, and takes none away: persistence is set when the change is carried out, on devices
 * that were made for it and on those that were there.
 */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CheckReport } from "../../src/api/schema.ts";
import { ask } from "../../src/ctl/client.ts";
import { ended, makeDaemonBed } from "../daemon/bed.ts";
import { whyNoGateways } from "./gateways.ts";

const missing = whyNoGateways();
if (missing) console.log(`refused-tap.test.ts skipped: ${missing}`);

const netns = `refused${process.pid}`;
const bed = makeDaemonBed(53);
const ip = (...args: string[]) => spawnSync("ip", args, { encoding: "utf8" });
const inside = (...args: string[]) => ip("-n", netns, ...args);
const isThere = (device: string) => inside("link", "show", "dev", device).status === 0;
const ac = (device: string, persist: boolean, where = netns) =>
  `{name: ${device}, vsi: v, tap: {device: ${device}, netns: ${where}, persist: ${persist}}}`;
const withAcs = (...acs: string[]) => bed.config(`vsis: [{name: v, vni: 1}]\nacs: [${acs.join(", ")}]\n`);
const reload = (text: string) => {
  bed.write(text);
  return ask<CheckReport>(bed.socket, "/v1/config/reload", "POST", { also: [422] });
};

describe.skipIf(missing !== undefined)("a reload that is refused because of one TAP", () => {
  beforeAll(() => {
    expect(ip("netns", "add", netns).status).toBe(0);
  });
  afterAll(() => {
    bed.remove();
    ip("netns", "del", netns);
  });

  it("leaves no other one behind, and what was there is there; one that is carried out decides", async () => {
    inside("tuntap", "add", "theirs", "mode", "tap");
    bed.write(withAcs());
    const daemon = await bed.start();
    const nowhere = ac("tapb", true, "nowhere");
    expect((await reload(withAcs(ac("tapa", true), nowhere))).reason).toContain("ip netns add nowhere");
    expect(isThere("tapa")).toBe(false);
    expect((await reload(withAcs(ac("theirs", false), nowhere))).valid).toBe(false);
    expect(isThere("theirs")).toBe(true);

    expect(await reload(withAcs(ac("tapa", true), ac("theirs", false), ac("tapc", false)))).toMatchObject({
      valid: true,
    });
    expect(["tapa", "theirs", "tapc"].map(isThere)).toEqual([true, true, true]);
    daemon.kill("SIGKILL");
    await ended(daemon);
    expect(["tapa", "theirs", "tapc"].map(isThere)).toEqual([true, false, false]);
  });
});
