/** The doctor about DHCP servers. */
import { expect, it } from "vitest";
import { checkDhcp } from "../../src/doctor/dhcp.ts";
import { checkDrops, type LastDrop } from "../../src/doctor/drops.ts";

const SERVER = { interface: "if10", server: "50.1.1.67", requests: 1, replies: 0, answeredSeconds: null };

it("warns of a server that owes an answer for ten seconds, and says which way it has to answer", () => {
  const check = (silentSeconds: number | null) => checkDhcp([{ ...SERVER, silentSeconds }], () => "10.1.1.251")[0]!;
  expect(check(null)).toMatchObject({ result: "ok", name: "dhcp 50.1.1.67", text: "1 request of if10, 0 replies" });
  expect(check(9).result).toBe("ok");
  expect(check(10)).toMatchObject({ result: "warn", text: "1 request of if10, 0 replies; silent for 10 s" });
  expect(check(10).fix).toContain("a way back to 10.1.1.251? vtepctl ping 50.1.1.67 --interface if10");
});

it("warns of a server that answers from an address that is not in the list; one in a VM is something else", () => {
  const check = (via: LastDrop["via"]) => {
    const last: LastDrop = {
      ...{ secondsAgo: 3, via, vsi: "vsi10", taps: [], outer: null, outerPort: null, flags: null, vni: 10 },
      frame: "udp 50.1.1.1:67 > 10.1.1.251:67 ttl 63, 350 bytes",
    };
    const drops = [{ reason: "dhcp_guard", text: "", count: 3, last }] as unknown as Parameters<typeof checkDrops>[0];
    return checkDrops(drops, { vsis: [], interfaces: [], tunnels: [], hasEvpn: false }).find(
      ({ name }) => name === "drops dhcp_guard",
    )!;
  };
  expect(check({ kind: "tunnel", name: "b2" })).toMatchObject({
    result: "warn",
    text: expect.stringContaining(
      "the last from b2, with the word of a DHCP server that is not believed: udp 50.1.1.1:67",
    ),
    fix: expect.stringContaining("may answer from another one"),
  });
  expect(check({ kind: "ac", name: "vm1" }).fix).toContain("run in that VM?");
});
