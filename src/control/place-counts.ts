/**
 * How many entries of a table there are, by VSI and by where they come from: counted by its change feed, so that a scrape
 * looks at no entry.
 */
import type { PortObject, VsiObject } from "./inventory.ts";

/** `evpn` where there are any. */
export type PlaceCount = { local: number; remote: number; static: number; evpn?: number };

/** An entry, as far as it is counted. `port` null: nowhere, or everywhere. */
export interface CountedPlace {
  readonly vsi: VsiObject;
  readonly port: PortObject | null;
  readonly origin: string;
}

/** Origins of what is given, not heard. */
const GIVEN: ReadonlySet<string> = new Set(["static", "gateway", "flood"]);

export class PlaceCounts {
  private readonly ofVsi = new Map<VsiObject, Required<PlaceCount>>();

  /** An entry was added (`was` null), changed, or removed (`is` null). */
  follow(was: CountedPlace | null, is: CountedPlace | null): void {
    if (was !== null) this.add(was, -1);
    if (is !== null) this.add(is, 1);
  }

  /** `vsi` was emptied: without entries it is listed no more. */
  forget(vsi: VsiObject): void {
    const count = this.ofVsi.get(vsi);
    if (count !== undefined && Object.values(count).every((each) => each === 0)) this.ofVsi.delete(vsi);
  }

  /** By VSI name. */
  list(): Map<string, PlaceCount> {
    return new Map(
      Array.from(this.ofVsi, ([vsi, { evpn, ...count }]) => [vsi.name, evpn === 0 ? count : { ...count, evpn }]),
    );
  }

  private add({ vsi, port, origin }: CountedPlace, step: 1 | -1): void {
    let count = this.ofVsi.get(vsi);
    if (count === undefined) {
      count = { local: 0, remote: 0, static: 0, evpn: 0 };
      this.ofVsi.set(vsi, count);
    }
    if (GIVEN.has(origin)) count.static += step;
    else if (origin === "evpn") count.evpn += step;
    else if (port?.kind === "ac") count.local += step;
    else count.remote += step;
  }
}
