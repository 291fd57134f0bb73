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
import { TYPE_ARP, TYPE_IPV4 } from "../wire/ethernet.ts";
import { type FrameRow, isFrameRow, type MacName, type Row, type Scenario, type TableRow } from "./expect.ts";
import type { Inner, Seen } from "./frame.ts";
import { MACHINES } from "./topology.ts";

/** An entry of a gateway's ARP table, as `vtepctl show arp -o json` gives it. */
export interface ArpEntry {
  readonly ip: string;
  /** Null while it is being resolved. */
  readonly mac: string | null;
  readonly kind: string;
  readonly via: { readonly kind: string; readonly name: string } | null;
}

export interface Observation {
  readonly frames: readonly Seen[];
  /** ARP tables of the VTEPs, by name. */
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
  const excuse = excuses(gatewayMacs);
  for (const frame of frames) {
    if (taken.has(frame)) continue;
    const reason = excuse(frame);
    if (reason !== undefined) tolerated.push({ frame, note: reason });
    else unexpected.push({ frame, note: whyNot(frame, scenario, names) });
  }
  return { verdicts: inOrder(verdicts), unexpected, tolerated, rules: negativeRules(frames) };
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
    .filter((candidate) => (candidate.arp === undefined) === (row.arp === undefined))
    .map((candidate) => ({ candidate, wrong: differences(row, candidate, names) }))
    .sort((a, b) => a.wrong.length - b.wrong.length)[0];
  // A frame with next to nothing in common is no explanation.
  if (nearest === undefined || nearest.wrong.length > 3) return { row, isMet: false, note: "no such frame was seen" };
  return { row, isMet: false, frame: nearest.candidate, note: `differs in ${nearest.wrong.join(", ")}` };
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
  if (row.arp !== undefined) {
    const [op, senderMac, senderIp, targetMac, targetIp] = row.arp;
    compare("ARP op", op, frame.arp?.op);
    compare("sender MAC", mac(senderMac), frame.arp?.senderMac);
    compare("sender IP", senderIp, frame.arp?.senderIp);
    compare("target MAC", mac(targetMac), frame.arp?.targetMac);
    compare("target IP", targetIp, frame.arp?.targetIp);
  }
  if (row.ip !== undefined) {
    const [source, destination, ttl, message] = row.ip;
    compare("source IP", source, frame.ip?.source);
    compare("destination IP", destination, frame.ip?.destination);
    compare("TTL", ttl, frame.ip?.ttl);
    compare("ICMP type", message === "echo request" ? 8 : 0, frame.ip?.icmp?.type);
  }
  return wrong;
}

/** What no row mentions because it holds for all: the outer header's form, the IP checksum. */
function wireDefect(frame: Seen): string | undefined {
  if (frame.ip?.isChecksumRight === false) return "wrong IP header checksum";
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
/**
 * A function that says why a frame may be there though no row asks for it; undefined: it may not. Frames are shown to
 * it in order of time, since a reply is excused by the request before it, and by one only.
 */
function excuses(gatewayMacs: ReadonlySet<string>): (frame: Seen) => string | undefined {
  const asked: Seen[] = [];
  return (frame) => {
    const { arp } = frame;
    if (frame.outer !== undefined) {
      const isOfGateways = gatewayMacs.has(frame.source) && gatewayMacs.has(frame.destination);
      return isOfGateways && isProbe(arp) ? "a gateway asks its next hop whether it lives" : undefined;
    }
    // A malformed ARP or IPv4 packet has no fields either, and no excuse.
    if (frame.type !== TYPE_ARP && frame.type !== TYPE_IPV4) return "neither IPv4 nor ARP: the VM's kernel";
    if (arp === undefined) return undefined;
    if (arp.senderIp === arp.targetIp) {
      return gatewayMacs.has(frame.source) ? "the gateway announces itself to a new AC" : undefined;
    }
    const REVALIDATION = "the VM's kernel revalidates an entry by unicast";
    if (arp.op === "request") {
      if (!gatewayMacs.has(frame.destination)) return undefined;
      asked.push(frame);
      return REVALIDATION;
    }
    const request = asked.findIndex(
      (earlier) =>
        earlier.place === frame.place &&
        earlier.arp?.senderIp === arp.targetIp &&
        earlier.arp.targetIp === arp.senderIp &&
        earlier.source === frame.destination,
    );
    if (request === -1) return undefined;
    asked.splice(request, 1);
    return REVALIDATION;
  };
}

/** ARP without a sender (RFC 5227 §2.1.1), or the answer to it. */
function isProbe(arp: Seen["arp"]): boolean {
  if (arp === undefined) return false;
  const { op, senderIp, targetIp } = arp;
  return (op === "request" ? senderIp : targetIp) === "0.0.0.0";
}

function whyNot(frame: Seen, scenario: Scenario, names: ReadonlyMap<MacName, string>): string {
  const twin = scenario.rows.find((row) => isFrameRow(row) && row.place === frame.place && fits(row, frame, names));
  if (twin === undefined) return "belongs to no step";
  return twin.step === undefined ? "came once more than it should" : `came once more than step ${twin.step} needs`;
}

function fits(row: FrameRow, frame: Seen, names: ReadonlyMap<MacName, string>): boolean {
  return differences(row, frame, names).length === 0;
}

// ---- negative expectations ---------------------------------------------------------------------------------------
function negativeRules(frames: readonly Seen[]): Rule[] {
  const tunnel = frames.filter((frame) => frame.outer !== undefined);
  const machineMacs = new Set(MACHINES.map((machine) => machine.mac));
  return [
    {
      name: "N1",
      text: "no frame from a tunnel leaves on a tunnel by bridging",
      violations: tunnel.filter((frame) => tunnel.some((earlier) => isBridgedOn(earlier, frame))),
    },
    {
      name: "N2",
      text: "no VM's MAC is inside a VXLAN ARP: the original request is never bridged",
      violations: tunnel.filter(
        (frame) => frame.arp && (machineMacs.has(frame.source) || machineMacs.has(frame.arp.senderMac)),
      ),
    },
    {
      name: "N3",
      text: "an ARP request for the gateway's IP from an AC is answered once and goes nowhere else",
      violations: gatewayRequestEchoes(frames),
    },
    {
      name: "N5",
      text: "no ICMP redirect",
      violations: frames.filter((frame) => frame.ip?.icmp?.type === 5),
    },
  ];
}

/** Did `later` leave the VTEP at which `earlier` arrived, with the very same Ethernet frame inside? */
function isBridgedOn(earlier: Seen, later: Seen): boolean {
  if (earlier === later || later.atMs < earlier.atMs) return false;
  if (earlier.place.split(">")[1] !== later.place.split(">")[0]) return false;
  return Buffer.compare(earlier.bytes, later.bytes) === 0;
}

function gatewayRequestEchoes(frames: readonly Seen[]): Seen[] {
  const violations: Seen[] = [];
  for (const machine of MACHINES) {
    const isAsking = ({ arp }: Inner) =>
      arp?.op === "request" && arp.senderIp === machine.address && arp.targetIp === machine.gateway;
    const requests = frames.filter((frame) => isAsking(frame) && frame.source === machine.mac);
    const elsewhere = frames.filter((frame) => isAsking(frame) && frame.source !== machine.mac);
    const replies = frames.filter(
      ({ arp }) => arp?.op === "reply" && arp.senderIp === machine.gateway && arp.targetIp === machine.address,
    );
    violations.push(...elsewhere, ...replies.slice(requests.length));
  }
  return violations;
}
