/** The README's table of drop reasons, made from the list that makes the counters. */
import { DROPS } from "../../src/tables/counters.ts";

export const DROPS_BEGIN = "<!-- drops -->";
export const DROPS_END = "<!-- /drops -->";

/** What stands between the two marks. */
export function dropTable(): string {
  const rows = DROPS.map(([name, sentence]) => `| \`${name}\` | ${sentence} |`);
  return ["", "| reason | what happened |", "|---|---|", ...rows, ""].join("\n");
}
