/**
 * A big table in order, without anybody waiting for the whole of it.
 *
 * Sorting a hundred thousand rows holds the main thread for a second, and it also answers ARP. So rows are sorted a run at a
 * time, and the runs are merged as they are read. STEP stands between the rows where some work is done and there is no row
 * yet: the reader may give others a turn there. What comes into the table meanwhile may be missing; what leaves it is the
 * reader's to look for. Memory: one reference a row.
 */

/** No row yet, but a turn for others. */
export const STEP: unique symbol = Symbol("step");
export type Stepwise<T> = Generator<T | typeof STEP, void, undefined>;

/** Rows looked at between two steps: half a millisecond's work. */
export const RUN = 1024;

/** The rows of `table` that `isWanted`, by `compare`; equal ones in the table's order. */
export function* sorted<T>(
  table: Iterable<T>,
  compare: (a: T, b: T) => number,
  isWanted: (row: T) => boolean = () => true,
): Stepwise<T> {
  const runs: T[][] = [];
  let run: T[] = [];
  let looked = 0;
  for (const row of table) {
    if (isWanted(row)) run.push(row);
    looked++;
    if (looked % RUN !== 0) continue;
    runs.push(run.sort(compare));
    run = [];
    yield STEP;
  }
  runs.push(run.sort(compare));
  yield* merged(runs, compare);
}

/** The rows alone, for one who does not mind waiting. */
export function* rowsOf<T>(steps: Iterable<T | typeof STEP>): Generator<T, void, undefined> {
  for (const step of steps) if (step !== STEP) yield step;
}

/** Sorted runs as one: each half is read as it is needed. */
function* merged<T>(runs: readonly (readonly T[])[], compare: (a: T, b: T) => number): Generator<T, void, undefined> {
  if (runs.length === 1) {
    yield* runs[0]!;
    return;
  }
  const half = runs.length >> 1;
  const [left, right] = [merged(runs.slice(0, half), compare), merged(runs.slice(half), compare)];
  let [a, b] = [left.next(), right.next()];
  while (a.done !== true && b.done !== true) {
    if (compare(a.value, b.value) <= 0) {
      yield a.value;
      a = left.next();
    } else {
      yield b.value;
      b = right.next();
    }
  }
  if (a.done !== true) {
    yield a.value;
    yield* left;
  } else if (b.done !== true) {
    yield b.value;
    yield* right;
  }
}
