/** TAPs for the topology without a kernel: what is opened, kept, changed and closed is noted, and may be refused. */
import type { AcConfig } from "../../src/control/plan.ts";
import type { OpenTap, PortOpener } from "../../src/control/topology/taps.ts";

/** TAPs that exist until they are closed. */
export class NotingOpener implements PortOpener {
  /** device -> MTU */
  readonly open = new Map<string, number>();
  readonly refuse = new Set<string>();
  readonly notes: string[] = [];
  /** Those that were told to stay. */
  readonly kept = new Set<string>();
  private fd = 100;

  openTap(ac: AcConfig, mtu: number): OpenTap {
    const device = ac.tap!.device;
    if (this.refuse.has(device)) throw new Error(`TAP ${device}: refused`);
    if (this.open.has(device)) throw new Error(`TAP ${device}: is open already`);
    this.open.set(device, mtu);
    this.notes.push(`open ${device}`);
    this.fd += 2;
    return { fds: [this.fd, this.fd + 1], ifindex: this.fd };
  }

  keepTap(_tap: OpenTap, ac: AcConfig): void {
    this.kept.add(ac.tap!.device);
  }

  changeTap(_tap: OpenTap, ac: AcConfig, mtu: number): void {
    const device = ac.tap!.device;
    if (this.refuse.has(device)) throw new Error(`TAP ${device}: refused`);
    this.open.set(device, mtu);
    this.notes.push(`change ${device} ${mtu}`);
  }

  closeTap(tap: OpenTap, ac: AcConfig): void {
    const name = ac.tap?.device ?? `fd ${tap.fds[0]}`;
    this.notes.push(`close ${name}`);
    this.open.delete(name);
  }

  take(): string[] {
    return this.notes.splice(0);
  }
}
