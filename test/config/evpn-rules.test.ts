/** EVPN in the file: defaults that follow from it, and what does not go together. */
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { changesOf } from "../../src/config/change-list.ts";
import { configDiff } from "../../src/config/diff.ts";
import { fileForm } from "../../src/config/form.ts";
import { parseConfig } from "../../src/config/load.ts";
import { formatIp } from "../../src/control/ip.ts";
import { Offers } from "../../src/evpn/offers.ts";
import { settingsOf } from "../../src/evpn/settings.ts";
import { BASE, base, type Row, testRows, vsis } from "./broken-files.ts";

const EVPN = "evpn: {engine: {socket: /run/bgp.sock}, as: 65000}\n";
const peers = (list: string) => `${BASE}evpn: {engine: {socket: /run/bgp.sock}, as: 65000, peers: [${list}]}\n`;

const vrfs = (list: string) => `${BASE}vrfs: [${list}]\n${EVPN}`;

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
  [
    "a distinguisher that is another VSI's automatic one",
    `${vsis("evpn: {}", ', {name: v4, vni: 4, evpn: {rd: "192.0.2.1:1"}}')}${EVPN}`,
    4,
    "vsis[3].evpn.rd",
    "192.0.2.1:1 is the route distinguisher of v1 too",
  ],
  [
    "an automatic distinguisher that another VSI was given, with the router id",
    `${vsis('evpn: {rd: "9.9.9.9:4"}', ", {name: v4, vni: 4, evpn: {}}")}${EVPN.replace("as:", "routerId: 9.9.9.9, as:")}`,
    4,
    "vsis[3].evpn.rd",
    "routerId:4, made of the low 16 bits of the VNI, is the route distinguisher of v1 too",
  ],
  [
    "a distinguisher twice, in two spellings",
    `${vsis('evpn: {rd: "65000:9"}', ', {name: v4, vni: 4, evpn: {rd: "065000:09"}}')}${EVPN}`,
    4,
    "vsis[3].evpn.rd",
    "65000:9 is the route distinguisher of v1 too",
  ],
  ...(["192.0.2.1:65536", "65536:65536", "4200000000:70000", "65000:4294967296"] as const).flatMap((text): Row[] => {
    const most = text.startsWith("65000:") ? "4294967295" : "65535";
    const message = `the number of ${text} is above ${most}`;
    return [
      [`a distinguisher ${text}`, `${vsis(`evpn: {rd: "${text}"}`)}${EVPN}`, 4, "vsis[0].evpn.rd", message],
      [`a target ${text}`, `${vsis(`evpn: {export: ["${text}"]}`)}${EVPN}`, 4, "vsis[0].evpn.export[0]", message],
    ];
  }),
  [
    "a target of an AS that is none",
    `${vsis('evpn: {import: ["4294967296:1"]}')}${EVPN}`,
    4,
    "vsis[0].evpn.import[0]",
    "no route target",
  ],
  [
    "a target of an address that is none",
    vrfs('{name: a, l3vni: 9, evpn: {import: ["999.1.1.1:9"]}}'),
    7,
    "vrfs[0].evpn.import[0]",
    "no route target",
  ],
  [
    "a router id of 128 bits",
    `${BASE}${EVPN.replace("as:", 'routerId: "2001:db8::1", as:')}`,
    7,
    "evpn.routerId",
    "no IPv4 address",
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
    "a peer of another family than our end of the sessions",
    peers('{address: "2001:db8::9", as: 65000}'),
    7,
    "evpn.peers[0].address",
    "2001:db8::9 is IPv6, and our end of all sessions, underlay.address, is 192.0.2.1",
  ],
  [
    "a peer twice",
    peers("{address: 192.0.2.9, as: 1}, {address: 192.0.2.9, as: 2}"),
    7,
    "evpn.peers[1].address",
    "192.0.2.9 stands twice",
  ],
  ["an L3VNI without EVPN", `${BASE}vrfs: [{name: main, l3vni: 4001}]\n`, 7, "vrfs[0]", "there is no evpn section"],
  ["a VRF twice", vrfs("{name: main, l3vni: 4001}, {name: main, l3vni: 4002}"), 7, "vrfs[1].name", "vrfs[0]"],
  ["an L3VNI that a VSI has", vrfs("{name: main, l3vni: 2}"), 7, "vrfs[0].l3vni", "VSI v2 has VNI 2 too"],
  ["an L3VNI twice", vrfs("{name: a, l3vni: 9}, {name: b, l3vni: 9}"), 7, "vrfs[1].l3vni", "VRF a has VNI 9 too"],
  [
    "two L3VNIs, one distinguisher",
    vrfs("{name: a, l3vni: 9}, {name: b, l3vni: 65545}"),
    7,
    "vrfs[1].evpn.rd",
    "routerId:9, made of the low 16 bits of the VNI, is the route distinguisher of VRF a too",
  ],
  [
    "a group as router's MAC",
    vrfs('{name: a, l3vni: 9, evpn: {routerMac: "01:00:5e:00:00:01"}}'),
    7,
    "vrfs[0].evpn.routerMac",
    "group",
  ],
  [
    "a route in a VRF that is none",
    `${BASE}routes: [{prefix: 10.0.0.0/8, action: discard, vrf: a}]\n`,
    7,
    "routes[0].vrf",
    "VRF a",
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
    // Hosts of a peer without EVPN are found by flooding, unless somebody wants it otherwise.
    const found = ["", ", unknown: glean", ", unknown: drop"].map(
      (more) => plan(`${vsis(`evpn: {learning: both${more}}`)}${EVPN}`).vsis[0]!,
    );
    expect(found.map(({ evpn, flood }) => [evpn!.unknown, flood.unknownUnicast])).toEqual([
      ["flood", true],
      ["glean", false],
      ["drop", false],
    ]);
  });

  it("has the largest numbers that fit, and texts as routes have them", () => {
    const targets = ["065000:4294967295", "4294967295:65535", "192.0.2.1:00080"];
    const read = plan(`${vsis(`evpn: {rd: "0:4294967295", import: ${JSON.stringify(targets)}}`)}${EVPN}`).vsis[0]!
      .evpn!;
    expect(read.rd).toBe("0:4294967295");
    expect(read.import).toEqual(["65000:4294967295", "4294967295:65535", "192.0.2.1:80"]);
    // The same number is another one's with another router id.
    plan(
      `${vsis('evpn: {rd: "192.0.2.1:4"}', ", {name: v4, vni: 4, evpn: {}}")}${EVPN.replace("as:", "routerId: 9.9.9.9, as:")}`,
    );
  });

  it("has a distinguisher and targets as others make them", () => {
    expect(settingsOf(config, () => null)!.instances).toEqual([
      {
        vsi: "v1",
        subnets: "i1 main 10.1.1.1 10.1.1.0/24",
        vni: 1,
        rd: "192.0.2.1:1",
        importsAuto: true,
        imports: [],
        exports: ["65000:1"],
        ...{ vrf: null, irb: null },
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
          subnets: "i1 main 10.1.1.1 10.1.1.0/24",
          vni: 1,
          rd: "192.0.2.1:9",
          importsAuto: false,
          imports: ["7:7"],
          exports: ["65000:268435457", "7:8"],
          ...{ vrf: null, irb: null },
        },
      ],
    ]);
  });

  it("announces gateway addresses that no other gateway has, and no shared ones", () => {
    const text = `${vsis("evpn: {}")}${EVPN}`;
    const own = text.replace("address: 10.1.1.1/24", "address: 10.1.1.1/24, mac: auto, distributed: false");
    const mac = 0x02aabbccddee;
    expect(settingsOf(plan(text), () => mac)!.gateways).toEqual([]);
    expect(settingsOf(plan(own), () => mac)!.gateways).toEqual([{ vsi: "v1", mac, ip: 0x0a010101, leadsOn: true }]);
  });
});

