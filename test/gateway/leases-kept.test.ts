/**
 * Leases on disk and whole gateways: one that comes back knows whose addresses are leased, so that a neighbour that asks first gets none
 * of them; and a file that is not ours does no harm.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
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
  /** The wall's clock is set. */
  setClock(unixMs: number): void;
}

/** A gateway that has just started, `unixMs` by the wall's clock. */
function start({ unixMs = UNIX, acs = ["a", "b"] } = {}): Kept {
  const world = sites(1, () => text(acs));
  const gateway = world.gateways.get("gw1")!;
  let epochMs = unixMs - world.net.nowMs;
  const file = new LeaseFile({
    directory: join(folder, "state"),
    node: "gw1",
    bindings: gateway.control.agent.security.bindings,
    nowMs: () => gateway.control.timers.nowMs,
    unixMs: () => epochMs + world.net.nowMs,
    emit: (level, event, fields) => gateway.events.push({ level, event, fields }),
  });
  file.restore();
  const setClock = (now: number) => {
    epochMs = now - world.net.nowMs;
  };
  return { world, gateway, file, setClock };
}

const bindings = ({ gateway }: Kept) => gateway.control.agent.security.bindings;
const ac = ({ gateway }: Kept, name: string) => gateway.control.shown.inventory.ac(name)!;
const bound = (kept: Kept) =>
  bindings(kept)
    .list()
    .map(({ ac: name, ip, expiresSeconds }) => [name, ip, expiresSeconds]);
const events = ({ gateway }: Kept, name: string) => gateway.events.filter(({ event }) => event === name);

/** AC a has a lease of each family, and its gateway ended in good order. */
async function leased(): Promise<Kept> {
  const kept = start();
  bindings(kept).lease(ac(kept, "a"), MAC_A, IP, 600);
  bindings(kept).lease(ac(kept, "a"), MAC_A, IP6, 0xffffffff);
  await kept.file.close();
  return kept;
}

describe("leases on disk", () => {
  it("bind again after a restart for what is left of them, and a neighbour cannot take their address", async () => {
    await leased();
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

  it("end while the gateway is away, and go with their AC", async () => {
    await leased();
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

  it("are written one at a time: the end waits for what is being written, and writes what has changed since", async () => {
    const kept = start();
    bindings(kept).lease(ac(kept, "a"), MAC_A, IP, 600);
    const saving = kept.file.save();
    bindings(kept).lease(ac(kept, "a"), MAC_A, IP + 1, 600);
    await Promise.all([kept.file.save(), kept.file.close(), saving]);
    expect(readdirSync(join(folder, "state"))).toEqual(["leases.json"]);
    expect(bound(start())).toHaveLength(2);
  });

  it("last no longer than they had left, where the clock is behind when the gateway starts", async () => {
    await leased();
    const after = start({ unixMs: 20_000 });
    expect(bound(after)[0]).toEqual(["a", "10.1.1.11", 600]);
  });

  it("are written anew when the clock is set", async () => {
    const kept = start({ unixMs: 20_000 });
    bindings(kept).lease(ac(kept, "a"), MAC_A, IP, 600);
    await kept.file.save();
    kept.setClock(UNIX);
    await kept.file.save();
    // A process that is killed.
    expect(bound(start({ unixMs: UNIX + 100_000 }))).toEqual([["a", "10.1.1.11", 500]]);
  });

  it("are not written into what lies in the way: a file of others, a link, another name of a file", async () => {
    mkdirSync(join(folder, "state"));
    const elsewhere = join(folder, "elsewhere");
    const ways: ((beside: string) => void)[] = [
      (beside) => {
        writeFileSync(beside, "anything");
        chmodSync(beside, 0o666);
      },
      (beside) => symlinkSync(elsewhere, beside),
      (beside) => linkSync(elsewhere, beside),
    ];
    for (const lay of ways) {
      writeFileSync(elsewhere, "another's");
      const kept = start();
      lay(`${kept.file.path}.new`);
      bindings(kept).lease(ac(kept, "a"), MAC_A, IP, 600);
      await kept.file.close();
      expect(readFileSync(elsewhere, "utf8")).toBe("another's");
      expect([kept.file.failed, statSync(kept.file.path!).mode & 0o777]).toEqual([null, 0o600]);
      expect(bound(start())).toEqual([["a", "10.1.1.11", 600]]);
      rmSync(kept.file.path!);
    }
  });

  function refused(path: string, reason: RegExp): void {
    const after = start();
    expect(bound(after)).toEqual([]);
    expect(String(events(after, "leases.refused")[0]?.fields.reason)).toMatch(reason);
    expect(existsSync(path)).toBe(false);
  }

  it("of another node, that do not parse, that others may write, or behind a link are put aside and said", async () => {
    const path = (await leased()).file.path!;
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

  it.skipIf(process.geteuid!() !== 0)(
    "in a file of another user (only root can make one here) are put aside",
    async () => {
      const path = (await leased()).file.path!;
      chownSync(path, 12_345, 0);
      refused(path, /^it is user 12345's$/);
    },
  );

  it("claim no address of ours, and none outside the subnets", async () => {
    const path = (await leased()).file.path!;
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
