/** Why a MAC is where we say it is: which frame told, when, and where it was before. For people, in `vtepctl why`. */

import { formatMac, type Mac, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "../../wire/ethernet.ts";
import type { PortObject } from "../inventory.ts";
import type { MoveHistory } from "../move-history.ts";
import type { MacOrigin } from "./learn.ts";

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

/** What of a row matters here. */
export interface ToldMac {
  readonly mac: Mac;
  readonly port: PortObject | null;
  readonly flags: number;
  readonly heardMs: number;
  readonly sinceMs: number;
  readonly type: number;
  readonly previous: { readonly port: PortObject; readonly atMs: number } | null;
  readonly moves: MoveHistory | null;
}

const FRAMES: Readonly<Record<number, string>> = { [TYPE_ARP]: "ARP", [TYPE_IPV4]: "IPv4", [TYPE_IPV6]: "IPv6" };

export function storyOfMac(vsi: string, origin: MacOrigin, row: ToldMac, nowMs: number): MacStory {
  const { port, previous, type } = row;
  const ago = (ms: number) => Math.floor((nowMs - ms) / 1000);
  return {
    vsi,
    mac: formatMac(row.mac),
    origin,
    via: port === null ? null : { kind: port.kind, name: port.name },
    frame: type === 0 ? null : (FRAMES[type] ?? `EtherType 0x${type.toString(16).padStart(4, "0")}`),
    learnedSeconds: ago(row.sinceMs),
    heardSeconds: row.flags === 0 ? ago(row.heardMs) : null,
    previous:
      previous === null ? null : { via: `${previous.port.kind} ${previous.port.name}`, secondsAgo: ago(previous.atMs) },
  };
}
