/** Port security: what may be sent from behind an AC, and who sends something else. */
import type { Tables } from "../../tables/tables.ts";
import type { Emit } from "../event.ts";
import type { Inventory } from "../inventory.ts";
import type { Timers } from "../timers.ts";
import { Bindings } from "./bindings.ts";
import { FirstCome, type FirstComeParts } from "./first-come.ts";
import { Offenders } from "./offenders.ts";

export class PortSecurity {
  readonly bindings: Bindings;
  readonly offenders: Offenders;
  private readonly common: Pick<FirstComeParts, "timers" | "inventory" | "bindings" | "emit">;
  private firstCome: FirstCome | null = null;

  /** @param seed a random int32 for the table's hash. */
  constructor(tables: Tables, timers: Timers, inventory: Inventory, emit: Emit, seed: number) {
    this.bindings = new Bindings(tables, timers, inventory, emit, seed);
    this.offenders = new Offenders(inventory, this.bindings, timers, emit);
    this.common = { timers, inventory, bindings: this.bindings, emit };
  }

  /** Others can be asked whether an address is theirs. */
  ask(neighbors: FirstComeParts["neighbors"], solicitor: FirstComeParts["solicitor"]): void {
    this.firstCome = new FirstCome({ ...this.common, neighbors, solicitor });
  }

  /** RECORD_UNBOUND: the first bytes of a frame that was dropped at bridge port `row`. */
  unbound(row: number, bytes: Uint8Array): void {
    if (this.firstCome?.claim(row, bytes) !== true) this.offenders.note(row, bytes);
  }

  configure(): void {
    this.bindings.configure();
    this.firstCome?.configure();
  }
}
