/**
 * BFD inside VXLAN (RFC 8971) between two real gateways, as a stranger reads it, and what it notices that BFD beside VXLAN does not:
 * VXLAN that is filtered, between machines that reach each other.
 *
 *     vm1 - gw1 --- router --- gw2 - vm2
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Bfd } from "../../src/api/schema-bfd.ts";
import { until } from "../../src/lab/deadline.ts";
import { untilUp as bothUp, openPair, tunnelOf, UP_MS } from "./bfd-bed.ts";
import { describeReal, type Gateway, type Gateways, whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

const missing = whyNoGateways("tshark", "iptables");

describeReal(missing, "BFD inside VXLAN", () => {
  let gateways: Gateways;
  let gw1: Gateway;
  let gw2: Gateway;

  const untilUp = () => bothUp([gw1, gw2], 250);

  const untilPinged = () =>
    until("an answer of vm2", UP_MS, async () =>
      (await ping(gateways.bed, "vm1", "10.1.1.12", { count: 1 })).ttls.includes(62),
    );

  beforeAll(async () => {
    ({ gateways, gw1, gw2 } = await openPair("bfdvxlan", { intervalMs: 50, multiplier: 5, mode: "vxlan" }));
    await untilUp();
  });
  afterAll(() => gateways?.remove());

  test("a session is up, beside the tenants' traffic; nothing is refused or dropped", async () => {
    const refusedOf = async () => (await gw1.look<Bfd>("/v1/bfd")).refused.filter(({ count }) => count > 0);
    const before = await refusedOf();
    await untilPinged();
    expect((await gw1.ctl("show", "bfd", "-w")).stdout).toMatch(/gw2 +192\.0\.2\.2 +vxlan +up +up +up/);
    const { sessions } = await gw1.look<Bfd>("/v1/bfd");
    expect(await refusedOf()).toEqual(before);
    console.log(`longest gap ${sessions[0]!.longestGapMs} ms of ${sessions[0]!.detectionMs}`);
  });

  test("tshark reads the frames as RFC 8971 has them", async () => {
    const fields = ["vxlan.vni", "eth.dst", "ip.dst", "ip.ttl", "udp.dstport", "bfd.sta", "udp.checksum.status"];
    const args = ["-i", "ul0", "-c", "8", "-f", "udp dst port 4789", "-o", "udp.check_checksum:TRUE", "-T", "fields"];
    const text = await gateways.bed.must("gw1", "tshark", [...args, ...fields.flatMap((name) => ["-e", name])], 30_000);
    // A tenant's ARP may be among them.
    const rows = text.split("\n").map((line) => line.split("\t"));
    const [, eth, ip, ttl, port, state, checksum] = rows.find(([vni]) => vni === "1")!;
    expect(state).toBe("0x03");
    expect(eth).toMatch(/,00:00:5e:00:52:02$/);
    expect(ip).toMatch(/,127\.0\.0\.1$/);
    expect(ttl).toMatch(/,255$/);
    expect(port).toBe("4789,3784");
    // 1: good.
    expect(checksum).toMatch(/,1$/);
  });

  test("VXLAN that is filtered is a death, though the machines reach each other; its end is noticed", async () => {
    const filter = (action: string) =>
      gateways.bed.must("gw2", "iptables", [action, "INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP"]);
    const beganMs = Date.now();
    await filter("-A");
    try {
      await until("gw2 down", UP_MS, async () => !(await tunnelOf(gw2)).up, 20);
      await until("gw1 down", UP_MS, async () => !(await tunnelOf(gw1)).up, 20);
      console.log(`filtered VXLAN seen by both ends after ${Date.now() - beganMs} ms`);
      await until("an answer beside VXLAN", UP_MS, async () => {
        const { ttls } = await ping(gateways.bed, "gw1", "192.0.2.2", { count: 1 });
        return ttls.length === 1;
      });
      await gw1.logged(/"level":"warn"[^\n]*"event":"tunnel.down"/);
    } finally {
      await filter("-D");
    }
    await untilUp();
    await untilPinged();
  });

  test("SIGTERM of the peer: it says that it leaves", async () => {
    await gw2.stop("SIGTERM");
    await gw1.logged(/"event":"tunnel.draining"/);
  });
});
