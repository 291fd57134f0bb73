/**
 * Leases on disk and whole gateways: one that comes back knows whose addresses are leased, so that a neighbour that asks first gets none
 * of them; and a file that is not ours does no harm.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AWAITED_MS } from "../../src/control/security/bindings.ts";
import { LeaseFile } from "../../src/daemon/lease-file.ts";
import { checkLeases } from "../../src/doctor/security.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";
import { sites } from "./sites.ts";
import type { Gateway, World } from "./world.ts";

const MAC_A = 0x020000000011;
const MAC_B = 0x020000000012;
const IP = parseIpv4("10.1.1.11")!;
const IP6 = parseIpv6("2001:db8:10::11")!;
const UNIX = 1_800_000_000_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vtepd-leases-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const text = (acs: readonly string[]) => `
vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: if10, vsi: vsi10, address: [10.1.1.1/24, "2001:db8:10::1/64"], icmpSource: 10.1.1.251, dhcpRelay: {servers: [10.1.1.67]}}]
acs: [${acs.map((name) => `{name: ${name}, vsi: vsi10, tap: {device: ${name}}, antiSpoof: strict}`).join(", ")}]`;

interface Kept {
  readonly world: World;
  readonly gateway: Gateway;
  readonly file: LeaseFile;
}

/** A gateway that has just started, `unixMs` by the wall's clock. */
function start({ unixMs = UNIX, acs = ["a", "b"] } = {}): Kept {
  const world = sites(1, () => text(acs));
  const gateway = world.gateways.get("gw1")!;
  const began = world.net.nowMs;
  const file = new LeaseFile({
    directory: join(folder, "state"),
    node: "gw1",
    bindings: gateway.control.agent.security.bindings,
    nowMs: () => gateway.control.timers.nowMs,
    unixMs: () => unixMs + world.net.nowMs - began,
    emit: (level, event, fields) => gateway.events.push({ level, event, fields }),
  });
  file.restore();
  return { world, gateway, file };
}

const bindings = ({ gateway }: Kept) => gateway.control.agent.security.bindings;
const ac = ({ gateway }: Kept, name: string) => gateway.control.shown.inventory.ac(name)!;
const bound = (kept: Kept) =>
  bindings(kept)
    .list()
    .map(({ ac: name, ip, expiresSeconds }) => [name, ip, expiresSeconds]);
const events = ({ gateway }: Kept, name: string) => gateway.events.filter(({ event }) => event === name);

/** AC a has a lease of each family, and its gateway ended in good order. */
function leased(): Kept {
  const kept = start();
  bindings(kept).lease(ac(kept, "a"), MAC_A, IP, 600);
  bindings(kept).lease(ac(kept, "a"), MAC_A, IP6, 0xffffffff);
  kept.file.close();
  return kept;
}

