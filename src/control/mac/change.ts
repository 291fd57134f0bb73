/** A change of the MAC table, as its feed tells it: what workers saw of a MAC until now, and what they see. */
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import { type Emit, portField } from "../event.ts";
import type { ChangeKind, Feed } from "../feed.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import type { MacRow, MacSource } from "./entry.ts";

/**
 * What made it: that source said something new; "gone": one says nothing more (aged, flushed, withdrawn); "port": a port went
 * down, or came back with what was suspended there.
 */
export type MacCause = MacSource | "gone" | "port";

export interface MacChange {
  readonly kind: ChangeKind;
  readonly vsi: VsiObject;
  readonly mac: Mac;
  /** Places with their origins; null: none. */
  readonly was: Readonly<MacRow> | null;
  readonly is: Readonly<MacRow> | null;
  readonly cause: MacCause;
}

/** A host that is new at a place, or came to it from another one. */
export interface MacArrival {
  readonly vsi: VsiObject;
  readonly mac: Mac;
  readonly port: PortObject;
  /** null: it is new. */
  readonly from: PortObject | null;
}

/** Did a host arrive somewhere? What is configured, and what comes back with its port, is no news of a host. */
export function arrivalOf({ vsi, mac, was, is, cause }: MacChange): MacArrival | null {
  if (cause === "port" || is === null || is.port === null || !isOfHost(is)) return null;
  if (was !== null && (!isOfHost(was) || was.port === is.port)) return null;
  return { vsi, mac, port: is.port, from: was?.port ?? null };
}

function isOfHost({ origin }: Readonly<MacRow>): boolean {
  return origin === "learned" || origin === "evpn";
}

/** Hosts that arrive, told and counted. */
export class MacArrivals {
  /** Moves by VSI name, ever. */
  readonly moves = new Map<string, number>();
  private readonly emit: Emit;

  constructor(changes: Feed<MacChange>, emit: Emit) {
    this.emit = emit;
    changes.follow((change) => {
      const arrival = arrivalOf(change);
      if (arrival !== null) this.note(arrival);
    });
  }

  private note({ vsi, mac, port, from }: MacArrival): void {
    const fields = { vsi: vsi.name, mac: formatMac(mac) };
    if (from === null) this.emit("debug", "mac.learned", { ...fields, ...portField(port) });
    else {
      this.moves.set(vsi.name, (this.moves.get(vsi.name) ?? 0) + 1);
      this.emit("info", "mac.moved", { ...fields, from: from.name, to: port.name });
    }
  }
}
