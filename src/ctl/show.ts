/**
 * `vtepctl show …` (alias `display`): one table each of what the daemon knows.
 *
 * Each kind is a row of data: its path in the API, its columns. The same names in the words of other vendors' manuals
 * are aliases. With -o json or yaml the answer of the API is printed as it came.
 */
import { type Command, Option } from "commander";
import type {
  Ac,
  DropCount,
  Features,
  Interface,
  MacEntry,
  Neighbor,
  Policy,
  Route,
  Traffic,
  Tunnel,
  Vsi,
} from "../api/schema.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { printList, printValue, type Session } from "./output.ts";
import { type Column, shortAge } from "./table.ts";

type Via = { readonly kind: string; readonly name: string } | null;
const viaText = (via: Via) => (via === null ? null : `${via.kind} ${via.name}`);
const lossText = (loss: number | null) => (loss === null ? null : `${Math.round(loss * 100)}%`);
const listText = (list: readonly string[]) => list.join(",");

const traffic = <T extends { readonly receive: Traffic; readonly transmit: Traffic }>(): Column<T>[] => [
  { title: "RX-PACKETS", of: (row) => row.receive.packets, right: true },
  { title: "RX-BYTES", of: (row) => row.receive.bytes, right: true },
  { title: "TX-PACKETS", of: (row) => row.transmit.packets, right: true },
  { title: "TX-BYTES", of: (row) => row.transmit.bytes, right: true },
];

const VSI: readonly Column<Vsi>[] = [
  { title: "VSI", of: (row) => row.name },
  { title: "VNI", of: (row) => row.vni, right: true },
  { title: "VSI-INTERFACE", of: (row) => row.interface },
  { title: "ARP", of: (row) => row.arp },
  { title: "ACS", of: (row) => listText(row.acs) },
  { title: "TUNNELS", of: (row) => listText(row.tunnels) },
  { title: "MACS", of: (row) => row.macs, right: true },
  ...traffic<Vsi>(),
];

const AC: readonly Column<Ac>[] = [
  { title: "AC", of: (row) => row.name },
  { title: "VSI", of: (row) => row.vsi },
  { title: "STATE", of: (row) => (row.up ? "up" : "down") },
  { title: "DEVICE", of: (row) => row.device },
  { title: "NETNS", of: (row) => row.netns },
  { title: "VLAN", of: (row) => row.vlan, right: true },
  { title: "MTU", of: (row) => row.mtu, right: true },
  ...traffic<Ac>(),
];

const TUNNEL: readonly Column<Tunnel>[] = [
  { title: "TUNNEL", of: (row) => row.name },
  { title: "REMOTE", of: (row) => row.remote },
  { title: "STATE", of: (row) => (row.up ? "up" : "down") },
  { title: "MTU", of: (row) => row.mtu, right: true },
  { title: "WATCHED", of: (row) => row.probe.state },
  { title: "RTT-MS", of: (row) => row.probe.rttMs?.toFixed(3) ?? null, right: true },
  { title: "LOSS", of: (row) => lossText(row.probe.loss), right: true },
  { title: "PATH-MTU", of: (row) => row.probe.pathMtu, right: true },
  { title: "VSIS", of: (row) => listText(row.vsis) },
  ...traffic<Tunnel>(),
];

const INTERFACE: readonly Column<Interface>[] = [
  { title: "VSI-INTERFACE", of: (row) => row.name },
  { title: "VSIS", of: (row) => listText(row.vsis) },
  { title: "ADDRESSES", of: (row) => listText(row.addresses) },
  { title: "MAC", of: (row) => row.mac },
  { title: "VRF", of: (row) => row.vrf },
  { title: "DISTRIBUTED", of: (row) => row.distributed },
  { title: "MTU", of: (row) => row.mtu, right: true },
  { title: "POLICY", of: (row) => row.policy },
  { title: "NEIGHBORS", of: (row) => row.neighbors, right: true },
];

const MAC: readonly Column<MacEntry>[] = [
  { title: "VSI", of: (row) => row.vsi },
  { title: "MAC", of: (row) => row.mac },
  { title: "VIA", of: (row) => viaText(row.via) },
  { title: "ORIGIN", of: (row) => row.origin },
  { title: "AGE", of: (row) => shortAge(row.ageSeconds), right: true },
];

