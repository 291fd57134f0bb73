/** The last frame that was dropped for each reason, in names: where it came from, what it was, and how long ago. */
import { Address6 } from "ip-address";
import type { DropCount } from "../api/schema.ts";
import type { ShownParts } from "../api/shown.ts";
import { type EventFields, portField } from "../control/event.ts";
import type { Inventory } from "../control/inventory.ts";
import { DROP, type DropName } from "../tables/counters.ts";
import type { DropExample, DropExamples } from "../tables/drop-example.ts";
import type { Tables } from "../tables/tables.ts";
import { formatIpv4 } from "../wire/ipv4.ts";
import { summaryOf } from "../wire/summary.ts";
import { RowNames } from "./row-names.ts";

type LastDrop = NonNullable<DropCount["last"]>;

/** Milliseconds now, by the clock of the workers and by control's. */
export interface DropClocks {
  readonly workersMs: () => number;
  readonly controlMs: () => number;
}

export const CLOCKS: DropClocks = {
  workersMs: () => Number(BigInt.asIntN(32, process.hrtime.bigint() / 1_000_000n)),
  controlMs: () => performance.now(),
};

export class LastDrops {
  private readonly tables: Tables;
  private readonly inventory: Inventory;
  private readonly names: RowNames;
  private readonly clocks: DropClocks;

  constructor(tables: Tables, inventory: Inventory, names: RowNames, clocks = CLOCKS) {
    this.tables = tables;
    this.inventory = inventory;
    this.names = names;
    this.clocks = clocks;
  }

  /** `counts` with the last frame of each. */
  beside<T extends { readonly reason: string }>(counts: readonly T[]): (T & Pick<DropCount, "last">)[] {
    return counts.map((drop) => ({ ...drop, last: this.of(drop.reason as DropName) }));
  }

  /** Null: no frame was dropped for it. */
  of(reason: DropName): LastDrop | null {
    const found = this.latest((examples) => examples.read(DROP[reason]));
    return found === null ? null : this.named(found.example, Math.floor(found.agoMs / 1000));
  }

  /** Where it came from and what it was, as fields of an event. */
  placeOf(reason: DropName): EventFields {
    const last = this.of(reason);
    if (last === null) return {};
    return { ...(last.via !== null && portField(last.via)), vsi: last.vsi, frame: last.frame };
  }

  /** The last one dropped for `reason` at bridge port `port`, a row. */
  at(reason: number, port: number): { readonly example: DropExample; readonly agoMs: number } | null {
    return this.latest((examples) => examples.readAt(reason, port));
  }

  /** Of all writers' examples the youngest. */
  private latest(read: (examples: DropExamples) => DropExample | null) {
    let [last, leastMs]: [DropExample | null, number] = [null, Number.POSITIVE_INFINITY];
    for (const [block, examples] of this.tables.examples.entries()) {
      const example = read(examples);
      if (example === null) continue;
      const now = block === this.tables.sizes.workers ? this.clocks.controlMs() : this.clocks.workersMs();
      // The clocks wrap, and what is older than half their round is simply old.
      const ms = (Math.trunc(now) - example.nowMs) | 0;
      const ago = ms < -1000 ? 0x7fffffff : Math.max(0, ms);
      if (ago < leastMs) [last, leastMs] = [example, ago];
    }
    return last === null ? null : { example: last, agoMs: leastMs };
  }

  private named({ port, vsi, io, outer, stranger, vxlan, length, bytes }: DropExample, secondsAgo: number): LastDrop {
    const via = this.names.via(port);
    const ofTap = via === null && io !== 0 ? [...this.inventory.ports.values()].filter((each) => each.io === io) : [];
    return {
      secondsAgo,
      via,
      vsi: vsi === 0 ? null : this.names.vsi(vsi),
      taps: ofTap.map(({ name }) => name),
      outer: outerText(outer, stranger?.ipv6 ?? null),
      outerPort: stranger?.port ?? null,
      flags: vxlan?.flags ?? null,
      vni: vxlan?.vni ?? null,
      frame: bytes.length === 0 ? `${length} bytes` : summaryOf(bytes, length),
    };
  }
}

function outerText(ipv4: number, ipv6: readonly number[] | null): string | null {
  if (ipv6 !== null) {
    const bytes = ipv6.flatMap((word) => [word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff]);
    return Address6.fromByteArray(bytes).correctForm();
  }
  return ipv4 === 0 ? null : formatIpv4(ipv4);
}

/** The last drops of this gateway. */
export function lastDropsOf(parts: ShownParts): LastDrops {
  return new LastDrops(parts.tables, parts.inventory, new RowNames(parts));
}
