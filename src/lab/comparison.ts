/**
 * `lab centralized`: the article's opening claim, measured.
 *
 * "With a centralised VXLAN IP gateway all traffic between VXLANs is handled by that gateway; the pressure on it is
 * great." The same machines run under both schemes; for each, VM1 pings VM4 (same VXLAN) and VM5 (other VXLAN) and
 * sends each a fixed number of bytes by TCP. The bytes through the third VTEP, the central gateway (in the distributed
 * scheme: the Border, which has no part in this), are read from the kernel's counters of its underlay device; the path
 * comes from captures of the VXLAN datagrams, the TTL from ping.
 */
import type { Family } from "../web/article.ts";
import { ICMP_ECHO_REQUEST } from "../wire/icmp.ts";
import { ICMP6_ECHO_REQUEST } from "../wire/icmp6.ts";
import { addIpv6, bringUp, changeMode, namespaceOf } from "./bed.ts";
import { type Tool, untilQuiet } from "./capture.ts";
import { rateText } from "./examination.ts";
import type { Seen } from "./frame.ts";
import { ping, throughput } from "./measure.ts";
import { countersOf } from "./namespace.ts";
import { bold, columns, dim, heading, mark } from "./paint.ts";
import type { LabState } from "./state.ts";
import { addressOf, type Mode, machine, UNDERLAY_DEVICE } from "./topology.ts";
import { closeEyes, openEyes, seenBy } from "./walkthrough.ts";

const TRANSFER_BYTES = 64 << 20;
/** What ARP and the like may cost a VTEP that the traffic does not concern. */
const ASIDE_BYTES = 64 << 10;
const QUIET_MS = 200;
const QUIET_DEADLINE_MS = 2000;
const CENTRAL = "border";

interface Expectation {
  readonly to: string;
  readonly mode: Mode;
  readonly ttl: number;
  readonly path: string;
  /** Does the transfer pass through the third VTEP, in and out? */
  readonly isCentral: boolean;
}

/** Routed twice, bridged, routed once: what the TTLs say. */
const EXPECTED: readonly Expectation[] = [
  { mode: "centralized", to: "vm4", ttl: 64, path: "gw1 –10→ gw2", isCentral: false },
  { mode: "centralized", to: "vm5", ttl: 63, path: "gw1 –10→ central –20→ gw2", isCentral: true },
  { mode: "distributed", to: "vm4", ttl: 62, path: "gw1 –10→ gw2", isCentral: false },
  { mode: "distributed", to: "vm5", ttl: 62, path: "gw1 –20→ gw2", isCentral: false },
];

interface Measured extends Expectation {
  readonly family: Family;
  readonly seenPath: string;
  readonly seenTtl: number | undefined;
  readonly centralBytes: number;
  readonly megabitsPerSecond: number;
  readonly complaints: readonly string[];
}

/** VXLAN hops of the echo requests from VM1, in the order they were first seen: "gw1 –10→ gw2". */
function pathOf(frames: readonly Seen[], address: string): string {
  const hops = new Map<string, number>();
  for (const { place, outer, ip } of frames) {
    const request = address.includes(":") ? ICMP6_ECHO_REQUEST : ICMP_ECHO_REQUEST;
    if (outer !== undefined && ip?.icmp?.type === request && ip.destination === address) {
      if (!hops.has(place)) hops.set(place, outer.vni);
    }
  }
  const name = (vtep: string) => (vtep === CENTRAL ? "central" : vtep);
  let text = "";
  for (const [place, vni] of inTravelOrder([...hops])) {
    const [from = "", next = ""] = place.split(">");
    text += `${text === "" ? name(from) : ""} –${vni}→ ${name(next)}`;
  }
  return text === "" ? "none seen" : text;
}

/** Captures of different devices are not exactly in order of time; the hops themselves tell: they start at gw1. */
function inTravelOrder(hops: readonly [string, number][]): readonly [string, number][] {
  return [...hops].sort(([a], [b]) => Number(b.startsWith("gw1>")) - Number(a.startsWith("gw1>")));
}

async function throughCentral(state: LabState): Promise<number> {
  const counters = await countersOf(namespaceOf(state, CENTRAL), UNDERLAY_DEVICE);
  return counters.receivedBytes + counters.sentBytes;
}

