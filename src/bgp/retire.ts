/**
 * A gateway that is gone for good: what was announced through its engine is taken back, without a daemon.
 *
 * The engine keeps our routes when we end, so that a restart is not noticed; after the last end they would stand until it ends too.
 * Hosts and prefixes go first, the part in flooding a moment later, as evpn/export.ts does it: otherwise others would keep them as
 * those of a gateway whose engine has died.
 */
import { FLOODING_LAST_MS } from "../evpn/route.ts";
import { Calls } from "./calls.ts";
import { FAMILY_EVPN, pathOf } from "./codec.ts";
import type { Fields } from "./dialect.ts";
import type { RouteRow } from "./engine.ts";
import { rowOf, withoutMobility } from "./rows.ts";

export { reasonOf } from "./calls.ts";

const WIDTH = 32;
const BATCH = 1000;
const MARGIN_MS = 200;

export interface Retired {
  readonly hosts: number;
  readonly prefixes: number;
  readonly flooding: number;
}

/** @param only the VTEP whose routes are meant; null: all that came by no session. Rejects where no engine answers. */
export async function retire(socket: string, api: "auto" | "v3" | "v4", only: string | null): Promise<Retired> {
  const calls = await Calls.open(socket, api);
  try {
    const own = (await listOf(calls)).filter(
      ({ peer, route }) => peer === null && (only ?? route.nextHop) === route.nextHop,
    );
    const flooding = own.filter(({ route }) => route.type === 3);
    const rest = own.filter(({ route }) => route.type === 2 || route.type === 5);
    await withdraw(calls, rest);
    if (rest.length > 0 && flooding.length > 0)
      await new Promise((resolve) => setTimeout(resolve, FLOODING_LAST_MS + MARGIN_MS));
    await withdraw(calls, flooding);
    const prefixes = rest.filter(({ route }) => route.type === 5).length;
    return { hosts: rest.length - prefixes, prefixes, flooding: flooding.length };
  } finally {
    calls.close();
  }
}

function listOf(calls: Calls): Promise<RouteRow[]> {
  const { enumBase } = calls.dialect;
  const list = calls.listen("ListPath", { tableType: enumBase, family: FAMILY_EVPN, batchSize: BATCH });
  return new Promise((resolve, reject) => {
    const rows: RouteRow[] = [];
    list.on("data", ({ destination }: Fields) => {
      const first = (((destination as Fields | null)?.paths ?? []) as Fields[])[0];
      const row = first === undefined ? null : rowOf(first, calls);
      if (row !== null) rows.push(row);
    });
    list.on("error", reject);
    list.on("end", () => resolve(rows));
  });
}

async function withdraw(calls: Calls, rows: readonly RouteRow[]): Promise<void> {
  const { dialect } = calls;
  for (let at = 0; at < rows.length; at += WIDTH)
    await Promise.all(
      rows.slice(at, at + WIDTH).map(({ route }) => {
        const path = pathOf(withoutMobility(route), dialect);
        return calls.ask("DeletePath", { tableType: dialect.enumBase, family: FAMILY_EVPN, path });
      }),
    );
}
