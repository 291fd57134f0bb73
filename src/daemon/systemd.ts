/**
 * The service manager (systemd), as sd_notify(3) has it: ready, stopping, and "still alive" for its watchdog.
 *
 * The pings come from the control loop's own turn, not from a timer beside it, and only while every worker makes progress
 * (worker-watch.ts): a daemon that hangs anywhere is silent, and the manager starts a clean one. Without NOTIFY_SOCKET all of
 * this is nothing.
 */
import { notify } from "../io/native.ts";

/** Until it is looked again whether all workers make progress. */
const AGAIN_MS = 250;

export class ServiceManager {
  private readonly socket: string;
  private readonly everyMs: number;
  private readonly isAlive: () => boolean;
  private nextMs = 0;

  /** @param isAlive does every worker make progress? */
  constructor(env: NodeJS.ProcessEnv, isAlive: () => boolean) {
    this.isAlive = isAlive;
    this.socket = env.NOTIFY_SOCKET ?? "";
    const isOurs = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === process.pid;
    const microseconds = isOurs ? Number(env.WATCHDOG_USEC ?? 0) : 0;
    // Half of the time allowed, as sd_watchdog_enabled(3) advises.
    this.everyMs = microseconds > 0 ? microseconds / 2000 : 0;
  }

  ready(status: string): void {
    this.tell(`READY=1\nSTATUS=${status}\nMAINPID=${process.pid}`);
  }

  stopping(): void {
    this.tell("STOPPING=1\nSTATUS=stopping");
  }

  /** A reload begins (RELOADING=1 wants the monotonic time), or is over. */
  reloading(): void {
    this.tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  reloaded(successful: boolean): void {
    this.tell(`READY=1\nSTATUS=${successful ? "reloaded" : "the last reload was refused"}`);
  }

  /** Once every turn of the control loop: a ping, when one is due and all is alive. */
  turn(nowMs: number): void {
    if (this.everyMs === 0 || nowMs < this.nextMs) return;
    const isAlive = this.isAlive();
    this.nextMs = nowMs + (isAlive ? this.everyMs : AGAIN_MS);
    if (isAlive) this.tell("WATCHDOG=1");
  }

  /** When the next ping is due, of the same clock; null: none is wanted. */
  get dueMs(): number | null {
    return this.everyMs === 0 ? null : this.nextMs;
  }

  private tell(text: string): void {
    if (this.socket !== "") notify(this.socket, text);
  }
}
