/** SIGUSR2: what control believes, written to the log, a line for each kind of object; lists are cut at a thousand. */

import type { Steps } from "../api/json-slices.ts";
import type { Status } from "../api/schema.ts";
import type { Shown } from "../api/shown.ts";
import { rowsOf } from "../control/sorted.ts";
import type { Log } from "../log/log.ts";

const MOST = 1000;

function first<T>(rows: Steps<T>): T[] {
  const list: T[] = [];
  for (const row of rowsOf(rows)) {
    if (list.length === MOST) break;
    list.push(row);
  }
  return list;
}

export function dumpState(log: Log, shown: Shown, status: Status): void {
  const parts = {
    status,
    vsis: shown.vsis(),
    acs: shown.acs(),
    tunnels: shown.tunnels(),
    interfaces: shown.interfaces(),
    macs: first(shown.macs()),
    neighbors: first(shown.neighbors()),
    routes: first(shown.routes()),
    drops: shown.drops().filter((drop) => drop.count > 0),
  };
  for (const [what, value] of Object.entries(parts)) {
    log.line("info", "state.dump", { reason: what, value: JSON.stringify(value) });
  }
}
