/** One reading tells all that is wrong: a slip of the pen does not hide the mistakes behind it, and brings no echo. */
import { describe, expect, it } from "vitest";
import { BASE, base, errorsOf } from "./broken-files.ts";

const told = (text: string) => errorsOf(text).map(({ line, path, rule }) => `${line} ${path} ${rule}`);

describe("one reading", () => {
  it.each<[string, string, string[]]>([
    [
      "a misspelt key, the value behind it, and what refers to it",
      base({
        vsis: "vsis: [{name: v1, vnii: 16777216}, {name: v2, vni: 2}, {name: up}]",
        acs: "acs: [{name: a1, vsi: v9, tap: {device: t1}}]",
      }),
      ["4 vsis[0].vnii unknown-key", "4 vsis[0].vnii out-of-range", "6 acs[0].vsi unknown-vsi"],
    ],
    [
      "a misspelt required key, which is not missing as well",
      base({ underlay: "underlay: {adress: 192.0.2.2}" }),
      ["2 underlay.adress unknown-key", "3 tunnels[0].remote tunnel-to-self"],
    ],
    [
      "a misspelt section, and what is wrong in it",
      `${BASE}route: [{prefix: 9.0.0.0/8, nextHop: 99.1.1.1}]\n`,
      ["7 route unknown-key", "7 route[0].nextHop next-hop"],
    ],
    [
      "a misspelt word, and a rule about the same object",
      base({ vsis: "vsis: [{name: v1, vni: 1, arp: localproxy, tunnels: [gw3]}, {name: v2, vni: 2}, {name: up}]" }),
      ["4 vsis[0].arp bad-value", "4 vsis[0].tunnels[0] unknown-tunnel"],
    ],
    [
      "a broken AC between two others, at their own places",
      base({
        acs: "acs: [{name: a0, vsi: v8, tap: {device: t0}}, {name: a1, vsi: v1, vlan: 4095, tap: {device: t1}}, {name: a2, vsi: v9, tap: {device: t2}}]",
      }),
      ["6 acs[0].vsi unknown-vsi", "6 acs[1].vlan out-of-range", "6 acs[2].vsi unknown-vsi"],
    ],
    [
      "a broken VSI, which its AC and VSI-interface may go on naming",
      base({ vsis: "vsis: [{name: v1, vni: 0}, {name: v2, vni: 2, tunnels: [gw3]}, {name: up}]" }),
      ["4 vsis[0].vni out-of-range", "4 vsis[1].tunnels[0] unknown-tunnel"],
    ],
    [
      "a broken VSI-interface: its VSI is not without one, and its subnet is not unknown",
      `${base({
        vsis: "vsis: [{name: v1, vni: 1, arp: localProxy}, {name: v2, vni: 2}, {name: up}]",
        interfaces: "interfaces: [{name: i1, vsi: v1, address: 10.1.1.1}, {name: i2, vsi: v7, address: 20.1.1.1/24}]",
      })}routes: [{prefix: 9.0.0.0/8, nextHop: 10.1.1.2}]\npolicies: [{name: p, interfaces: [i1], rules: [{match: {}, nextHop: 10.1.1.2}]}]\n`,
      ["5 interfaces[0].address bad-value", "5 interfaces[1].vsi unknown-vsi"],
    ],
    [
      "keys one behind the other",
      base({ acs: "acs: [{name: a1, vsi: v1, tpa: {devise: t1, mtuu: 9}}]" }),
      [
        "6 acs[0].tpa unknown-key",
        "6 acs[0].tpa.devise unknown-key",
        "6 acs[0].tpa.mtuu unknown-key",
        "6 acs[0].tpa.mtuu out-of-range",
      ],
    ],
    [
      "a broken device name, and the VSI that is not there",
      base({ acs: "acs: [{name: a1, vsi: v9, tap: {device: a/b}}, {name: a2, vsi: v1, tap: {device: t2}}]" }),
      ["6 acs[0].vsi unknown-vsi", "6 acs[0].tap.device bad-value"],
    ],
    [
      "what else a broken element names: a tunnel, a VSI, a VSI-interface",
      `${base({
        vsis: "vsis: [{name: v1, vni: 0, tunnels: [gw9]}, {name: v2, vni: 2}, {name: up}]",
        interfaces: "interfaces: [{name: i1, vsis: [v2, v9], address: 10.1.1.1}]",
        acs: "acs: []",
      })}policies: [{name: p, interfaces: [i9], rules: [{match: {}, nextHop: nowhere}]}]\n`,
      [
        "4 vsis[0].vni out-of-range",
        "4 vsis[0].tunnels[0] unknown-tunnel",
        "5 interfaces[0].vsis[1] unknown-vsi",
        "5 interfaces[0].address bad-value",
        "7 policies[0].interfaces[0] unknown-vsi-interface",
        "7 policies[0].rules[0].nextHop bad-value",
      ],
    ],
    [
      "a number where a text is wanted: what is wrong with the text",
      `${base({ vsis: "vsis: [{name: v1, vni: 1}, {name: v2, vni: 2}, {name: 7}]" })}metrics: {listen: 9475}\n`,
      ["4 vsis[2].name wrong-type", "7 metrics.listen bad-value"],
    ],
  ])("has %s", (_, text, all) => expect(told(text)).toEqual(all));

  it("ends, whatever is repaired, and with no more than 200 errors", () => {
    const keys = Array.from({ length: 3000 }, (_, i) => `k${i}: 1`).join(", ");
    expect(errorsOf(base({ underlay: `underlay: {address: 192.0.2.1, ${keys}}` })).length).toBe(200);
  });
});

