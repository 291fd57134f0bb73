/**
 * TAPs from the kernel, for the topology: the real `PortOpener`.
 *
 * A TAP is opened in its AC's namespace, given the MTU of its VSI and a queue of 1000 frames (the ring behind a TAP drops
 * instead of pushing back, so it must hold a burst), and set up. Its persistence is set once the change that it came with is carried out
 * (`keepTap`), so that one that is refused neither leaves a device behind nor takes away one that was there. The kernel could
 * change it later too, but a device that another process has taken over meanwhile must not vanish with us, so such a change is refused.
 *
 * It has a queue for each worker; a persistent device that was made for one worker keeps its one queue, and is told of.
 */
import type { Emit } from "../control/event.ts";
import type { AcConfig } from "../control/plan.ts";
import type { OpenTap, PortOpener } from "../control/topology/taps.ts";
import { IoError } from "../io/addon.ts";
import { closeFd } from "../io/native.ts";
import { openTap, setTap, type TapRequest, tapInfo } from "../io/tap.ts";

const TX_QUEUE_FRAMES = 1000;

export class TapOpener implements PortOpener {
  private readonly queues: number;
  private readonly emit: Emit;
  /** Was the last refusal a matter of rights? Control knows only its message. */
  lacksPermission = false;
  /** By first fd: what was asked for when it was opened. */
  private readonly opened = new Map<number, AcConfig>();

  /** @param workers one queue of each TAP for each. */
  constructor(workers: number, emit: Emit) {
    this.queues = workers;
    this.emit = emit;
  }

  openTap(ac: AcConfig, mtu: number): OpenTap {
    if (ac.tap === null) throw new Error(`AC ${ac.name} has no TAP to open`);
    const { device, netns } = ac.tap;
    const tap = this.open({
      device,
      persist: "as-is",
      ...(netns === null ? {} : { netns }),
      ...(this.queues > 1 ? { queues: this.queues } : {}),
    });
    try {
      setTap(tap.fds[0]!, { mtu, txQueueLength: TX_QUEUE_FRAMES, up: true });
    } catch (error) {
      for (const fd of tap.fds) closeFd(fd);
      throw error;
    }
    this.opened.set(tap.fds[0]!, ac);
    if (tap.fds.length < this.queues) {
      const where = netns === null ? "" : ` -n ${netns}`;
      const fix = `for a queue of each worker stop vtepd, delete the device (ip${where} link del ${device}), start vtepd`;
      this.emit("warn", "ac.single-queue", { ac: ac.name, device, fix });
    }
    return tap;
  }

  private open(request: TapRequest): OpenTap {
    this.lacksPermission = false;
    try {
      return openTap(request);
    } catch (error) {
      this.lacksPermission = error instanceof IoError && (error.code === "EPERM" || error.code === "EACCES");
      throw error;
    }
  }

  changeTap(tap: OpenTap, ac: AcConfig, mtu: number): void {
    const fd = tap.fds[0]!;
    if (ac.tap !== null && ac.tap.persist !== this.opened.get(fd)?.tap?.persist) {
      throw new Error(
        `TAP ${ac.tap.device}: persist cannot change while it is open; remove the AC, reload, and add it again`,
      );
    }
    setTap(fd, { mtu });
  }

  keepTap(tap: OpenTap, ac: AcConfig): void {
    try {
      if (ac.tap !== null) setTap(tap.fds[0]!, { persist: ac.tap.persist });
    } catch (error) {
      // Somebody has deleted it since: TapWatch sees that.
      if (!(error instanceof IoError)) throw error;
    }
  }

  closeTap(tap: OpenTap): void {
    this.opened.delete(tap.fds[0]!);
    for (const fd of tap.fds) closeFd(fd);
  }

  /** The ACs (one for each TAP) whose device somebody has deleted. */
  gone(): AcConfig[] {
    return [...this.opened].filter(([fd]) => !isThere(fd)).map(([, ac]) => ac);
  }
}

function isThere(fd: number): boolean {
  try {
    tapInfo(fd);
    return true;
  } catch (error) {
    if (error instanceof IoError) return false;
    throw error;
  }
}
