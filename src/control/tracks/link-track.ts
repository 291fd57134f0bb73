/** An AC under watch: up while its TAP is there and its link is up. Looked at often, which costs a comparison. */
import type { Inventory } from "../inventory.ts";
import type { Timers } from "../timers.ts";

const LOOK_MS = 50;

export class LinkTrack {
  private readonly ac: string;
  private readonly inventory: Inventory;
  private readonly end: () => void;
  readonly isFirst = false;
  readonly blind = null;
  readonly rttMs = null;
  readonly answered = 0;
  readonly missed = 0;
  isUp: boolean;

  constructor(ac: string, inventory: Inventory, timers: Timers, onChange: () => void) {
    this.ac = ac;
    this.inventory = inventory;
    this.isUp = this.look();
    this.end = timers.every(LOOK_MS, () => {
      const isUp = this.look();
      if (isUp === this.isUp) return;
      this.isUp = isUp;
      onChange();
    });
  }

  stop(): void {
    this.end();
  }

  /** Why it is down. */
  get problem(): string {
    const port = this.inventory.ac(this.ac);
    return port?.linkDown === true ? "its link is down" : "its TAP is not there";
  }

  private look(): boolean {
    return this.inventory.ac(this.ac)?.up === true;
  }
}