describe("a fix agrees with what was meant", () => {
  const fixOf = (text: string) => errorsOf(text).map(({ message, fix }) => `${message} | ${fix}`);

  it("a key that is at home elsewhere, and near to one that may stand here", () => {
    const [only, ...rest] = fixOf(
      base({ vsis: "vsis: [{name: v1, vni: 1, tunnel: [gw2]}, {name: v2, vni: 2}, {name: up}]" }),
    );
    expect(only).toBe("unknown key tunnel; did you mean tunnels? | write tunnels, or remove it");
    expect(rest).toEqual([]);
  });

  it("a short key that is at home elsewhere is no misspelt one", () => {
    const [only] = fixOf(base({ acs: "acs: [{name: a1, vsi: v1, vni: 1, tap: {device: t1}}]" }));
    expect(only).toBe("unknown key vni | vni belongs in vsis[].vni");
  });

  it("a section inside another one, and the two ways to a TAP", () => {
    const fixes = fixOf(base({ acs: "acs: [{name: a1, vsi: v1, attach: true}]" }));
    expect(fixes.sort()).toEqual([
      "the AC has no tap | add tap: {device: NAME}; or handover: true, where the VM makes its TAP and hands it over",
      "unknown key attach | attach is a section of its own: write it without indentation",
    ]);
  });

  it("a key in the plural that has no list, and one that is a misspelt list", () => {
    const [vlans, routs, ...rest] = fixOf(`${BASE}vlans: [9]\nrouts: []\n`);
    expect(vlans).toBe("unknown key vlans | there is no list of them: write acs[].vlan");
    expect(routs).toContain("did you mean routes?");
    expect(rest).toEqual([]);
  });

  it("a word where a mapping is wanted: what to write, with the defaults", () => {
    const tunnels = (value: string) =>
      base({ tunnels: `tunnels: [{name: gw2, remote: 192.0.2.2, keepalive: ${value}}]` });
    const what = "write keepalive: {intervalMs: 1000, multiplier: 3} (liveness probes)";
    expect(fixOf(tunnels("true"))).toEqual([`expected a mapping (key: value), got true | ${what}`]);
    expect(fixOf(tunnels("false"))).toEqual([`expected a mapping (key: value), got false | leave it out, or ${what}`]);
  });

  it("a key whose right form stands there already", () => {
    const [only] = fixOf(`${BASE}nodes: 1\n`);
    expect(only).toBe(
      "unknown key nodes; did you mean node? | node stands here already: put both together, or remove this one",
    );
  });
});
