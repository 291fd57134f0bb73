/**
 * Judging a walkthrough: expected rows against observed frames and tables. Pure; nothing is read or printed here.
 *
 * A row takes the first frame of its place that fits it and was not taken yet. Every frame must be taken, be of a kind
 * that `excuses` knows, or it is a failure: a gateway that does the right thing *and* floods the original too is
 * wrong. Within one place the taken frames must come in the order of the rows; between places no order is demanded,
 * since two captures cannot tell microseconds apart.
 *
 * The negative expectations (N1, N2, N3, N5 of the behaviour tables) are judged over all frames, taken or not.
 */
import type { Family } from "../web/article.ts";
import { ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST } from "../wire/icmp.ts";
import { ICMP6_ECHO_REPLY, ICMP6_ECHO_REQUEST, ICMP6_REDIRECT } from "../wire/icmp6.ts";
import { formatIpv6, parseIpv6 } from "../wire/ipv6.ts";
import { solicitedNode } from "../wire/nd.ts";
import { excuses } from "./excuses.ts";
import { type FrameRow, isFrameRow, type MacName, type Row, type Scenario, type TableRow } from "./expect.ts";
import { askingOf, type Inner, type Seen } from "./frame.ts";
import { addressOf, gatewayOf, MACHINES } from "./topology.ts";

/** An entry of a gateway's ARP or neighbour table, as `vtepctl show arp|nd -o json` gives it. */
export interface ArpEntry {
  readonly ip: string;
  /** Null while it is being resolved. */
  readonly mac: string | null;
  readonly kind: string;
  readonly via: { readonly kind: string; readonly name: string } | null;
}

