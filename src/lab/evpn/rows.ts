/**
 * What the report of the fabric is made of: parts, steps, rows. A row is one look at one place: what was expected there, what was
 * observed, and whether it is that. Nothing here sleeps: a look is repeated until it is as expected or its deadline has passed, and
 * then the row has what was seen last.
 */
import { until } from "../deadline.ts";

export interface FabricRow {
  /** Where it was looked: "route at rr1", "entry at leaf", "ping vm1 → h10". */
  readonly place: string;
  readonly expected: string;
  readonly observed: string;
  readonly holds: boolean;
  readonly note?: string;
}

export interface FabricStep {
  readonly number: number;
  readonly text: string;
  readonly rows: readonly FabricRow[];
}

export interface FabricPart {
  readonly title: string;
  readonly steps: readonly FabricStep[];
}

/** What a look gives: null where there is nothing to be seen. */
export interface Observed {
  readonly text: string;
  readonly holds: boolean;
}

const LOOK_MS = 15_000;
const NOTHING: Observed = { text: "nothing", holds: false };

export async function see(
  place: string,
  expected: string,
  look: () => Promise<Observed | null>,
  deadlineMs = LOOK_MS,
): Promise<FabricRow> {
  let last = NOTHING;
  try {
    await until(
      place,
      deadlineMs,
      async () => {
        last = (await look()) ?? NOTHING;
        return last.holds;
      },
      100,
    );
  } catch (error) {
    // The row has what was seen last; where nothing was, how long, and why not if that is known.
    if (last === NOTHING)
      last = { text: `nothing: ${(error as Error).message.replace(`${place}: `, "")}`, holds: false };
  }
  return { place, expected, observed: last.text, holds: last.holds };
}
