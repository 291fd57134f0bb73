/**
 * Neighbour unreachability detection for ARP, as a table (the states are RFC 4861 §7.3.2's; RFC 1122 §2.3.2.1 asks for
 * unicast polls and timeouts).
 *
 *   incomplete  wanted by traffic; solicitations go everywhere, packets wait
 *   reachable   heard from within half its age
 *   stale       not heard from for that long; still forwards
 *   delay       about to be probed: a random second, so that thousands of entries are not probed at once
 *   probe       asked by unicast, once a second, three times; still forwards
 *   suspended   its port is down: out of the data plane, but not forgotten; the port's return brings it back
 *   failed      silent: packets are answered with host unreachable, and a new one makes us ask again
 *
 * A stale entry that carries traffic is probed at once, one that does not a few seconds before its age is over. So is a
 * reachable one that carries traffic while nothing was heard from its MAC for a while (watch.ts); a next hop of routes and
 * policies is asked without end (hop-probe.ts). A silent living
 * host survives all of that. A pair that is not in the table changes nothing.
 */
export const NUD_STATES = ["incomplete", "reachable", "stale", "delay", "probe", "suspended", "failed"] as const;
export type NudState = (typeof NUD_STATES)[number];

export const NUD_EVENTS = [
  /** A packet, or a route, wants it. */
  "needed",
  /** ARP from it, at the place we know or at one we accept. */
  "heard",
  /** Half its age is over. */
  "aged",
  /** Stale, and traffic or a route uses it. */
  "used",
  /** Reachable and used, and its MAC has sent nothing for a while. */
  "unheard",
  /** Stale and unused, and its age is almost over. */
  "expiring",
  /** The random second is over. */
  "waited",
  /** Somebody says it is elsewhere, or it sent us its own packets back. */
  "doubted",
  /** A second without an answer; there are tries left. */
  "silent",
  /** A second without an answer; that was the last try. */
  "gaveUp",
  /** A next hop that left several questions of hop-probe.ts unanswered. */
  "gone",
  /** Its port went down. */
  "cut",
  /** Its port is up again. */
  "restored",
  /** Failed for so long that it is not worth remembering. */
  "forgotten",
] as const;
export type NudEvent = (typeof NUD_EVENTS)[number];

export type NudAction =
  /** Ask everywhere: broadcast in each VSI of the VSI-interface. */
  | "solicitAll"
  /** Publish the rewrite and the host route, send what waited. */
  | "program"
  /** Look now and then whether it is used. */
  | "watch"
  /** Wait for a random part of a second. */
  | "wait"
  /** Ask the host alone, where we believe it is. */
  | "askHost"
  /** Take it out of the data plane, answer what waited. */
  | "withdraw"
  /** Take it out of the data plane for as long as its port is down. */
  | "suspend"
  /** Publish it where it was, and ask it there soon. */
  | "resume"
  | "remove";

export const NUD: Readonly<
  Record<NudState, Readonly<Partial<Record<NudEvent, readonly [next: NudState, action: NudAction]>>>>
> = {
  incomplete: {
    heard: ["reachable", "program"],
    silent: ["incomplete", "solicitAll"],
    gaveUp: ["failed", "withdraw"],
    restored: ["delay", "resume"],
  },
  reachable: {
    heard: ["reachable", "program"],
    aged: ["stale", "watch"],
    unheard: ["delay", "wait"],
    doubted: ["probe", "askHost"],
    gone: ["failed", "withdraw"],
    cut: ["suspended", "suspend"],
  },
  stale: {
    heard: ["reachable", "program"],
    used: ["delay", "wait"],
    expiring: ["delay", "wait"],
    doubted: ["probe", "askHost"],
    gone: ["failed", "withdraw"],
    cut: ["suspended", "suspend"],
  },
  delay: {
    heard: ["reachable", "program"],
    waited: ["probe", "askHost"],
    doubted: ["probe", "askHost"],
    gone: ["failed", "withdraw"],
    cut: ["suspended", "suspend"],
  },
  probe: {
    heard: ["reachable", "program"],
    silent: ["probe", "askHost"],
    gaveUp: ["failed", "withdraw"],
    gone: ["failed", "withdraw"],
    cut: ["suspended", "suspend"],
  },
  suspended: {
    needed: ["incomplete", "solicitAll"],
    heard: ["reachable", "program"],
    restored: ["delay", "resume"],
  },
  failed: {
    needed: ["incomplete", "solicitAll"],
    heard: ["reachable", "program"],
    restored: ["delay", "resume"],
    forgotten: ["failed", "remove"],
  },
};

/** `event` happens to `entry`: its state becomes the next one. @returns what follows, or null when nothing does. */
export function transition(
  entry: { state: NudState; sinceMs: number },
  event: NudEvent,
  nowMs: number,
): NudAction | null {
  const step = NUD[entry.state][event];
  if (step === undefined) return null;
  const [next, action] = step;
  if (next !== entry.state) entry.sinceMs = nowMs;
  entry.state = next;
  return action;
}

/** Is the neighbour's place known, so that packets can be sent? */
export function isKnown(state: NudState): boolean {
  return state !== "incomplete" && state !== "failed" && state !== "suspended";
}
