/**
 * Leases as they are kept between two processes: one JSON text with a version, absolute times, names instead of rows.
 *
 * The file says when it was written. A machine whose clock is not set yet at its start would believe in an earlier time, and leases would
 * last for years: no lease is left more than it had then.
 *
 * It is read as if anybody could have written it: bounded before it is parsed, each value checked, and refused as a whole where one is
 * wrong, since what is half believed is worse than what is asked for again.
 */
import { formatMac, isGroup, parseMac } from "../../wire/ethernet.ts";
import { formatIp, parseIp } from "../ip.ts";
import type { KeptLease } from "./bindings.ts";
import { MAX_LEASES } from "./leases.ts";

const VERSION = 1;
/** A lease is some 150 bytes, with the longest names 300. */
export const LEASES_MOST_BYTES = 2 << 20;

/** Times of two clocks: `unixMs` is what `nowMs` was. */
export interface Clocks {
  readonly nowMs: number;
  readonly unixMs: number;
}

export function leasesText(node: string, leases: readonly KeptLease[], { nowMs, unixMs }: Clocks): string {
  const rows = leases.map(({ ac, vsi, mac, ip, endsMs }) => {
    const ends = endsMs === null ? null : Math.round(endsMs - nowMs + unixMs);
    return JSON.stringify({ ac, vsi, mac: formatMac(mac), ip: formatIp(ip), ends });
  });
  const head = `"version":${VERSION},"node":${JSON.stringify(node)},"saved":${Math.round(unixMs)}`;
  return `{${head},"leases":[\n${rows.join(",\n")}\n]}\n`;
}

/** @returns what is wrong with it, or the leases. */
export function readLeases(text: string, node: string, { nowMs, unixMs }: Clocks): string | readonly KeptLease[] {
  if (text.length > LEASES_MOST_BYTES) return `more than ${LEASES_MOST_BYTES} bytes`;
  const file = parsed(text);
  if (!isMapping(file)) return "no JSON object";
  if (file.version !== VERSION) return `version ${versionText(file.version)}; this vtepd reads ${VERSION}`;
  if (file.node !== node) return `of another node than ${node}`;
  // Earlier versions did not say.
  const { saved = 0 } = file;
  if (!isTime(saved)) return "saved at no time";
  if (!Array.isArray(file.leases)) return "no list of leases";
  if (file.leases.length > MAX_LEASES) return `${file.leases.length} leases, more than ${MAX_LEASES}`;
  const leases: KeptLease[] = [];
  for (const [index, each] of file.leases.entries()) {
    const lease = leaseOf(each, nowMs - Math.max(unixMs, saved));
    if (lease === null) return `lease ${index + 1} is none`;
    leases.push(lease);
  }
  return leases;
}

/** @param toOwn from the wall's clock to ours. */
function leaseOf(value: unknown, toOwn: number): KeptLease | null {
  if (!isMapping(value)) return null;
  const { ac, vsi, mac: macText, ip: ipText, ends } = value;
  if (typeof ac !== "string" || typeof vsi !== "string" || typeof macText !== "string" || typeof ipText !== "string")
    return null;
  const mac = parseMac(macText);
  const ip = parseIp(ipText);
  if (mac === null || mac === 0 || isGroup(mac) || ip === null) return null;
  if (ends !== null && !isTime(ends)) return null;
  return { ac, vsi, mac, ip, endsMs: ends === null ? null : ends + toOwn };
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** A number or a text; of anything else the type alone, since JSON.stringify overflows the stack on lists nested deeply. */
function versionText(version: unknown): string {
  return typeof version === "number" || typeof version === "string"
    ? JSON.stringify(version).slice(0, 20)
    : typeof version;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
