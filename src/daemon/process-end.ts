/**
 * The end of the process: what the log still holds is waited for a moment, then nothing is.
 *
 * `process.exit` joins every thread. A worker that is stuck, or a write of the log into a pipe without a reader, would keep it
 * waiting for ever, and the supervisor that should start a clean process would wait too.
 */
import { exitNow } from "../io/native.ts";
import type { Log } from "../log/log.ts";

const LOG_MS = 300;
let ending: Promise<never> | null = null;

/** End with `code` when the log is out, or LOG_MS are over. The first caller's code counts. */
export function endProcess(log: Log, code: number): Promise<never> {
  ending ??= endAfterLog(log, code);
  return ending;
}

async function endAfterLog(log: Log, code: number): Promise<never> {
  await log.drain(LOG_MS);
  try {
    return exitNow(code);
  } catch {
    // Without the addon there are no forwarding threads to be stuck.
    process.exit(code);
  }
}

/** Our mistake: say where, and end. */
export function crash(log: Log, error: unknown): void {
  if (ending !== null) return;
  log.line("error", "crash", { message: String(error), stack: error instanceof Error ? (error.stack ?? "") : "" });
  void endProcess(log, 1);
}