export interface Observation {
  readonly frames: readonly Seen[];
  /** ARP tables of the VTEPs, by name; with IPv6 their neighbour tables. */
  readonly arpTables: ReadonlyMap<string, readonly ArpEntry[]>;
  /** Neighbour tables of the machines' kernels, by name: IP to MAC. */
  readonly neighbours: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

export interface Verdict {
  readonly row: Row;
  readonly isMet: boolean;
  /** The frame that fits, or for a failed row the one that comes nearest. */
  readonly frame?: Seen;
  /** What the table says, for a table row. */
  readonly entry?: string;
  /** Why it failed, or why it may be missing. */
  readonly note?: string;
}

export interface Extra {
  readonly frame: Seen;
  readonly note: string;
}

export interface Rule {
  readonly name: string;
  readonly text: string;
  readonly violations: readonly Seen[];
}

export interface Judgement {
  readonly verdicts: readonly Verdict[];
  readonly unexpected: readonly Extra[];
  readonly tolerated: readonly Extra[];
  readonly rules: readonly Rule[];
}

export function failures(judgement: Judgement): number {
  const rows = judgement.verdicts.filter((verdict) => !verdict.isMet).length;
  return rows + judgement.unexpected.length + judgement.rules.filter((rule) => rule.violations.length > 0).length;
}

export function judge(scenario: Scenario, names: ReadonlyMap<MacName, string>, seen: Observation): Judgement {
  const frames = [...seen.frames].sort((a, b) => a.atMs - b.atMs);
  const taken = new Map<Seen, FrameRow>();
  const verdicts: Verdict[] = [];
  for (const row of scenario.rows) {
    verdicts.push(isFrameRow(row) ? judgeFrameRow(row, frames, taken, names) : judgeTableRow(row, names, seen));
  }
  const unexpected: Extra[] = [];
  const tolerated: Extra[] = [];
  const gatewayMacs = new Set([...names].filter(([name]) => /^[GB]/.test(name)).map(([, mac]) => mac));
  const excuse = excuses(gatewayMacs, scenario.family);
  for (const frame of frames) {
    if (taken.has(frame)) continue;
    const reason = excuse(frame);
    if (reason !== undefined) tolerated.push({ frame, note: reason });
    else unexpected.push({ frame, note: whyNot(frame, scenario, names) });
  }
  return { verdicts: inOrder(verdicts), unexpected, tolerated, rules: negativeRules(frames, scenario.family) };
}

// ---- frame rows ------------------------------------------------------------------------------------------------
function judgeFrameRow(
  row: FrameRow,
  frames: readonly Seen[],
  taken: Map<Seen, FrameRow>,
  names: ReadonlyMap<MacName, string>,
): Verdict {
  const free = frames.filter((frame) => frame.place === row.place && !taken.has(frame));
  const frame = free.find((candidate) => differences(row, candidate, names).length === 0);
  if (frame !== undefined) {
    taken.set(frame, row);
    const defect = wireDefect(frame);
    return { row, frame, isMet: defect === undefined, ...(defect !== undefined && { note: defect }) };
  }
  if (row.optional !== undefined) return { row, isMet: true, note: row.optional };
  const nearest = free
    .filter((candidate) => isAsking(candidate) === isAsking(row))
    .map((candidate) => ({ candidate, wrong: differences(row, candidate, names) }))
    .sort((a, b) => a.wrong.length - b.wrong.length)[0];
  // A frame with next to nothing in common is no explanation.
  if (nearest === undefined || nearest.wrong.length > 3) return { row, isMet: false, note: "no such frame was seen" };
  return { row, isMet: false, frame: nearest.candidate, note: `differs in ${nearest.wrong.join(", ")}` };
}

function isAsking({ arp, nd }: Pick<FrameRow, "arp" | "nd"> | Inner): boolean {
  return arp !== undefined || nd !== undefined;
}

/** Names of the fields in which a frame differs from its row. */
function differences(row: FrameRow, frame: Seen, names: ReadonlyMap<MacName, string>): string[] {
  const mac = (name: MacName) => names.get(name) ?? `unknown ${name}`;
  const wrong: string[] = [];
  const compare = (field: string, expected: unknown, observed: unknown) => {
    if (expected !== observed) wrong.push(field);
  };
  compare("destination MAC", mac(row.eth[0]), frame.destination);
  compare("source MAC", mac(row.eth[1]), frame.source);
  if (row.vni !== undefined) compare("VNI", row.vni, frame.outer?.vni);
  const asks = row.arp ?? row.nd?.asks;
  if (asks !== undefined) {
    const [op, senderMac, senderIp, targetMac, targetIp] = asks;
    const seen = row.arp === undefined ? frame.nd : frame.arp;
    compare(row.arp === undefined ? "solicitation or advertisement" : "ARP op", op, seen?.op);
    compare("sender MAC", mac(senderMac), seen?.senderMac);
    compare("sender IP", senderIp, seen?.senderIp);
    compare("target MAC", mac(targetMac), seen?.targetMac);
    compare("target IP", targetIp, seen?.targetIp);
  }
  if (row.nd !== undefined) {
    const [op, , , , targetIp] = row.nd.asks;
    compare("IPv6 source", row.nd.by, frame.nd?.by);
    compare("IPv6 destination", op === "request" ? groupOf(targetIp) : targetIp, frame.nd?.to);
    compare("flags", row.nd.flags, frame.nd?.flags);
  }
  if (row.ip !== undefined) {
    const [source, destination, ttl, message] = row.ip;
    compare("source IP", source, frame.ip?.source);
    compare("destination IP", destination, frame.ip?.destination);
    compare("TTL", ttl, frame.ip?.ttl);
    compare("ICMP type", ECHOES[source.includes(":") ? 6 : 4][message], frame.ip?.icmp?.type);
  }
  return wrong;
}

const ECHOES = {
  4: { "echo request": ICMP_ECHO_REQUEST, "echo reply": ICMP_ECHO_REPLY },
  6: { "echo request": ICMP6_ECHO_REQUEST, "echo reply": ICMP6_ECHO_REPLY },
} as const;

/** Where a solicitation of an address goes. */
const groupOf = (address: string) => formatIpv6(solicitedNode(parseIpv6(address)!));

/** What no row mentions because it holds for all: the outer header's form, the IP checksum. */
function wireDefect(frame: Seen): string | undefined {
  if (frame.ip?.isChecksumRight === false) return "wrong IP or ICMPv6 checksum";
  if (frame.outer === undefined) return undefined;
  if (!frame.outer.isPlain) return "reserved bits are set in the VXLAN header";
  if (frame.outer.sourcePort < 49_152) return `outer source port ${frame.outer.sourcePort} is below 49152`;
  return undefined;
}

/** Rows of one place must have been met in their order. */
function inOrder(verdicts: readonly Verdict[]): Verdict[] {
  const latest = new Map<string, number>();
  return verdicts.map((verdict) => {
    if (!isFrameRow(verdict.row) || !verdict.isMet || verdict.frame === undefined) return verdict;
    const before = latest.get(verdict.row.place) ?? Number.NEGATIVE_INFINITY;
    if (verdict.frame.atMs < before)
      return { ...verdict, isMet: false, note: "came too early: before what stands above it" };
    latest.set(verdict.row.place, verdict.frame.atMs);
    return verdict;
  });
}

// ---- table rows ------------------------------------------------------------------------------------------------
function judgeTableRow(row: TableRow, names: ReadonlyMap<MacName, string>, seen: Observation): Verdict {
  const wanted = row.mac === undefined ? undefined : names.get(row.mac);
  const neighbours = seen.neighbours.get(row.table);
  if (neighbours !== undefined) {
    const mac = neighbours.get(row.ip);
    const entry = mac === undefined ? "no entry" : `${row.ip} at ${mac}`;
    return verdictOf(row, mac !== undefined && mac === wanted, entry);
  }
  const entries = (seen.arpTables.get(row.table) ?? []).filter(
    (entry) => entry.ip === row.ip && (row.kind === undefined || entry.kind === row.kind),
  );
  const viaOf = ({ via }: ArpEntry) => (via === null ? "no port" : `${via.kind} ${via.name}`);
  const text = (entry: ArpEntry) => `${entry.ip} at ${entry.mac ?? "no MAC"} via ${viaOf(entry)}, ${entry.kind}`;
  if (row.isAbsent === true) return verdictOf(row, entries.length === 0, entries.map(text).join("; ") || "no entry");
  const fits = entries.find((entry) => entry.mac === wanted && viaOf(entry) === row.via);
  return verdictOf(row, fits !== undefined, fits ? text(fits) : entries.map(text).join("; ") || "no entry");
}

function verdictOf(row: TableRow, fits: boolean, entry: string): Verdict {
  if (fits || row.optional === undefined) return { row, isMet: fits, entry };
  return { row, isMet: entry === "no entry", entry, note: row.optional };
}

// ---- frames without a row --------------------------------------------------------------------------------------
function whyNot(frame: Seen, scenario: Scenario, names: ReadonlyMap<MacName, string>): string {
  const twin = scenario.rows.find((row) => isFrameRow(row) && row.place === frame.place && fits(row, frame, names));
  if (twin === undefined) return "belongs to no step";
  return twin.step === undefined ? "came once more than it should" : `came once more than step ${twin.step} needs`;
}

function fits(row: FrameRow, frame: Seen, names: ReadonlyMap<MacName, string>): boolean {
  return differences(row, frame, names).length === 0;
}

// ---- negative expectations ---------------------------------------------------------------------------------------
function negativeRules(frames: readonly Seen[], family: Family): Rule[] {
  const tunnel = frames.filter((frame) => frame.outer !== undefined);
  const machineMacs = new Set(MACHINES.map((machine) => machine.mac));
  const [question, told] = family === 4 ? ["ARP request", "ARP"] : ["solicitation", "neighbour discovery"];
  const addresses = new Set(MACHINES.map((machine) => addressOf(machine, family)));
  return [
    {
      name: "N1",
      text: "no frame from a tunnel leaves on a tunnel by bridging",
      violations: tunnel.filter((frame) => tunnel.some((earlier) => isBridgedOn(earlier, frame))),
    },
    {
      name: "N2",
      text: `no VM's MAC is inside a VXLAN ${told}: the original request is never bridged`,
      violations: tunnel.filter((frame) => {
        const asking = askingOf(frame);
        // Addresses of the link are bridged, at the VMs' own MACs.
        const isAbout = family === 4 || addresses.has(asking?.senderIp ?? "") || addresses.has(asking?.targetIp ?? "");
        return asking && isAbout && (machineMacs.has(frame.source) || machineMacs.has(asking.senderMac));
      }),
    },
    {
      name: "N3",
      text: `${question === "ARP request" ? "an" : "a"} ${question} for the gateway's IP from an AC is answered once and goes nowhere else`,
      violations: gatewayRequestEchoes(frames, family),
    },
    {
      name: "N5",
      text: "no ICMP redirect",
      violations: frames.filter(({ ip }) => ip?.icmp?.type === (ip?.source.includes(":") ? ICMP6_REDIRECT : 5)),
    },
  ];
}

/** Did `later` leave the VTEP at which `earlier` arrived, with the very same Ethernet frame inside? */
function isBridgedOn(earlier: Seen, later: Seen): boolean {
  if (earlier === later || later.atMs < earlier.atMs) return false;
  if (earlier.place.split(">")[1] !== later.place.split(">")[0]) return false;
  return Buffer.compare(earlier.bytes, later.bytes) === 0;
}

function gatewayRequestEchoes(frames: readonly Seen[], family: Family): Seen[] {
  const violations: Seen[] = [];
  for (const machine of MACHINES) {
    const [own, router] = [addressOf(machine, family), gatewayOf(machine, family)];
    const isAsking = (frame: Inner) => {
      const asking = askingOf(frame);
      return asking?.op === "request" && asking.senderIp === own && asking.targetIp === router;
    };
    const requests = frames.filter((frame) => isAsking(frame) && frame.source === machine.mac);
    const elsewhere = frames.filter((frame) => isAsking(frame) && frame.source !== machine.mac);
    const replies = frames.filter((frame) => {
      const asking = askingOf(frame);
      return asking?.op === "reply" && asking.senderIp === router && asking.targetIp === own;
    });
    violations.push(...elsewhere, ...replies.slice(requests.length));
  }
  return violations;
}
