/**
 * Processes, known by pid *and* start time.
 *
 * A pid alone is a name that the kernel gives to somebody else sooner or later; a lab that crashed yesterday must not
 * kill today's innocent. /proc/PID/stat holds the start time in clock ticks since boot (proc_pid_stat(5), field 22);
 * the pair is unique until the next boot, and /run, where the lab remembers it, does not outlive that.
 *
 * Two kinds are started here: `launch` for daemons that may outlive us (own session, output to a log file), and
 * `follow` for children whose output we read and who never outlive us.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { pause, until } from "./deadline.ts";

/** A process that cannot be confused with a later one of the same pid. */
export interface Identity {
  readonly pid: number;
  readonly startTime: string;
}

/** Start time of a live process; undefined when there is none (a zombie is dead: it only waits to be reaped). */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command name, in parentheses, may itself hold spaces and parentheses: count from the last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export function identityOf(pid: number): Identity | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive(process: Identity): boolean {
  return startTimeOf(process.pid) === process.startTime;
}

function signal(target: Identity, name: NodeJS.Signals): void {
  if (!isAlive(target)) return;
  try {
    process.kill(target.pid, name);
  } catch {
    // it ended between the look and the signal
  }
}

/** End processes: SIGTERM, and SIGKILL for those that still live after `graceMs`. Resolves when all are gone. */
export async function end(processes: readonly Identity[], graceMs = 3000): Promise<void> {
  for (const process of processes) signal(process, "SIGTERM");
  const deadline = performance.now() + graceMs;
  while (processes.some(isAlive) && performance.now() < deadline) await pause(10);
  for (const process of processes) signal(process, "SIGKILL");
  await until("processes to be gone after SIGKILL", 5000, () => !processes.some(isAlive), 10);
}

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Run a program to its end. Status −1: killed, or past `timeoutMs`. Never throws for a failing program. */
export function run(program: string, args: readonly string[], timeoutMs = 10_000, input?: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        children.delete(child);
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ status, stdout, stderr: stderr === "" && status === -1 ? error!.message : stderr });
      },
    );
    children.add(child);
    if (input !== undefined) child.stdin?.end(input);
  });
}

/** As `run`, but a failing program is an error that carries its words. */
export async function must(
  program: string,
  args: readonly string[],
  timeoutMs?: number,
  input?: string,
): Promise<string> {
  const outcome = await run(program, args, timeoutMs, input);
  if (outcome.status !== 0) {
    throw new Error(`${[program, ...args].join(" ")}: ${(outcome.stderr || outcome.stdout).trim() || outcome.status}`);
  }
  return outcome.stdout;
}

/** Start a daemon in a session of its own, its output appended to `logFile`. It lives on when we end. */
export function launch(program: string, args: readonly string[], logFile: string): Identity {
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  child.on("error", () => {}); // a pid of undefined is reported just below
  child.unref();
  const identity = child.pid === undefined ? undefined : identityOf(child.pid);
  if (identity === undefined) throw new Error(`${program} could not be started, see ${logFile}`);
  return identity;
}

const children = new Set<ChildProcess>();

/** Start a child that ends with us at the latest; its stdin, stdout and stderr are pipes. */
export function follow(
  program: string,
  args: readonly string[],
): ChildProcess & { readonly stdin: NodeJS.WritableStream } {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  children.add(child);
  child.on("exit", () => children.delete(child));
  child.stdin.on("error", () => {}); // it may have ended before we said good-bye
  return child;
}

/** End every child of `run` and `follow` at once: for an interrupted lab. */
export function abandonChildren(): void {
  for (const child of children) child.kill("SIGKILL");
}
