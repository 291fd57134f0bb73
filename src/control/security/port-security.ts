/** Port security: what may be sent from behind an AC, and who sends something else. */
import type { Tables } from "../../tables/tables.ts";
import type { Emit } from "../event.ts";
import type { Inventory } from "../inventory.ts";
import type { Timers } from "../timers.ts";
import { Bindings } from "./bindings.ts";
import { Offenders } from "./offenders.ts";

export class PortSecurity {
  readonly bindings: Bindings;
  readonly offenders: Offenders;

  /** @param seed a random int32 for the table's hash. */
  constructor(tables: Tables, timers: Timers, inventory: Inventory, emit: Emit, seed: number) {
    this.bindings = new Bindings(tables, timers, inventory, emit, seed);
    this.offenders = new Offenders(inventory, this.bindings, timers, emit);
  }

  configure(): void {
    this.bindings.configure();
  }
}
