/** TAP devices: made, taken over, set up, examined. Set-up calls of the main thread; each throws an IoError with what to do. */
import { addon, fail } from "./addon.ts";

export interface TapRequest {
  device: string;
  /** A name under /run/netns, or a path such as /proc/PID/ns/net. Absent: the daemon's own namespace. */
  netns?: string;
  /**
   * The device outlives the process (and a kill -9); reopening it by name takes it over again. `as-is`: one that is there keeps
   * what it has, a new one goes with its last fd.
   */
  persist?: boolean | "as-is";
  /**
   * Open a multi-queue device with so many fds, one per worker. Absent: one queue, one fd. A persistent device that was
   * made with one queue stays so: then there is one fd.
   */
  queues?: number;
}

export interface Tap {
  fds: number[];
  ifindex: number;
}

const TAP_FIXES: Record<string, string> = {
  EPERM: "run with CAP_NET_ADMIN (and CAP_SYS_ADMIN to enter another namespace), or hand the TAP over by its fd",
  EACCES: "run with CAP_NET_ADMIN, and check the owner of /dev/net/tun",
  EBUSY: "another process has the device open: stop it, or give the device another name",
  EINVAL: "the name is too long, or a device of another kind has it: delete it with `ip link del`",
  ENODEV: "load the tun module: modprobe tun",
  ENXIO: "load the tun module: modprobe tun",
  EXDEV: "the device was moved to another namespace: delete it there, or name that namespace",
  EBADFD: "the device was deleted: open it again",
};

function tapFixes(request: TapRequest, step: string): Record<string, string> {
  if (step === "open network namespace") return { ENOENT: `create it with: ip netns add ${request.netns}` };
  if (step === "open /dev/net/tun") {
    return { ...TAP_FIXES, ENOENT: "make the device: mkdir -p /dev/net && mknod /dev/net/tun c 10 200" };
  }
  return TAP_FIXES;
}

/** The file that stands for a namespace; empty: the daemon's own. */
export function netnsPath(netns: string | undefined): string {
  if (netns === undefined || netns === "") return "";
  return netns.includes("/") ? netns : `/run/netns/${netns}`;
}

const flag = (value: boolean | undefined): number => (value === undefined ? -1 : value ? 1 : 0);

/** Create or take over a TAP. Throws IoError. The fds are non-blocking and the caller's to close. */
export function openTap(request: TapRequest): Tap {
  const persist = request.persist === "as-is" ? -1 : flag(request.persist ?? false);
  const out = addon().openTap(request.device, netnsPath(request.netns), persist, request.queues ?? 0);
  if (out[0] < 0) {
    const step = String(out[1]);
    const where = request.netns ? ` in namespace ${request.netns}` : "";
    fail(`TAP ${request.device}${where}`, out[0], step, tapFixes(request, step));
  }
  return { ifindex: out[0], fds: out.slice(1) as number[] };
}

export interface TapSettings {
  mtu?: number;
  /** Frames the kernel queues toward us; at least 1000, because the ring drops instead of pushing back. */
  txQueueLength?: number;
  up?: boolean;
  carrier?: boolean;
  persist?: boolean;
}

/** Set properties of the device behind `fd`, in whatever namespace it is. Throws IoError. */
export function setTap(fd: number, settings: TapSettings): void {
  const { mtu = -1, txQueueLength = -1 } = settings;
  const out = addon().setTap(fd, mtu, txQueueLength, flag(settings.up), flag(settings.carrier), flag(settings.persist));
  if (out[0] < 0) fail(`TAP fd ${fd}`, out[0], String(out[1]), TAP_FIXES);
}

export interface TapInfo {
  device: string;
  /** IFF_* flags of TUNGETIFF. */
  flags: number;
  /** Bytes of the virtio header, 0 without one. */
  vnetHdrBytes: number;
  /** Is the interface up (IFF_UP), in whatever namespace it is? Before Linux 5.2 always true. */
  up: boolean;
}

/** Which device is behind `fd` (for fds handed over by others). Throws IoError. */
export function tapInfo(fd: number): TapInfo {
  const out = addon().tapInfo(fd);
  if (out[0] < 0) fail(`TAP fd ${fd}`, out[0], "ask the TAP device", TAP_FIXES);
  return { flags: out[0], vnetHdrBytes: out[1] as number, device: out[2] as string, up: out[3] === 1 };
}
