/**
 * What comes after the walkthroughs, on warm tables: ping between all kinds of pairs, TCP throughput, and a look at
 * both gateways' ARP tables.
 *
 * The TTLs tell how often a packet was routed: once within a site (63), twice between sites and to the outside (62).
 */
import type { Family } from "../web/article.ts";
import { namespaceOf } from "./bed.ts";
import { vtepctl } from "./gateway.ts";
import { type Echo, type PingResult, ping, throughput } from "./measure.ts";
import { bold, columns, dim, heading, mark } from "./paint.ts";
import { familiesOf, type LabState } from "./state.ts";
import { addressOf, machine } from "./topology.ts";

/** A piece of the report, and what went wrong in it. */
export interface Section {
  readonly text: string;
  readonly complaints: readonly string[];
}

const PINGS = 4;
/** Of a direction, shared by the families. */
const TCP_SECONDS = 2;
const overText = (family: Family) => `IPv${family}`;

interface Pair {
  readonly from: string;
  readonly to: string;
  readonly ttl: number;
  readonly way: string;
}

const PAIRS: readonly Pair[] = [
  { from: "vm1", to: "vm2", ttl: 63, way: "other VXLAN, same site" },
  { from: "vm1", to: "vm4", ttl: 62, way: "same VXLAN, other site" },
  { from: "vm1", to: "vm5", ttl: 62, way: "other VXLAN, other site" },
  { from: "vm6", to: "vm2", ttl: 62, way: "other VXLAN, other site" },
  { from: "vm1", to: "ext", ttl: 62, way: "outside, policy defaultNextHop" },
  { from: "vm2", to: "ext", ttl: 62, way: "outside, policy nextHop" },
  { from: "vm3", to: "ext", ttl: 62, way: "outside, static route" },
  { from: "ext", to: "vm1", ttl: 62, way: "from outside" },
];

export async function pingSection(state: LabState): Promise<Section> {
  const complaints: string[] = [];
  const rows: string[][] = [
    ["", "from", "to", "over", "ttl", "expected", "answers", "first", "min / avg / max ms", ""].map(bold),
  ];
  let tool = "";
  for (const { from, to, ttl, way } of PAIRS) {
    // All families at once: they do not know of each other.
    const pinged = familiesOf(state).map(async (family) => {
      return { family, result: await ping(namespaceOf(state, from), addressOf(machine(to), family), PINGS) };
    });
    for (const { family, result } of await Promise.all(pinged)) rows.push(row({ from, to, ttl, way }, family, result));
  }
  return { text: `${heading(`Ping (${tool})`)}\n${columns(rows, " ")}`, complaints };

  function row({ from, to, ttl, way }: Pair, family: Family, result: PingResult): string[] {
    tool = result.tool;
    const first = result.echoes.find((echo) => echo.sequence === 1);
    const ttls = [...new Set(result.echoes.map((echo) => echo.ttl))];
    const isGood = result.echoes.length === PINGS && ttls.length === 1 && ttls[0] === ttl;
    if (!isGood) {
      const seen = `${result.echoes.length} of ${PINGS} answered, ttl ${ttls.join(", ") || "-"} instead of ${ttl}`;
      complaints.push(
        `ping ${from} → ${to} over ${overText(family)}: ${seen}${result.complaint === "" ? "" : `, ${result.complaint}`}`,
      );
    }
    return [
      mark(isGood),
      from,
      to,
      overText(family),
      ttls.join(",") || "-",
      String(ttl),
      `${result.echoes.length}/${PINGS}`,
      first === undefined ? "lost" : `${first.rttMs.toFixed(2)} ms`,
      rttText(result.echoes),
      dim(way),
    ];
  }
}

function rttText(echoes: readonly Echo[]): string {
  if (echoes.length === 0) return "-";
  const times = echoes.map((echo) => echo.rttMs);
  const average = times.reduce((sum, time) => sum + time, 0) / times.length;
  return [Math.min(...times), average, Math.max(...times)].map((time) => time.toFixed(2)).join(" / ");
}

export async function tcpSection(state: LabState): Promise<Section> {
  const complaints: string[] = [];
  const rows: string[][] = [];
  let tool = "";
  const families = familiesOf(state);
  for (const [sender, receiver, isReverse, family] of families.flatMap(
    (each) =>
      [
        ["vm1", "vm4", false, each],
        ["vm4", "vm1", true, each],
      ] as const,
  )) {
    const way = `${sender} → ${receiver}`;
    try {
      const result = await throughput(
        namespaceOf(state, "vm1"),
        namespaceOf(state, "vm4"),
        addressOf(machine("vm4"), family),
        { seconds: TCP_SECONDS / families.length },
        isReverse,
      );
      tool = result.tool;
      if (result.bytes === 0) throw new Error("not a byte arrived");
      const megabytes = (result.bytes / 1e6).toFixed(0);
      rows.push([
        mark(true),
        way,
        overText(family),
        bold(rateText(result.megabitsPerSecond)),
        dim(`${megabytes} MB in ${result.seconds.toFixed(1)} s`),
      ]);
    } catch (error) {
      complaints.push(`TCP ${way} over ${overText(family)}: ${(error as Error).message}`);
      rows.push([mark(false), way, overText(family), (error as Error).message]);
    }
  }
  return { text: `${heading(`TCP throughput (${tool || "failed"})`)}\n${columns(rows, " ")}`, complaints };
}

export function rateText(megabitsPerSecond: number): string {
  if (megabitsPerSecond >= 1000) return `${(megabitsPerSecond / 1000).toFixed(2)} Gbit/s`;
  return `${megabitsPerSecond.toFixed(1)} Mbit/s`;
}

/** Both gateways' ARP and neighbour tables, as an operator sees them. */
export async function arpSection(state: LabState): Promise<Section> {
  const complaints: string[] = [];
  const kinds = familiesOf(state).map((family) => (family === 4 ? "arp" : "nd"));
  const lines = [heading(kinds.map((kind) => (kind === "arp" ? "ARP tables" : "Neighbour tables")).join(", "))];
  for (const [gateway, kind] of ["gw1", "gw2"].flatMap((each) => kinds.map((kind) => [each, kind] as const))) {
    const outcome = await vtepctl(state.name, gateway, ["show", kind, "-w"]);
    if (outcome.status !== 0) complaints.push(`vtepctl show ${kind} on ${gateway}: ${outcome.stderr.trim()}`);
    lines.push(` ${bold(gateway)} $ vtepctl show ${kind} -w`);
    lines.push(
      ...(outcome.stdout || outcome.stderr)
        .trimEnd()
        .split("\n")
        .map((line) => `   ${line}`),
      "",
    );
  }
  return { text: lines.join("\n").trimEnd(), complaints };
}