const ARP: readonly Column<Neighbor>[] = [
  { title: "VSI-INTERFACE", of: (row) => row.interface },
  { title: "IP", of: (row) => row.ip },
  { title: "MAC", of: (row) => row.mac },
  { title: "STATE", of: (row) => row.state },
  { title: "VIA", of: (row) => viaText(row.via) },
  { title: "AGE", of: (row) => shortAge(row.ageSeconds), right: true },
  { title: "FROM", of: (row) => row.from },
];

const ROUTE: readonly Column<Route>[] = [
  { title: "VRF", of: (row) => row.vrf },
  { title: "PREFIX", of: (row) => row.prefix },
  { title: "ORIGIN", of: (row) => row.origin },
  { title: "ACTION", of: (row) => row.action },
  { title: "NEXT-HOPS", of: (row) => listText(row.nextHops.map((hop) => (hop.alive ? hop.ip : `${hop.ip}(dead)`))) },
  { title: "VSI-INTERFACE", of: (row) => row.interface },
];

const POLICY: readonly Column<{ policy: Policy; index: number }>[] = [
  { title: "POLICY", of: ({ policy }) => policy.name },
  { title: "VSI-INTERFACES", of: ({ policy }) => listText(policy.interfaces) },
  { title: "RULE", of: ({ index }) => index + 1, right: true },
  { title: "MATCH", of: ({ policy, index }) => policy.rules[index]!.match },
  { title: "ACTION", of: ({ policy, index }) => policy.rules[index]!.action },
  { title: "HITS", of: ({ policy, index }) => policy.rules[index]!.hits, right: true },
];

const DROP: readonly Column<DropCount>[] = [
  { title: "REASON", of: (row) => row.reason },
  { title: "PACKETS", of: (row) => row.count, right: true },
  { title: "TEXT", of: (row) => row.text },
];

interface FeatureRow {
  readonly name: string;
  readonly state: string;
  readonly note: string;
}

const FEATURE: readonly Column<FeatureRow>[] = [
  { title: "FEATURE", of: (row) => row.name },
  { title: "STATE", of: (row) => row.state },
  { title: "NOTE", of: (row) => row.note },
];

function featureRows({ offloads, probes, fallbacks, workers }: Features): FeatureRow[] {
  return [
    ...offloads.map(({ name, wanted, inUse }) => ({
      name,
      state: inUse ? "on" : "off",
      note: inUse ? "" : wanted ? "wanted; not given, done in software" : "off in the configuration",
    })),
    ...probes
      .filter(({ outcome }) => outcome !== "off")
      .map(({ offload, outcome, text }) => ({ name: offload, state: `probe ${outcome}`, note: text })),
    ...fallbacks
      .filter(({ count }) => count > 0)
      .map(({ cause, count }) => ({ name: cause, state: "fallback", note: `${count} times` })),
    ...workers.map(({ worker, receiveBuffer, receiveDrops }) => ({
      name: `worker ${worker}`,
      state: "runs",
      note: `receive buffer ${receiveBuffer} bytes, ${receiveDrops} datagrams lost in it`,
    })),
  ];
}

interface Kind {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly path: string;
  readonly says: string;
  /** A word of one of its rows. */
  readonly example: string;
  readonly columns: readonly Column<never>[];
}

const KINDS: readonly Kind[] = [
  { name: "vsi", aliases: ["vsis"], path: "/v1/vsis", says: "VSIs: L2 domains", example: "vsi10", columns: VSI },
  { name: "ac", aliases: ["acs"], path: "/v1/acs", says: "attachment circuits", example: "vm1", columns: AC },
  { name: "tunnel", aliases: ["tunnels"], path: "/v1/tunnels", says: "VXLAN tunnels", example: "gw2", columns: TUNNEL },
  {
    name: "interface",
    aliases: ["interfaces", "vsi-interface"],
    path: "/v1/interfaces",
    says: "VSI-interfaces: gateways",
    example: "vsi-interface10",
    columns: INTERFACE,
  },
  { name: "mac", aliases: ["macs"], path: "/v1/macs", says: "the MAC tables", example: "vsi10", columns: MAC },
  {
    name: "arp",
    aliases: ["neighbor", "neighbors"],
    path: "/v1/neighbors",
    says: "the ARP tables",
    example: "10.1.1.12",
    columns: ARP,
  },
  { name: "route", aliases: ["routes"], path: "/v1/routes", says: "routes", example: "static", columns: ROUTE },
];

