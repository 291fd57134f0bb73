/** Progress goes to stderr with the time since the start, results to stdout. */
const startedMs = performance.now();

export function say(text: string): void {
  process.stderr.write(`bench: ${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${text}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
