/**
 * What comes after the walkthroughs, on warm tables: ping between all kinds of pairs, TCP throughput, and a look at
 * both gateways' ARP tables.
 *
 * The TTLs tell how often a packet was routed: once within a site (63), twice between sites and to the outside (62).
 */
import { namespaceOf } from "./bed.ts";
import { vtepctl } from "./gateway.ts";
import { type Echo, ping, throughput } from "./measure.ts";
import { bold, columns, dim, heading, mark } from "./paint.ts";
import type { LabState } from "./state.ts";
import { machine } from "./topology.ts";

/** A piece of the report, and what went wrong in it. */
export interface Section {
  readonly text: string;
  readonly complaints: readonly string[];
}

const PINGS = 4;
const TCP_SECONDS = 2;

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
    ["", "from", "to", "ttl", "expected", "answers", "first", "min / avg / max ms", ""].map(bold),
  ];
  let tool = "";
  for (const { from, to, ttl, way } of PAIRS) {
    const result = await ping(namespaceOf(state, from), machine(to).address, PINGS);
    tool = result.tool;
    const first = result.echoes.find((echo) => echo.sequence === 1);
    const ttls = [...new Set(result.echoes.map((echo) => echo.ttl))];
    const isGood = result.echoes.length === PINGS && ttls.length === 1 && ttls[0] === ttl;
    if (!isGood) {
      const seen = `${result.echoes.length} of ${PINGS} answered, ttl ${ttls.join(", ") || "-"} instead of ${ttl}`;
      complaints.push(`ping ${from} → ${to}: ${seen}${result.complaint === "" ? "" : `, ${result.complaint}`}`);
    }
    rows.push([
      mark(isGood),
      from,
      to,
      ttls.join(",") || "-",
      String(ttl),
      `${result.echoes.length}/${PINGS}`,
      first === undefined ? "lost" : `${first.rttMs.toFixed(2)} ms`,
      rttText(result.echoes),
      dim(way),
    ]);
  }
  return { text: `${heading(`Ping (${tool})`)}\n${columns(rows, " ")}`, complaints };
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
  for (const [sender, receiver, isReverse] of [
    ["vm1", "vm4", false],
    ["vm4", "vm1", true],
  ] as const) {
    try {
      const result = await throughput(
        namespaceOf(state, "vm1"),
        namespaceOf(state, "vm4"),
        machine("vm4").address,
        { seconds: TCP_SECONDS },
        isReverse,
      );
      tool = result.tool;
      if (result.bytes === 0) throw new Error("not a byte arrived");
      const megabytes = (result.bytes / 1e6).toFixed(0);
      rows.push([
        mark(true),
        `${sender} → ${receiver}`,
        bold(rateText(result.megabitsPerSecond)),
        dim(`${megabytes} MB in ${result.seconds.toFixed(1)} s`),
      ]);
    } catch (error) {
      complaints.push(`TCP ${sender} → ${receiver}: ${(error as Error).message}`);
      rows.push([mark(false), `${sender} → ${receiver}`, (error as Error).message]);
    }
  }
  return { text: `${heading(`TCP throughput (${tool || "failed"})`)}\n${columns(rows, " ")}`, complaints };
}

export function rateText(megabitsPerSecond: number): string {
  if (megabitsPerSecond >= 1000) return `${(megabitsPerSecond / 1000).toFixed(2)} Gbit/s`;
  return `${megabitsPerSecond.toFixed(1)} Mbit/s`;
}

/** Both gateways' ARP tables, as an operator sees them. */
export async function arpSection(state: LabState): Promise<Section> {
  const complaints: string[] = [];
  const lines = [heading("ARP tables")];
  for (const gateway of ["gw1", "gw2"]) {
    const outcome = await vtepctl(state.name, gateway, ["show", "arp", "-w"]);
    if (outcome.status !== 0) complaints.push(`vtepctl show arp on ${gateway}: ${outcome.stderr.trim()}`);
    lines.push(` ${bold(gateway)} $ vtepctl show arp -w`);
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