/** The words of other vendors' manuals: `display l2vpn mac-address`, `display vxlan tunnel`. */
const ELSEWHERE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  l2vpn: { vsi: "vsi", "mac-address": "mac" },
  vxlan: { tunnel: "tunnel" },
  ip: { "routing-table": "route" },
};

/** Does each of `words` stand in a cell of its own, or as a word in one? */
function hasAll(words: readonly string[], row: never, columns: readonly Column<never>[]): boolean {
  const cells = columns.map(({ of }) => String(of(row)).toLowerCase());
  return words.every((word) => cells.some((cell) => [cell, ...cell.split(/[ ,]/)].includes(word.toLowerCase())));
}

export function addShow(program: Command, session: Session): void {
  const show = program
    .command("show")
    .alias("display")
    .description("show what the daemon knows")
    .addHelpText("after", examples("vtepctl show arp", "vtepctl show mac -o json", "vtepctl display vxlan tunnel"));
  const addKind = (parent: Command, { name, aliases, path, says, columns, example }: Kind) =>
    parent
      .command(name)
      .aliases(aliases)
      .description(says)
      .argument("[words...]", "only rows with all these words: an address, a name; none: exit code 4")
      .addHelpText(
        "after",
        examples(`vtepctl show ${name}`, `vtepctl show ${name} ${example}`, `vtepctl show ${name} -o yaml`),
      )
      .action(async (words: string[]) => {
        const rows = (await ask<never[]>(session.socket, path)).filter((row) => hasAll(words, row, columns));
        if (words.length > 0 && rows.length === 0) {
          const hint = `vtepctl show ${name} lists all`;
          throw new Refusal("not_found", `no row has ${words.join(" and ")}`, hint, EXIT.notFound);
        }
        await printList(session.output, rows, columns);
      });
  for (const kind of KINDS) addKind(show, kind);
  for (const [family, words] of Object.entries(ELSEWHERE)) {
    const parent = show.command(family).description(`the same in H3C's words: ${Object.keys(words).join(", ")}`);
    for (const [word, name] of Object.entries(words))
      addKind(parent, { ...KINDS.find((kind) => kind.name === name)!, name: word, aliases: [] });
  }
  show
    .command("policy")
    .aliases(["policies", "policy-based-route"])
    .description("policy routes and how often each rule matched")
    .addHelpText("after", examples("vtepctl show policy"))
    .action(async () => {
      const policies = await ask<Policy[]>(session.socket, "/v1/policies");
      if (session.output.form !== "table") return await printValue(session.output, policies);
      const rows = policies.flatMap((policy) => policy.rules.map((_, index) => ({ policy, index })));
      await printList(session.output, rows, POLICY);
    });
  show
    .command("drops")
    .alias("drop")
    .description("why frames were dropped; JSON and YAML hold all reasons")
    .addOption(new Option("--all", "in the table too, reasons that never happened"))
    .addHelpText("after", examples("vtepctl show drops", "vtepctl show drops --all"))
    .action(async ({ all }: { all?: boolean }) => {
      const drops = await ask<DropCount[]>(session.socket, "/v1/drops");
      const shown = all === true ? drops : drops.filter((drop) => drop.count > 0);
      await printList(session.output, drops, DROP, shown);
    });
  show
    .command("features")
    .description("offloads in use and given up, and the workers' buffers")
    .addHelpText("after", examples("vtepctl show features"))
    .action(async () => {
      const features = await ask<Features>(session.socket, "/v1/features");
      if (session.output.form !== "table") return await printValue(session.output, features);
      await printList(session.output, featureRows(features), FEATURE);
    });
  show
    .command("config")
    .alias("current-configuration")
    .description("the configuration in force as a file, with every default filled in")
    .addHelpText("after", examples("vtepctl show config"))
    .action(async () => {
      const config = await ask<unknown>(session.socket, "/v1/config");
      await printValue(session.output, config);
    });
}
