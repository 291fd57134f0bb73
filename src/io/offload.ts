/** Offloads: what the operator may switch, what a TAP can be told, and what a kernel release cannot be trusted with. */
import { addon } from "./addon.ts";

/** What the operator allows (configuration `underlay.offload`); what the kernel refuses is switched off and counted. */
export interface Offload {
  /** Take TSO super-frames from TAPs. */
  tapTso: boolean;
  /** Take USO super-frames from TAPs, and give them joined UDP (Linux ≥ 6.2). */
  tapUso: boolean;
  /** Join received inner segments to super-frames. */
  coalesce: boolean;
  /** Send many datagrams with one call (UDP_SEGMENT; needs outer checksums). */
  udpGso: boolean;
  /** Receive many datagrams as one (UDP_GRO). */
  udpGro: boolean;
}

/**
 * Switches that this kernel must not be trusted with, by its release ("6.18.4-generic").
 *  - Linux 7.0.0 to 7.1.4 corrupts UDP headers of UDP_SEGMENT sends, which nothing at run time can tell.
 *  - Before 5.12 UDP_GRO could hand over datagrams of a tunnel merged wrongly.
 */
export function refusedByKernel(release: string): (keyof Offload)[] {
  const [major = 0, minor = 0, patch = 0] = release.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0);
  const version = (major << 16) | (minor << 8) | Math.min(patch, 255);
  const refused: (keyof Offload)[] = [];
  if (version >= 0x070000 && version <= 0x070104) refused.push("udpGso");
  if (version < 0x050c00) refused.push("udpGro");
  return refused;
}

/** Bits of TUNSETOFFLOAD; old kernel headers lack the USO ones. */
export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_TSO_ECN = 0x08;
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

/** Tell the kernel what we can take from this TAP. 0, or a negative errno. */
export function setTapOffload(fd: number, flags: number): number {
  return addon().setTapOffload(fd, flags);
}
