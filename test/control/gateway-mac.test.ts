/** Gateway MACs (D1): stable, per gateway or shared, never a group address. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gatewayMac } from "../../src/control/gateway-mac.ts";
import { formatMac, hiOf, isGroup, parseMac } from "../../src/wire/ethernet.ts";

describe("gateway MACs", () => {
  test("auto is the same after every restart, on every machine", () => {
    // By hand: printf "vtepd gateway MAC\0gw1\00010" | sha256sum. If this fails, every gateway changes its MAC with an upgrade.
    expect(formatMac(gatewayMac("auto", "gw1", 10, "vsi-interface10"))).toBe("02:f2:be:99:05:13");
  });

  test("auto differs between nodes and between VNIs, and does not depend on the VSI-interface's name", () => {
    const mac = gatewayMac("auto", "gw1", 10, "a");
    expect(gatewayMac("auto", "gw2", 10, "a")).not.toBe(mac);
    expect(gatewayMac("auto", "gw1", 20, "a")).not.toBe(mac);
    expect(gatewayMac("auto", "gw1", 10, "b")).toBe(mac);
  });

  test("without a VNI the name of the VSI-interface stands for it", () => {
    const mac = gatewayMac("auto", "bdr", null, "uplink");
    expect(gatewayMac("auto", "bdr", null, "uplink2")).not.toBe(mac);
    expect(gatewayMac("shared", "bdr", null, "uplink")).toBe(gatewayMac("shared", "other", null, "uplink"));
  });

  test("shared shows the VNI and is the same on every node", () => {
    expect(formatMac(gatewayMac("shared", "gw1", 10, "a"))).toBe("02:00:5e:00:00:0a");
    expect(formatMac(gatewayMac("shared", "gw2", 0xffffff, "b"))).toBe("02:00:5e:ff:ff:ff");
  });

  test("a configured one is taken as it is", () => {
    expect(gatewayMac("00:11:22:33:44:55", "gw1", 10, "a")).toBe(parseMac("00:11:22:33:44:55"));
  });

  test("derived ones are unicast, locally administered, and never look shared", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 0xffffff }), (node, vni) => {
        const mac = gatewayMac("auto", node, vni, "a");
        expect(isGroup(mac)).toBe(false);
        expect(hiOf(mac) >> 8).toBe(0x02);
        expect(formatMac(mac).startsWith("02:00:5e")).toBe(false);
      }),
    );
  });

  test("ten thousand gateways in one VXLAN have ten thousand MACs", () => {
    const macs = new Set(Array.from({ length: 10_000 }, (_, i) => gatewayMac("auto", `gw${i}`, 10, "a")));
    expect(macs.size).toBe(10_000);
  });
});
