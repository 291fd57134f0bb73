/** The words of H3C's manuals, and what each asks for. */
import { describe, expect, it } from "vitest";
import { understood } from "../../src/ctl/vendor-words.ts";
import { again, ctl, err, forget, out } from "./bed.ts";
import { SOURCE } from "./shown-source.ts";

describe("the words of H3C", () => {
  it.each([
    [["all"], [], false],
    [["verbose"], [], true],
    [["vsi-interface", "10"], ["vsi-interface10"], false],
    [["Vsi-interface", "10", "verbose"], ["vsi-interface10"], true],
    [["interface", "vsi-interface", "10"], ["vsi-interface10"], false],
    [["name", "vsi10", "verbose"], ["vsi10"], true],
    [["vsi", "vsi10"], ["vsi10"], false],
    [["10.1.1.1", "brief"], ["10.1.1.1"], false],
    [["vm1"], ["vm1"], false],
    [["suppression", "vsi", "name", "vsi10"], ["suppressed", "vsi10"], false],
    [["instance-name", "red"], ["red"], false],
  ])("%j asks for rows with %j, verbose: %s", (said, words, verbose) => {
    expect(understood("arp", said)).toEqual({ name: "arp", words, verbose });
  });

  it.each([
    [["tunnel"], "tunnel", [], false],
    [["Tunnel", "gw2", "verbose"], "tunnel", ["gw2"], true],
    [["tunnel", "brief"], "tunnel", [], false],
    [["vsi-interface"], "interface", [], false],
    [["Vsi-interface", "brief"], "interface", [], false],
    [["vsi-interface", "10"], "interface", ["vsi-interface10"], false],
  ])("display interface %j is show %s with %j, verbose: %s", (said, name, words, verbose) => {
    expect(understood("interface", said)).toEqual({ name, words, verbose });
  });

  it.each([
    [["vpn-instance", "red"], []],
    [["all", "vpn-instance", "red", "verbose"], []],
    [["10.1.1.0/24", "Vpn-Instance", "red"], ["10.1.1.0/24"]],
  ])("%j asks for rows of VRF red", (said, words) => {
    expect(understood("route", said)).toMatchObject({ name: "route", words, vrf: "red" });
    expect(understood("arp", said)).toMatchObject({ words, vrf: "red" });
  });

  it.each([
    [
      ["display", "ip", "vpn-instance"],
      ["show", "vrf"],
    ],
    [
      ["display", "ip", "vpn-instance", "instance-name", "red"],
      ["show", "vrf", "red"],
    ],
    [
      ["display", "interface", "vsi-interface", "10"],
      ["show", "interface", "vsi-interface10"],
    ],
    [
      ["display", "ip", "interface", "brief"],
      ["show", "interface"],
    ],
    [
      ["display", "interface", "tunnel"],
      ["show", "tunnel"],
    ],
    [
      ["display", "interface", "vsi-interface"],
      ["show", "interface"],
    ],
    [
      ["display", "arp", "all"],
      ["show", "arp"],
    ],
    [
      ["display", "mac-address"],
      ["show", "mac"],
    ],
    [
      ["display", "l2vpn", "service-instance"],
      ["show", "ac"],
    ],
    [
      ["display", "ip", "policy-based-route"],
      ["show", "policy"],
    ],
  ])("%j is %j", async (theirs, ours) => {
    expect(await ctl(SOURCE, ...theirs)).toBe(0);
    const said = out;
    forget();
    await again(...ours);
    expect(said).toBe(out);
  });

  it("verbose: each row with everything, one fact a line", async () => {
    expect(await ctl(SOURCE, "display", "l2vpn", "vsi", "name", "vsi10", "verbose")).toBe(0);
    expect(out.split("\n").slice(0, 5)).toEqual([
      "VSI            vsi10",
      "VNI            10",
      "VSI-INTERFACE  vsi-interface10",
      "ARP            localProxy",
      "ACS            vm1,vm2,vm3,vm4",
    ]);
    forget();
    await again("display", "vxlan", "tunnel", "verbose");
    expect(out.split("\n\n")).toHaveLength(2);
  });

  it("what is not found is told with a command that exists", async () => {
    expect(await ctl(SOURCE, "display", "l2vpn", "service-instance", "vm9")).toBe(4);
    expect(err).toContain("vtepctl show ac lists all");
    forget();
    await again("display", "l2vpn", "service-instance", "--help");
    expect(out).toContain("$ vtepctl display l2vpn service-instance vm1\n");
  });
});
