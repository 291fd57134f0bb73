/** Rows of a big table gathered while others have their turns (json-slices.ts does the same for those that are sent at once). */
import { STEP } from "../control/sorted.ts";
import { SLICE_MS, type Steps } from "./json-slices.ts";

export interface Gathered<T> {
  readonly rows: T[];
  /** There are more. */
  readonly isCut: boolean;
  /** How often others had a turn: 0, the rows are of one moment. */
  readonly turns: number;
}

/**
 * The first `limit` rows that `isMeant`.
 * @param now milliseconds.
 */
export async function gather<T>(
  items: Steps<T>,
  limit: number,
  isMeant: (row: T) => boolean = () => true,
  now: () => number = () => performance.now(),
): Promise<Gathered<T>> {
  const rows: T[] = [];
  let turns = 0;
  let until = now() + SLICE_MS;
  for (const item of items) {
    if (item !== STEP && isMeant(item)) {
      if (rows.length === limit) return { rows, isCut: true, turns };
      rows.push(item);
    }
    if (now() < until) continue;
    turns++;
    await new Promise((resolve) => setImmediate(resolve));
    until = now() + SLICE_MS;
  }
  return { rows, isCut: false, turns };
}