describe("a VRF with an L3VNI", () => {
  const text = `${BASE}vrfs: [{name: main, l3vni: 4001}]
routes: [{prefix: 0.0.0.0/0, nextHop: 10.1.1.9}, {prefix: 10.8.0.0/16, action: discard}, {prefix: 10.9.0.0/16, action: discard, vrf: red}]
${EVPN}`;
  const config = plan(text.replace("4001}", "4001}, {name: red, l3vni: 4002}"));
  const mac = 0x02aabbccddee;
  const prefixes = (more: string) =>
    settingsOf(plan(text.replace("4001}", `4001, evpn: {advertise: {${more}}}}, {name: red, l3vni: 4002}`)), () => mac)!
      .prefixes.filter(({ vrf }) => vrf === "main")
      .map(({ network, length }) => `${formatIp(network)}/${length}`);

  it("has a VSI and an unnumbered VSI-interface that no file names, and stands in a file as it was written", () => {
    const [vsi, iface] = [config.vsis.at(-1)!, config.interfaces.at(-1)!];
    expect(vsi).toMatchObject({ name: "l3vni:4002", vni: 4002, l3vrf: "red", tunnels: [], interface: "l3vni:4002" });
    expect(iface).toMatchObject({ name: "l3vni:4002", vrf: "red", addresses: [], mac: "auto", vsis: ["l3vni:4002"] });
    const form = fileForm(config) as { vsis: { name: string }[]; interfaces: { name: string }[]; vrfs: object[] };
    expect([...form.vsis, ...form.interfaces].filter(({ name }) => name.includes(":"))).toEqual([]);
    expect(plan(stringify(form))).toEqual(config);
  });

  it("appears in a difference as itself alone", () => {
    const to = plan(text.replace("4001}", "4001}, {name: red, l3vni: 4003, evpn: {ecmp: 2}}"));
    const changes = changesOf(configDiff(config, to), config, to);
    expect(changes.map(({ action, kind, name }) => `${action} ${kind} ${name}`)).toEqual(["change vrf red"]);
    expect(changes[0]!.details).toEqual([
      { path: "l3vni", from: "4002", to: "4003" },
      { path: "evpn.ecmp", from: "8", to: "2" },
    ]);
  });

  it("announces no way outside while it drains, nor what is withdrawn by its tracks", () => {
    const tracked = text
      .replace("4001}", "4001, evpn: {advertise: {default: true}}}, {name: red, l3vni: 4002}")
      .replace(
        "nextHop: 10.1.1.9}",
        "nextHop: 10.1.1.9, track: up}, {prefix: 10.7.0.0/16, nextHop: 10.1.1.9, track: up}",
      )
      .replace("routes:", "tracks: [{name: up, ac: a1}]\nroutes:");
    const settings = settingsOf(plan(tracked), () => mac)!;
    const announced = (isDraining: boolean, isUp: boolean) => {
      const routes: Readonly<Record<string, boolean>> = { "0.0.0.0/0": isUp, "10.7.0.0/16": isUp, "10.8.0.0/16": true };
      const offers = new Offers({ leads: (vrf, prefix) => (vrf === "main" ? (routes[prefix] ?? null) : null) });
      offers.isDraining = isDraining;
      return offers
        .of(settings)
        .prefixes.filter(({ vrf }) => vrf === "main")
        .map(({ network, length }) => `${formatIp(network)}/${length}`);
    };
    expect(announced(false, true)).toEqual(["10.1.1.0/24", "10.7.0.0/16", "10.8.0.0/16", "0.0.0.0/0"]);
    expect(announced(false, false)).toEqual(["10.1.1.0/24", "10.8.0.0/16"]);
    expect(announced(true, true)).toEqual(["10.1.1.0/24"]);
  });

  it("announces its subnets and static routes, and the default route where it says so", () => {
    expect(prefixes("")).toEqual(["10.1.1.0/24", "10.8.0.0/16"]);
    expect(prefixes("default: true")).toEqual(["10.1.1.0/24", "10.8.0.0/16", "0.0.0.0/0"]);
    expect(prefixes("connected: false, static: false")).toEqual([]);
  });
});
