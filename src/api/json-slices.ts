/**
 * A long list as JSON, made while it is sent.
 *
 * The main thread also answers ARP, so a list of a hundred thousand rows must not be made in one go: after SLICE_MS of work
 * others have a turn, and the next slice is made when the reader has taken the last one. What the list is read from may
 * change meanwhile; each row is as it is when it is written.
 */
import { STEP } from "../control/sorted.ts";

/** Rows, and steps on the way to one. */
export type Steps<T> = Iterable<T | typeof STEP>;

/** Then whatever else waits has a turn. */
export const SLICE_MS = 10;
/** Rows between two looks at the clock. */
const ROWS = 32;
/** Bytes, about, that are handed over at once. */
const CHUNK = 256 << 10;

/**
 * The list's text, whole where it is short. The first slice is made at once: what it throws is thrown here.
 * @param now milliseconds.
 */
export function jsonSlices(
  items: Steps<unknown>,
  now: () => number = () => performance.now(),
): string | ReadableStream<Uint8Array> {
  const slices = slicesOf(items[Symbol.iterator](), now);
  const first = slices.next().value!;
  if (first.isLast) return first.text;
  const encoder = new TextEncoder();
  let ready: string | null = first.text;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (ready !== null) {
        controller.enqueue(encoder.encode(ready));
        ready = null;
        return;
      }
      // The reader may be quick, and a promise alone gives no other work a turn. A slice of steps alone has no text.
      let slice = { text: "", isLast: false };
      while (slice.text === "" && !slice.isLast) {
        await new Promise((resolve) => setImmediate(resolve));
        slice = slices.next().value!;
      }
      controller.enqueue(encoder.encode(slice.text));
      if (slice.isLast) controller.close();
    },
    cancel() {
      slices.return(undefined);
    },
  });
}

interface Slice {
  readonly text: string;
  readonly isLast: boolean;
}

/** Text until the time is up, again and again. */
function* slicesOf(items: Iterator<unknown>, now: () => number): Generator<Slice, undefined> {
  let text = "[";
  let separator = "";
  let until = now() + SLICE_MS;
  let n = 0;
  try {
    for (let item = items.next(); item.done !== true; item = items.next()) {
      const isStep = item.value === STEP;
      if (!isStep) {
        text += separator + JSON.stringify(item.value);
        separator = ",";
        n++;
      }
      const isLook = isStep || n % ROWS === 0;
      if (text.length < CHUNK && !(isLook && now() >= until)) continue;
      yield { text, isLast: false };
      text = "";
      until = now() + SLICE_MS;
    }
    yield { text: `${text}]`, isLast: true };
  } finally {
    items.return?.();
  }
}
