/** Control's real tables and roles of one configuration, without workers and devices, and what the API shows of them. */
import { expect } from "vitest";
import { Shown } from "../../src/api/shown.ts";
import { parseConfig } from "../../src/config/load.ts";
import { assemble, type Control } from "../../src/daemon/assemble.ts";
import { createTables, type Sizes, type Tables } from "../../src/tables/tables.ts";
import { UNWATCHED } from "../api/fake-source.ts";

export interface Assembled {
  readonly control: Control;
  readonly tables: Tables;
  readonly shown: Shown;
}

export function assembled(text: string, sizes: Omit<Sizes, "workers">): Assembled {
  const parsed = parseConfig(text, "gw1.yaml");
  if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors.slice(0, 3)));
  const { config } = parsed;
  const { tables } = createTables({ workers: 1, ...sizes });
  const control = assemble({
    tables,
    config,
    emit: () => undefined,
    opener: {
      openTap: () => ({ fds: [99], ifindex: 1 }),
      keepTap: () => undefined,
      changeTap: () => undefined,
      closeTap: () => undefined,
    },
    wake: () => undefined,
    underlayMtu: 1500,
    pathMtu: () => -1,
    onResolved: () => undefined,
    nowMs: 1000,
  });
  expect(control.topology.apply(config)).toMatchObject({ ok: true });
  return { control, tables, shown: new Shown(control.shown, { view: () => UNWATCHED }) };
}