describe("leases on disk", () => {
  it("bind again after a restart for what is left of them, and a neighbour cannot take their address", () => {
    leased();
    const after = start({ unixMs: UNIX + 100_000 });
    expect(bound(after)).toEqual([
      ["a", "10.1.1.11", 500],
      ["a", "2001:db8:10::11", null],
    ]);
    expect(events(after, "leases.restored")).toMatchObject([{ fields: { leases: 2, dropped: 0 } }]);
    // Also while its AC is not there yet: a TAP that is handed over comes after the gateway.
    ac(after, "a").up = false;
    expect(bindings(after).lease(ac(after, "b"), MAC_B, IP, 600)).toBe(false);
    expect(bindings(after).holder(ac(after, "b"), MAC_A)?.name).toBe("a");
    after.world.advance(AWAITED_MS + 1000, 10_000);
    expect(bindings(after).lease(ac(after, "b"), MAC_B, IP, 600)).toBe(true);
  });

  it("end while the gateway is away, and go with their AC", () => {
    leased();
    expect(bound(start({ unixMs: UNIX + 600_000 }))).toEqual([["a", "2001:db8:10::11", null]]);
    expect(bound(start({ acs: ["b"] }))).toEqual([]);
  });

  it("are written within a second of a change, by a whole file that only we read", async () => {
    const kept = start();
    const path = kept.file.path!;
    await kept.file.save();
    expect(existsSync(path)).toBe(false);
    bindings(kept).lease(ac(kept, "a"), MAC_A, IP, 600);
    await kept.file.save();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const first = readFileSync(path, "utf8");
    expect(first).toContain("10.1.1.11");
    // A renewal waits for a minute.
    kept.world.advance(10_000, 5000);
    bindings(kept).lease(ac(kept, "a"), MAC_A, IP, 900);
    await kept.file.save();
    expect(readFileSync(path, "utf8")).toBe(first);
    kept.world.advance(60_000, 5000);
    await kept.file.save();
    expect(readFileSync(path, "utf8")).not.toBe(first);
    bindings(kept).release(ac(kept, "a"), MAC_A, IP);
    await kept.file.save();
    expect(readFileSync(path, "utf8")).not.toContain("10.1.1.11");
    // A process that is killed has what was written last.
    expect(bound(start())).toEqual([]);
  });

  function refused(path: string, reason: RegExp): void {
    const after = start();
    expect(bound(after)).toEqual([]);
    expect(String(events(after, "leases.refused")[0]?.fields.reason)).toMatch(reason);
    expect(existsSync(path)).toBe(false);
  }

  it("of another node, that do not parse, that others may write, or behind a link are put aside and said", () => {
    const path = leased().file.path!;
    const good = readFileSync(path, "utf8");
    writeFileSync(path, good.replace("gw1", "gw2"));
    refused(path, /^of another node/);
    writeFileSync(path, good.slice(0, 100), { mode: 0o600 });
    refused(path, /^no JSON object$/);
    writeFileSync(path, `{"version":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, { mode: 0o600 });
    refused(path, /^version object/);
    writeFileSync(path, good, { mode: 0o600 });
    chmodSync(path, 0o666);
    refused(path, /^others may write it$/);
    writeFileSync(join(folder, "elsewhere"), good);
    symlinkSync(join(folder, "elsewhere"), path);
    refused(path, /ELOOP/);
    expect(readFileSync(join(folder, "elsewhere"), "utf8")).toBe(good);
  });

  it.skipIf(process.geteuid!() !== 0)("in a file of another user (only root can make one here) are put aside", () => {
    const path = leased().file.path!;
    chownSync(path, 12_345, 0);
    refused(path, /^it is user 12345's$/);
  });

  it("claim no address of ours, and none outside the subnets", () => {
    const path = leased().file.path!;
    const good = readFileSync(path, "utf8");
    for (const ip of ["10.1.1.1", "10.1.1.251", "10.1.1.255", "192.0.2.1", "2001:db8:10::1", "fe80::1", "224.0.0.1"]) {
      writeFileSync(path, good.replace('"10.1.1.11"', `"${ip}"`), { mode: 0o600 });
      expect([ip, bound(start())]).toEqual([ip, [["a", "2001:db8:10::11", null]]]);
    }
  });

  it("that cannot be written are told of once, and by the doctor until they can", async () => {
    const kept = start();
    writeFileSync(join(folder, "state"), "a file where the folder should be");
    for (let n = 0; n < 3; n++) {
      bindings(kept).lease(ac(kept, "a"), MAC_A, IP + n, 600);
      await kept.file.save();
    }
    expect(events(kept, "leases.unsaved")).toHaveLength(1);
    const check = () => checkLeases(kept.file.path, kept.file.failed, ["a"], bindings(kept).list())[0]!;
    expect(check()).toMatchObject({ result: "warn", name: "leases" });
    rmSync(join(folder, "state"));
    await kept.file.save();
    expect(check()).toMatchObject({ result: "ok", text: `3 leases of strict ACs, kept in ${kept.file.path}` });
    expect(checkLeases(null, null, ["a"], bindings(kept).list())[0]).toMatchObject({ result: "warn" });
    expect(checkLeases(null, null, [], bindings(kept).list())).toEqual([]);
  });
});
