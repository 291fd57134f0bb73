/** An entry of the MAC table: what is kept of it, where it comes from, and its story for people (`vtepctl why`): which frame told, when, and where it was before. */

import { MAC_FLOOD, MAC_GATEWAY, MAC_STATIC } from "../../tables/mac.ts";
import { formatMac, type Mac, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "../../wire/ethernet.ts";
import type { PortObject } from "../inventory.ts";
import type { MoveHistory } from "../move-history.ts";

/** Where a row comes from. `gateway`: our own gateway MAC, or a peer's when it has a port. */
export type MacOrigin = "learned" | "static" | "gateway" | "flood" | "evpn";

/** Who says where a MAC is (candidates.ts). */
export type MacSource = "pin" | "evpn" | "heard";

/** A MAC row for people. */
export interface MacView {
  readonly vsi: string;
  readonly mac: string;
  /** null: our own gateway MAC, or everywhere. */
  readonly via: { readonly kind: "ac" | "tunnel"; readonly name: string } | null;
  readonly origin: MacOrigin;
  /** Since it was last heard; null for rows that do not age. */
  readonly ageSeconds: number | null;
}

/** A row as its one writer (rows.ts) keeps it. At another place it is another row. */
export interface MacRow {
  readonly mac: Mac;
  readonly source: MacSource;
  readonly origin: MacOrigin;
  readonly port: PortObject | null;
  readonly flags: number;
  heardMs: number;
  /** Since when it is at its port, and the EtherType of the frame that told so; 0: none did. */
  readonly sinceMs: number;
  readonly type: number;
  previous: { readonly port: PortObject; readonly atMs: number } | null;
  moves: MoveHistory | null;
}

export function originOf(source: MacSource, flags: number): MacOrigin {
  if ((flags & MAC_GATEWAY) !== 0) return "gateway";
  if ((flags & MAC_FLOOD) !== 0) return "flood";
  if (source === "evpn") return "evpn";
  return (flags & MAC_STATIC) !== 0 ? "static" : "learned";
}

export function viewOfMac(vsi: string, row: Readonly<MacRow>, nowMs: number): MacView {
  const { port } = row;
  return {
    vsi,
    mac: formatMac(row.mac),
    via: port === null ? null : { kind: port.kind, name: port.name },
    origin: row.origin,
    ageSeconds: row.source === "heard" ? Math.floor((nowMs - row.heardMs) / 1000) : null,
  };
}

export interface MacStory {
  readonly vsi: string;
  readonly mac: string;
  readonly origin: MacOrigin;
  /** null: our own, or everywhere. */
  readonly via: { readonly kind: "ac" | "tunnel"; readonly name: string } | null;
  /** The frame that taught it: "ARP", "IPv4", "IPv6", "EtherType 0x…"; null: no frame did. */
  readonly frame: string | null;
  /** At its port since so long. */
  readonly learnedSeconds: number;
  /** Noted as heard so long ago; null where nothing ages. Frames that only set its hit byte are noted by the next sweep. */
  readonly heardSeconds: number | null;
  readonly previous: { readonly via: string; readonly secondsAgo: number } | null;
}

const FRAMES: Readonly<Record<number, string>> = { [TYPE_ARP]: "ARP", [TYPE_IPV4]: "IPv4", [TYPE_IPV6]: "IPv6" };

export function storyOfMac(vsi: string, row: Readonly<MacRow>, nowMs: number): MacStory {
  const { port, previous, type } = row;
  const ago = (ms: number) => Math.floor((nowMs - ms) / 1000);
  return {
    vsi,
    mac: formatMac(row.mac),
    origin: row.origin,
    via: port === null ? null : { kind: port.kind, name: port.name },
    frame: type === 0 ? null : (FRAMES[type] ?? `EtherType 0x${type.toString(16).padStart(4, "0")}`),
    learnedSeconds: ago(row.sinceMs),
    heardSeconds: row.source === "heard" ? ago(row.heardMs) : null,
    previous:
      previous === null ? null : { via: `${previous.port.kind} ${previous.port.name}`, secondsAgo: ago(previous.atMs) },
  };
}
