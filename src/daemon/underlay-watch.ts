/**
 * What the world does to the underlay device without telling us: its MTU, its state, the address on it.
 *
 * Once a second the kernel is asked. A changed MTU moves every MTU that follows from it (`underlay.mtu: auto`). A device that is
 * down, or has lost its carrier, or the VTEP address, is told once and shown until it is over: where no tunnel is watched,
 * nothing else would say so. The sockets work again when it is back.
 */
import type { Emit } from "../control/event.ts";
import { IoError } from "../io/addon.ts";
import { addressGone, deviceMtuFor, whyDead } from "../io/underlay.ts";

/** How the underlay stands. */
export interface UnderlayState {
  readonly device: string;
  readonly mtu: number;
  /** Why nothing can be sent or received; null: nothing is known. */
  readonly problem: string | null;
}

export class UnderlayWatch {
  private readonly address: string;
  private readonly emit: Emit;
  private readonly onMtu: (mtu: number) => void;
  private now: UnderlayState;

  /**
   * @param onMtu the device's MTU is another one.
   * Throws IoError: no interface has `address`.
   */
  constructor(address: string, emit: Emit, onMtu: (mtu: number) => void) {
    this.address = address;
    this.emit = emit;
    this.onMtu = onMtu;
    const { device, mtu } = deviceMtuFor(address);
    this.now = { device, mtu, problem: null };
    this.note();
  }

  get state(): UnderlayState {
    return this.now;
  }

  /** Ask the kernel. */
  checkDevice(): void {
    const before = this.now.mtu;
    this.note();
    if (this.now.mtu !== before) this.onMtu(this.now.mtu);
  }

  private note(): void {
    const before = this.now;
    const { fix, ...found } = this.ask();
    this.now = found;
    const { device, problem } = found;
    if (problem !== null && problem !== before.problem) this.emit("warn", "underlay.down", { device, problem, fix });
    else if (problem === null && before.problem !== null) this.emit("info", "underlay.up", { device });
  }

  private ask(): UnderlayState & { readonly fix: string } {
    try {
      const found = deviceMtuFor(this.address);
      const { problem, fix } = whyDead(found) ?? { problem: null, fix: "" };
      return { device: found.device, mtu: found.mtu, problem, fix };
    } catch (error) {
      if (!(error instanceof IoError)) throw error;
      const { device, mtu } = this.now;
      return { device, mtu, ...addressGone(this.address, device) };
    }
  }
}