async function measure(state: LabState, expected: Expectation, family: Family, tool: Tool): Promise<Measured> {
  const complaints: string[] = [];
  const client = namespaceOf(state, "vm1");
  const target = addressOf(machine(expected.to), family);
  // A bridge floods what it has not learned: the path that counts is that of a later packet.
  const first = await ping(client, target, 2);
  if (first.echoes.length < 2) complaints.push(`only ${first.echoes.length} of 2 pings answered ${first.complaint}`);
  const eyes = await openEyes(state, tool);
  const captures = eyes.map((eye) => eye.capture);
  let echo: number | undefined;
  let seenPath: string;
  try {
    const result = await ping(client, target, 1);
    echo = result.echoes[0]?.ttl;
    await untilQuiet(captures, QUIET_MS, QUIET_DEADLINE_MS);
    seenPath = pathOf(seenBy(eyes), target);
  } finally {
    await closeEyes(eyes);
  }
  if (echo !== expected.ttl) complaints.push(`ttl ${echo ?? "-"} instead of ${expected.ttl}`);
  if (seenPath !== expected.path) complaints.push(`path ${seenPath} instead of ${expected.path}`);

  const before = await throughCentral(state);
  let megabitsPerSecond = 0;
  try {
    const server = namespaceOf(state, expected.to);
    const result = await throughput(client, server, target, { bytes: TRANSFER_BYTES });
    megabitsPerSecond = result.megabitsPerSecond;
  } catch (error) {
    complaints.push(`TCP: ${(error as Error).message}`);
  }
  const centralBytes = (await throughCentral(state)) - before;
  if (expected.isCentral && centralBytes < 2 * TRANSFER_BYTES) {
    complaints.push(`only ${centralBytes} bytes through the central gateway: the traffic went another way`);
  }
  if (!expected.isCentral && centralBytes > ASIDE_BYTES) {
    complaints.push(`${centralBytes} bytes through the third VTEP, which this traffic does not concern`);
  }
  return { ...expected, family, seenPath, seenTtl: echo, centralBytes, megabitsPerSecond, complaints };
}

export interface Comparison {
  readonly text: string;
  readonly complaints: readonly string[];
}

/** Run both schemes on the same machines. `onUp` learns of the lab as soon as it exists. */
export async function compare(
  name: string | undefined,
  families: readonly Family[],
  tool: Tool,
  say: (text: string) => void,
  onUp: (state: LabState) => void,
): Promise<Comparison> {
  const state = await bringUp(
    name,
    { mode: "centralized", gatewayMac: "auto", handover: false, offload: true, families },
    say,
    onUp,
  );
  const measured: Measured[] = [];
  for (const mode of ["centralized", "distributed"] as const) {
    if (state.mode !== mode) {
      say(`changing to the ${mode} scheme`);
      await changeMode(state, mode);
    }
    if (families.includes(6)) await addIpv6(state);
    for (const expected of EXPECTED.filter((row) => row.mode === mode)) {
      say(`${mode}: vm1 → ${expected.to}, ping and ${TRANSFER_BYTES >> 20} MiB of TCP`);
      for (const family of families) measured.push(await measure(state, expected, family, tool));
    }
  }
  return {
    text: comparisonText(measured),
    complaints: measured.flatMap((row) =>
      row.complaints.map((complaint) => `${row.mode}, ${trafficText(row)}: ${complaint}`),
    ),
  };
}

function comparisonText(measured: readonly Measured[]): string {
  const head = ["", "scheme", "traffic", "path (VNI)", "ttl", "through the third VTEP", "TCP"].map(bold);
  const rows = measured.map((row) => [
    mark(row.complaints.length === 0),
    row.mode,
    trafficText(row),
    row.seenPath,
    String(row.seenTtl ?? "-"),
    `${megabytes(row.centralBytes)} ${dim(`(${(row.centralBytes / TRANSFER_BYTES).toFixed(2)} × the data)`)}`,
    rateText(row.megabitsPerSecond),
  ]);
  const size = `${TRANSFER_BYTES >> 20} MiB`;
  return `${heading(`Centralised and distributed: ${size} of TCP from VM1 to each`)}\n${columns([head, ...rows], " ")}`;
}

const trafficText = ({ to, family }: Measured) => `vm1 → ${to}${family === 6 ? " IPv6" : ""}`;

function megabytes(bytes: number): string {
  return bytes < 1e5 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
