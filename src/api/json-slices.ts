/**
 * A long list as JSON, made while it is sent.
 *
 * The main thread also answers ARP, so a list of a hundred thousand rows must not be made in one go: after SLICE_MS of work
 * others have a turn, and the next slice is made when the reader has taken the last one. What the list is read from may
 * change meanwhile; each row is as it is when it is written.
 */

/** Then whatever else waits has a turn. */
export const SLICE_MS = 10;
/** Rows between two looks at the clock. */
const ROWS = 32;
/** Bytes, about, that are handed over at once. */
const CHUNK = 256 << 10;

/** The list's text, whole where it is short. The first slice is made at once: what it throws is thrown here. */
export function jsonSlices(items: Iterable<unknown>): string | ReadableStream<Uint8Array> {
  const iterator = items[Symbol.iterator]();
  const first = slice(iterator, "[");
  if (first.isOver) return first.text;
  const encoder = new TextEncoder();
  let ready: string | null = first.text;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (ready !== null) {
        controller.enqueue(encoder.encode(ready));
        ready = null;
        return;
      }
      // The reader may be quick, and a promise alone gives no other work a turn.
      await new Promise((resolve) => setImmediate(resolve));
      const { text, isOver } = slice(iterator, ",");
      controller.enqueue(encoder.encode(text));
      if (isOver) controller.close();
    },
    cancel() {
      iterator.return?.();
    },
  });
}

/** `before`: what stands before the first row. */
function slice(iterator: Iterator<unknown>, before: string): { text: string; isOver: boolean } {
  const until = performance.now() + SLICE_MS;
  let text = before === "[" ? before : "";
  let separator = before === "[" ? "" : before;
  for (let n = 1; ; n++) {
    const { done, value } = iterator.next();
    if (done === true) return { text: `${text}]`, isOver: true };
    text += separator + JSON.stringify(value);
    separator = ",";
    if (text.length >= CHUNK || (n % ROWS === 0 && performance.now() >= until)) return { text, isOver: false };
  }
}
