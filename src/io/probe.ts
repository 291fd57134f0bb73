/**
 * What this kernel can do, asked once at the start: how many datagrams one send takes, and whether a TAP takes super-frames.
 *
 * Nothing is asked of the operator's devices, and nothing else sees the asking (native-bindings/probe.h). What cannot be asked,
 * for want of a right, is believed as before: the workers find out at run time, and pay for it with a refused call.
 */
import { addon, errnoText } from "./addon.ts";
import type { Offload } from "./offload.ts";

/** "ok": it works; "reduced": in part; "refused": not at all; "unknown": could not be asked; "off": not wanted. */
export type ProbeOutcome = "ok" | "reduced" | "refused" | "unknown" | "off";

export interface Probe {
  /** The offload it is about. */
  readonly offload: keyof Offload;
  readonly outcome: ProbeOutcome;
  /** What was found, or why nothing was. */
  readonly text: string;
}

/** What a worker's io is told. */
export interface Probed {
  /** Most datagrams of one UDP_SEGMENT send; 1: none. */
  readonly segmentCap: number;
  /** Super-frames that no TAP takes: bit 0 TCP, bit 1 UDP. */
  readonly tapRefuses: number;
  readonly probes: readonly Probe[];
}

/** What every kernel with UDP_SEGMENT takes. */
export const SAFE_SEGMENT_CAP = 64;
const MOST_SEGMENTS = 128;
export const TAP_REFUSES_TCP = 1;
export const TAP_REFUSES_UDP = 2;

/** Ask what the switches of `offload` need. Never throws: what fails is told. */
export function probeKernel(offload: Offload): Probed {
  const segments = offload.udpGso ? judgeSegments(addon().probeSegments()) : off("udpGso", SAFE_SEGMENT_CAP);
  const wantsTap = offload.coalesce || offload.tapTso || offload.tapUso;
  const tap = wantsTap ? judgeTap(addon().probeTap()) : off("coalesce", 0);
  return { segmentCap: segments.found, tapRefuses: tap.found, probes: [segments.probe, tap.probe] };
}

interface Judged {
  readonly found: number;
  readonly probe: Probe;
}

type Outcome = readonly [number, ...(number | string)[]];

function off(name: keyof Offload, found: number): Judged {
  return { found, probe: { offload: name, outcome: "off", text: "not asked: off in the configuration" } };
}

/** `[cap, the errno that more met]`, or `[errno, step]`. */
export function judgeSegments(answer: Outcome): Judged {
  const [cap, met] = answer;
  const judged = (found: number, outcome: ProbeOutcome, text: string): Judged => {
    return { found, probe: { offload: "udpGso", outcome, text } };
  };
  if (cap < 0)
    return judged(
      SAFE_SEGMENT_CAP,
      "unknown",
      `not asked: cannot ${met}: ${errnoText(cap)}; taken for ${SAFE_SEGMENT_CAP}`,
    );
  const why = met === 0 ? "" : `; more: ${met === -74 ? "not all arrives as it was sent" : errnoText(Number(met))}`;
  if (cap === 1) return judged(1, "refused", `datagrams of one send do not arrive whole${why}`);
  // 64 is the limit of older kernels, not a fault.
  const outcome = cap === MOST_SEGMENTS || (cap === SAFE_SEGMENT_CAP && met === -22) ? "ok" : "reduced";
  return judged(cap, outcome, `${cap} datagrams of one send arrive whole${why}`);
}

/** `[in a namespace of its own, TCP over IPv4, TCP over IPv6, UDP]`, each 0 or an errno; or `[errno, step]`. */
export function judgeTap(answer: Outcome): Judged {
  const judged = (found: number, outcome: ProbeOutcome, text: string): Judged => {
    return { found, probe: { offload: "coalesce", outcome, text } };
  };
  const [isolated, ...errors] = answer;
  if (isolated < 0)
    return judged(0, "unknown", `not asked: cannot ${errors[0]}: ${errnoText(isolated)}; the first refusal will tell`);
  const [tcp4, tcp6, udp] = errors as [number, number, number];
  const refuses = (tcp4 !== 0 || tcp6 !== 0 ? TAP_REFUSES_TCP : 0) | (udp !== 0 ? TAP_REFUSES_UDP : 0);
  const where = isolated === 1 ? "asked of a TAP in a namespace of its own" : "asked of a TAP of our own, never up";
  if (refuses === 0) return judged(0, "ok", `a TAP takes joined TCP and UDP (${where})`);
  const what = [
    tcp4 !== 0 ? `TCP over IPv4: ${errnoText(tcp4)}` : "",
    tcp6 !== 0 ? `TCP over IPv6: ${errnoText(tcp6)}` : "",
    udp !== 0 ? `UDP: ${errnoText(udp)}` : "",
  ];
  const text = `a TAP refuses ${what.filter((each) => each !== "").join(", ")} (${where}); written packet by packet`;
  return judged(refuses, refuses === (TAP_REFUSES_TCP | TAP_REFUSES_UDP) ? "refused" : "reduced", text);
}
