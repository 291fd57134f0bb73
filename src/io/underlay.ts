/** The underlay: its sockets, the device that leads there, path MTU. Set-up calls of the main thread; each throws an IoError. */
import { addon, fail } from "./addon.ts";

export interface UnderlayRequest {
  address: string;
  port: number;
  sourcePorts: { first: number; count: number };
  receiveBuffer?: number;
  sendBuffer?: number;
  /** Send outer UDP checksum zero (excludes UDP GSO). */
  zeroChecksum?: boolean;
  /** Over IPv6: take outer UDP checksum zero from others (RFC 6935). Over IPv4 it may always come (RFC 768). */
  acceptsZeroChecksum?: boolean;
  /** Others will be opened `beside` this one. */
  isShared?: boolean;
  /** Another worker's, opened with `isShared`: receive on its port too, send from the same source ports. */
  beside?: Underlay;
}

export interface Underlay {
  fd: number;
  txFds: number[];
  /** What the kernel granted, in bytes. */
  receiveBuffer: number;
  sendBuffer: number;
}

const UNDERLAY_FIXES: Record<string, string> = {
  EADDRINUSE:
    "another process (or a kernel vxlan device) has the port: find it with `ss -ulpn`, or change underlay.port",
  EADDRNOTAVAIL: "no interface has this address: add it, or change underlay.address",
  EACCES: "the port is privileged: use CAP_NET_BIND_SERVICE, or a port above 1023",
  EINVAL: "underlay.address must be an IPv4 or IPv6 address, and sourcePorts.count 1 to 64",
};

/** Open the receive socket and the pool of sending sockets. Throws IoError. */
export function openUnderlay(request: UnderlayRequest): Underlay {
  const { address, port, sourcePorts, receiveBuffer = 8 << 20, sendBuffer = 4 << 20 } = request;
  const { zeroChecksum = false, acceptsZeroChecksum = false, beside } = request;
  const isShared = beside !== undefined || request.isShared === true;
  const { first, count } = sourcePorts;
  const like = Int32Array.from(beside?.txFds ?? []);
  const buffers = [receiveBuffer, sendBuffer] as const;
  const sums = [zeroChecksum, acceptsZeroChecksum] as const;
  const out = addon().openUnderlay(address, port, first, count, ...buffers, ...sums, isShared, like);
  if (out[0] < 0) fail(`underlay ${address} port ${port}`, out[0], String(out[1]), UNDERLAY_FIXES);
  const [fd, granted, sending, ...txFds] = out as number[];
  return { fd: fd!, receiveBuffer: granted!, sendBuffer: sending!, txFds };
}

/** The interface that owns the VTEP address. */
export interface UnderlayDevice {
  readonly device: string;
  readonly ifindex: number;
  readonly mtu: number;
  /** It is set up (IFF_UP). */
  readonly isUp: boolean;
  /** Its other end is there (IFF_RUNNING). */
  readonly hasCarrier: boolean;
  /** It joins received packets (GRO), and cuts those to be sent (TSO); null: it does not say. */
  readonly gro: boolean | null;
  readonly tso: boolean | null;
}

/** The interface that owns a local address, its MTU and its state. Throws IoError. */
export function deviceMtuFor(address: string): UnderlayDevice {
  const out = addon().deviceMtuFor(address);
  if (out[0] < 0) fail(`underlay ${address}`, out[0], "find its interface", UNDERLAY_FIXES);
  const [ifindex, mtu, device, isUp, hasCarrier, gro, tso] = out as [number, number, string, ...number[]];
  const known = (word: number | undefined) => (word === undefined || word < 0 ? null : word !== 0);
  return { ifindex, mtu, device, isUp: isUp !== 0, hasCarrier: hasCarrier !== 0, gro: known(gro), tso: known(tso) };
}

/** Why nothing goes out by the device of the VTEP address, and the fix; null: nothing that it knows of. */
export function whyDead({
  device,
  isUp,
  hasCarrier,
}: Pick<UnderlayDevice, "device" | "isUp" | "hasCarrier">): { problem: string; fix: string } | null {
  if (!isUp) return { problem: `${device} is set down`, fix: `ip link set dev ${device} up` };
  if (hasCarrier) return null;
  const fix = `see its cable and the switch's port; where it is a veth or in a bridge, its other end (ip link show ${device})`;
  return { problem: `${device} has no carrier`, fix };
}

/** The kernel knows no interface with the VTEP address. `device`: where it was, or a word for one. */
export function addressGone(address: string, device: string): { problem: string; fix: string } {
  return { problem: `no interface has ${address}`, fix: `ip addr add ${address}/LENGTH dev ${device}` };
}

/** The path MTU the kernel believes in (ask after an -EMSGSIZE). Positive, or a negative errno. */
export function pathMtu(local: string, remote: string): number {
  return addon().pathMtu(local, remote);
}

/** Datagrams the kernel dropped at a socket because its buffer was full. */
export function socketDrops(fd: number): number {
  return addon().socketDrops(fd);
}
