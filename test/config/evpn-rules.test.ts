/** EVPN in the file: defaults that follow from it, and what does not go together. */
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { settingsOf } from "../../src/evpn/settings.ts";
import { BASE, base, type Row, testRows, vsis } from "./broken-files.ts";

const EVPN = "evpn: {engine: {socket: /run/bgp.sock}, as: 65000}\n";
const peers = (list: string) => `${BASE}evpn: {engine: {socket: /run/bgp.sock}, as: 65000, peers: [${list}]}\n`;

const RULES: readonly Row[] = [
  ["a VSI in EVPN without an engine", vsis("evpn: {}"), 4, "vsis[0].evpn", "no evpn section"],
  [
    "a VSI in EVPN without VNI",
    `${base({ vsis: "vsis: [{name: v1, vni: 1}, {name: v2, vni: 2}, {name: up, evpn: {}}]" })}${EVPN}`,
    4,
    "vsis[2].evpn",
    "up has no vni",
  ],
  [
    "two VNIs, one distinguisher",
    `${vsis("evpn: {}", ", {name: v4, vni: 65537, evpn: {}}")}${EVPN}`,
    4,
    "vsis[3].evpn.rd",
    "routerId:1, made of the low 16 bits of the VNI, is the route distinguisher of v1 too",
  ],
  [
    "a distinguisher twice",
    `${vsis('evpn: {rd: "192.0.2.1:9"}', ', {name: v4, vni: 4, evpn: {rd: "192.0.2.1:9"}}')}${EVPN}`,
    4,
    "vsis[3].evpn.rd",
    "192.0.2.1:9 is the route distinguisher of v1 too",
  ],
  ["a target that is none", `${vsis("evpn: {import: [10]}")}${EVPN}`, 4, "vsis[0].evpn.import[0]", "no route target"],
  ["a target without number", `${vsis("evpn: {import: [x]}")}${EVPN}`, 4, "vsis[0].evpn.import[0]", "no route target"],
  ["no AS", `${BASE}evpn: {engine: {socket: /run/bgp.sock}}\n`, 7, "evpn.as", "as is missing"],
  ["AS 0", `${BASE}evpn: {engine: {socket: /run/bgp.sock}, as: 0}\n`, 7, "evpn.as", "expected 1..4294967294"],
  [
    "ourselves as peer",
    peers("{address: 192.0.2.1, as: 65000}"),
    7,
    "evpn.peers[0].address",
    "our own underlay.address",
  ],
  [
    "a peer twice",
    peers("{address: 192.0.2.9, as: 1}, {address: 192.0.2.9, as: 2}"),
    7,
    "evpn.peers[1].address",
    "192.0.2.9 stands twice",
  ],
  [
    "an IPv6 underlay",
    `node: g\nunderlay: {address: "2001:db8::1", mtu: 1500}\n${EVPN}`,
    3,
    "evpn",
    "EVPN needs an IPv4 underlay",
  ],
];

describe("a rule of EVPN", () => testRows(RULES));

function plan(text: string) {
  const result = parseConfig(text, "gw1.yaml");
  if ("errors" in result) throw new Error(JSON.stringify(result.errors));
  return result.config;
}

describe("a VSI with evpn", () => {
  const config = plan(`${vsis("evpn: {}")}${EVPN}`);

  it("suppresses ARP, has no static tunnels, floods nothing unknown, and its gateway MAC is shared", () => {
    const [one, two] = config.vsis;
    expect(one).toMatchObject({ arp: "suppress", tunnels: [], flood: { unknownUnicast: false, broadcast: true } });
    expect(two).toMatchObject({ arp: "localProxy", tunnels: ["gw2"], flood: { unknownUnicast: true }, evpn: null });
    expect(config.interfaces.map(({ mac }) => mac)).toEqual(["shared", "auto"]);
  });

  it("keeps static tunnels and flooding where it says so, for a migration", () => {
    const both = plan(`${vsis("evpn: {learning: both, unknown: flood}, arp: localProxy")}${EVPN}`);
    expect(both.vsis[0]).toMatchObject({ arp: "localProxy", tunnels: ["gw2"], flood: { unknownUnicast: true } });
  });

  it("has a distinguisher and targets as others make them", () => {
    expect(settingsOf(config, () => null)!.instances).toEqual([
      {
        vsi: "v1",
        subnets: "i1 10.1.1.1 10.1.1.0/24",
        vni: 1,
        rd: "192.0.2.1:1",
        importsAuto: true,
        imports: [],
        exports: ["65000:1"],
      },
    ]);
    const text = vsis('evpn: {rd: "192.0.2.1:9", import: ["7:7"], export: [auto, "7:8"]}');
    const named = plan(
      `${text}evpn: {engine: {socket: /run/b.sock}, as: 65000, targets: rfc8365, routerId: 9.9.9.9}\n`,
    );
    expect(settingsOf(named, () => null)!.instances).toEqual([
      ...[
        {
          vsi: "v1",
          subnets: "i1 10.1.1.1 10.1.1.0/24",
          vni: 1,
          rd: "192.0.2.1:9",
          importsAuto: false,
          imports: ["7:7"],
          exports: ["65000:268435457", "7:8"],
        },
      ],
    ]);
  });

  it("announces gateway addresses that no other gateway has, and no shared ones", () => {
    const text = `${vsis("evpn: {}")}${EVPN}`;
    const own = text.replace("address: 10.1.1.1/24", "address: 10.1.1.1/24, mac: auto, distributed: false");
    const mac = 0x02aabbccddee;
    expect(settingsOf(plan(text), () => mac)!.gateways).toEqual([]);
    expect(settingsOf(plan(own), () => mac)!.gateways).toEqual([{ vsi: "v1", mac, ip: 0x0a010101 }]);
  });
});
