/**
 * What the tests of offloads turn: the switches of `underlay.offload`, and the wire.
 */
import { expect } from "vitest";
import { within } from "../../src/lab/deadline.ts";
import type { Bed } from "./bed.ts";

export interface Switches {
  readonly tapTso: boolean;
  readonly tapUso: boolean;
  readonly coalesce: boolean;
  readonly udpGso: boolean;
  readonly udpGro: boolean;
}

export const ALL_ON: Switches = { tapTso: true, tapUso: true, coalesce: true, udpGso: true, udpGro: true };
export const ALL_OFF: Switches = { tapTso: false, tapUso: false, coalesce: false, udpGso: false, udpGro: false };

/** All on, each one off, all off. */
export const OFFLOADS: readonly { readonly name: string; readonly offload: Switches }[] = [
  { name: "all on", offload: ALL_ON },
  ...Object.keys(ALL_ON).map((name) => ({ name: `without ${name}`, offload: { ...ALL_ON, [name]: false } })),
  { name: "all off", offload: ALL_OFF },
];

export interface Wire {
  readonly name: string;
  readonly isPassthrough: boolean;
  readonly gro: "on" | "off";
}

export const WIRES: readonly Wire[] = [
  { name: "passthrough", isPassthrough: true, gro: "off" },
  { name: "a wire, gro off", isPassthrough: false, gro: "off" },
  { name: "a wire, gro on", isPassthrough: false, gro: "on" },
];

const CUTS = [
  "tx-udp_tnl-segmentation",
  "tx-udp_tnl-csum-segmentation",
  "tx-udp-segmentation",
  "tx-checksum-ip-generic",
];

/** Make the devices, [namespace, name], of an underlay behave like that wire. */
export async function setWire(bed: Bed, wire: Wire, ends: readonly (readonly [string, string])[]): Promise<void> {
  const state = wire.isPassthrough ? "on" : "off";
  // Checksums first: without them the kernel keeps no segmentation, and will not have it back.
  const order = wire.isPassthrough ? [...CUTS.slice(3), ...CUTS.slice(0, 3)] : CUTS;
  const args = [...order, "tso", "gso"].flatMap((feature) => [feature, state]);
  for (const [node, device] of ends) await bed.must(node, "ethtool", ["-K", device, ...args, "gro", wire.gro]);
}

/** [segment, total] of sends: udpgso.c's table (O02) at an MTU of 1450, so a segment of at most 1422 bytes. 0: not cut. */
export const UDP_SIZES: readonly (readonly [segment: number, total: number])[] = [
  [0, 1],
  [0, 1422],
  [1422, 1422],
  [1422, 1423],
  [1422, 2844],
  [1422, 2845],
  [1422, 44 * 1422],
  [1422, 45 * 1422 + 7],
  [1000, 64_000],
  [50, 64 * 50],
  [60, 64 * 60 - 1],
];

/** Super-frames that a gateway has received or sent, as its metrics say. */
export async function superFrames(
  bed: Bed,
  node: string,
  direction: "receive" | "transmit",
  kind: "tso" | "uso",
): Promise<number> {
  const script = `console.log(await (await fetch("http://127.0.0.1:9475/metrics")).text())`;
  const text = await bed.must(node, process.execPath, ["--input-type=module", "-e", script]);
  const found = new RegExp(`^vtep_superframes_total\\{direction="${direction}",kind="${kind}"\\} (\\d+)$`, "m").exec(
    text,
  );
  return Number(found![1]);
}

/** What a child says, line by line. */
function lines(child: ReturnType<Bed["follow"]>): { next(): Promise<string> } {
  const ready: string[] = [];
  const waiting: ((line: string) => void)[] = [];
  let rest = "";
  child.stdout!.on("data", (chunk: Buffer) => {
    const all = (rest + chunk.toString()).split("\n");
    rest = all.pop()!;
    for (const line of all) {
      const taker = waiting.shift();
      if (taker === undefined) ready.push(line);
      else taker(line);
    }
  });
  return {
    next: () => {
      const line = ready.shift();
      return line === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(line);
    },
  };
}

/** Datagrams of these sizes from one machine to `address` of another: [what was sent, what arrived], and how many there are. */
export async function sendDatagrams(
  bed: Bed,
  [from, to]: readonly [string, string],
  address: string,
  port: number,
  sizes: readonly (readonly [segment: number, total: number])[],
): Promise<{ readonly sent: number[][]; readonly got: number[][]; readonly count: number }> {
  const count = sizes.reduce((sum, [segment, total]) => sum + (segment === 0 ? 1 : Math.ceil(total / segment)), 0);
  const script = new URL("udp-sizes.py", import.meta.url).pathname;
  const heard = lines(bed.follow(to, "python3", [script, "serve", address, String(port), String(count)]));
  expect(await within("the sink", 30_000, heard.next())).toBe("ready");
  const source = bed.follow(from, "python3", [script, "send", address, String(port)]);
  source.stdin!.end(sizes.map((each) => `${each.join(" ")}\n`).join(""));
  const sent = JSON.parse(await within("the sender", 30_000, lines(source).next())) as number[][];
  return { sent, got: JSON.parse(await within("the datagrams", 40_000, heard.next())) as number[][], count };
}
