/**
 * Ports that are in a loop, and the MACs that were forgotten behind them when it was found.
 *
 * Such a MAC may be a host's that lives behind the port, or stolen. By the port where it was it may be learned again, and by any that is
 * in no loop; by another one that is in a loop it may not, or a VM that makes a loop with a neighbour's segment gets its MACs.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { PortObject, VsiObject } from "../inventory.ts";

export class LoopedPorts {
  /** By port: what was forgotten there since it is in a loop. */
  private readonly taken = new Map<PortObject, Map<VsiObject, Set<Mac>>>();

  get size(): number {
    return this.taken.size;
  }

  has(port: PortObject): boolean {
    return this.taken.has(port);
  }

  add(port: PortObject): void {
    if (!this.taken.has(port)) this.taken.set(port, new Map());
  }

  delete(port: PortObject): void {
    this.taken.delete(port);
  }

  /** `mac` was forgotten at `port`. */
  took(vsi: VsiObject, mac: Mac, port: PortObject): void {
    const ofPort = this.taken.get(port);
    if (ofPort === undefined) return;
    const macs = ofPort.get(vsi) ?? new Set<Mac>();
    ofPort.set(vsi, macs.add(mac));
  }

  /** May `mac`, which was heard nowhere and no route knows, be learned at `port`, which is in a loop? */
  mayTeach(vsi: VsiObject, mac: Mac, port: PortObject): boolean {
    let isOthers = false;
    for (const [other, ofPort] of this.taken) {
      if (ofPort.get(vsi)?.has(mac) !== true) continue;
      if (other === port) return true;
      isOthers = true;
    }
    return !isOthers;
  }
}
