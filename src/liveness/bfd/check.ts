/** The doctor about BFD: is each peer's session up, can sessions be held, and who sends what is refused? */
import type { Bfd, BfdSession } from "../../api/schema-bfd.ts";
import { type Check, fail, ok, warn } from "../../api/schema-doctor.ts";

export function checkBfd({ problem, sessions, refused, lastRefused }: Bfd): Check[] {
  if (sessions.length === 0) return [];
  const checks = problem === null ? [] : [fail("bfd", problem, "see docs/redundancy.md; tunnels stay up meanwhile")];
  checks.push(...sessions.map(checkSession));
  const count = refused.reduce((sum, each) => sum + each.count, 0);
  if (count === 0 || lastRefused === null) return checks;
  const { reason, source, hops } = lastRefused;
  const text = refused.find((each) => each.reason === reason)?.text ?? reason;
  const isFar = reason === "hop_count";
  const last = `${count} refused, the last from ${source}${isFar ? ` (hop count ${hops})` : ""}: ${text}`;
  const fix = isFar
    ? "mode: multihop at both ends, if routers are between"
    : "compare bfd at both ends: mode, the address it is sent from, and no authentication, which is not supported";
  return [...checks, warn("bfd packets", last, fix)];
}

function checkSession(session: BfdSession): Check {
  const { tunnel, remote, state, verdict, detectionMs, diagnosis, peer, late, longestGapMs, sendError } = session;
  const key = `bfd ${tunnel}`;
  if (sendError !== null)
    return fail(
      key,
      `${remote}: ${state}, and packets to it do not leave: ${sendError}`,
      "a route to it, or a filter here?",
    );
  if (state === "up") {
    const margin = `${remote}: up, ${detectionMs} ms of silence are a death; longest gap ${longestGapMs} ms`;
    // Two thirds of the detection time were used up once.
    if (longestGapMs < (detectionMs * 2) / 3) return ok(key, margin);
    return warn(
      key,
      `${margin}, ${late} late`,
      "a longer intervalMs, a greater multiplier of the peer, or more processor time for both gateways",
    );
  }
  if (state === "adminDown") return ok(key, `${remote}: administratively down, for this gateway drains`);
  if (verdict === "draining") return warn(key, `${remote} leaves: its session is administratively down`, "none");
  if (verdict === "down") {
    const fix = "is the other gateway up, and the underlay between them?";
    const said = peer.discriminator === 0 ? "the peer says nothing" : `the peer says ${peer.state}, ${peer.diagnosis}`;
    return fail(key, `${remote}: ${state} (${diagnosis}; ${said})`, fix);
  }
  if (peer.discriminator !== 0)
    return warn(
      key,
      `${remote} is heard, and its session is ${peer.state}: does it hear us?`,
      "UDP 3784 or 4784 there",
    );
  const fix = "configure BFD on the peer (same mode), or say bfd: false; the tunnel is used as if it had none";
  return warn(key, `${remote} has never answered`, fix);
}
