/**
 * What a VM and its gateway say to each other on the attach socket.
 *
 *     VM       {"version":1,"ac":"vm1","device":"eth0"}            with the TAP's fd, in one message
 *     gateway  {"attached":{"gateway":"gw1","vsi":"vsi10","mtu":1450}}
 *              {"mtu":1400}                                        later, when the overlay's MTU changes
 *              {"refused":{"code":"held","message":"…","hint":"…"}}  and the connection is closed
 *
 * Lines of JSON. The VM says one thing, once; the connection is then its hold on the AC: it ends with the connection,
 * whichever side closes it and for whatever reason. `refused` is the gateway's last word, also to a VM that was attached.
 */
import { z } from "zod";

export const PROTOCOL_VERSION = 1;
/** The longest line either side sends, bytes. */
export const MAX_LINE_BYTES = 4096;

/**
 * Why the gateway refuses. `held` and `busy` may be over soon and `stopping` will be; the others need somebody's hand.
 *
 *     protocol   not this protocol, or another version of it
 *     denied     the kernel says that the other side is somebody who may not
 *     unknown    there is no such AC, or it makes its own TAP
 *     held       another VM is on the AC
 *     no_tap     the fd is no TAP, or one of the wrong kind, or its device is gone
 *     busy       the gateway has no room, now
 *     removed    a reload took the AC away
 */
export const REFUSALS = ["protocol", "denied", "unknown", "held", "no_tap", "busy", "removed"] as const;
export type RefusalCode = (typeof REFUSALS)[number];

/** As names in the configuration are, so that no log and no terminal gets anything else. */
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);

export const CLAIM = z.strictObject({
  version: z.literal(PROTOCOL_VERSION),
  ac: name,
  /** The device's name where the VM sees it, for the log. */
  device: z.string().regex(/^[!-.0-~]{1,15}$/),
});
export type Claim = z.output<typeof CLAIM>;

const mtu = z.int().min(68).max(65535);

export const ANSWER = z.union([
  z.strictObject({ attached: z.strictObject({ gateway: name, vsi: name, mtu }) }),
  z.strictObject({ mtu }),
  z.strictObject({ refused: z.strictObject({ code: z.enum(REFUSALS), message: z.string(), hint: z.string() }) }),
]);
export type Answer = z.output<typeof ANSWER>;

/** A line as a claim, or null. */
export function readClaim(line: string): Claim | null {
  return read(CLAIM, line);
}

/** A line as an answer, or null. */
export function readAnswer(line: string): Answer | null {
  return read(ANSWER, line);
}

function read<T extends z.ZodType>(schema: T, line: string): z.output<T> | null {
  try {
    const result = schema.safeParse(JSON.parse(line));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}

export const lineOf = (message: Claim | Answer): string => `${JSON.stringify(message)}\n`;
