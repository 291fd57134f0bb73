/** Sessions as gobgpd is asked for them, and as it tells them: the state is a number, in the order of RFC 4271 §8.2.2. */
import { FAMILY_EVPN } from "./codec.ts";
import type { Fields } from "./dialect.ts";
import type { EngineRequest, PeerConfig, PeerView } from "./engine.ts";

const STATES = ["unknown", "idle", "connect", "active", "opensent", "openconfirm", "established"];

/** null: it has no address. */
export function viewOf(peer: Fields): PeerView | null {
  const state = peer.state as Fields | null;
  const conf = peer.conf as Fields | null;
  const address = String(state?.neighborAddress || conf?.neighborAddress || "");
  if (address === "") return null;
  const timers = (peer.timers as Fields | null)?.state as Fields | null;
  const uptime = Number((timers?.uptime as Fields | null)?.seconds ?? 0);
  const name = STATES[Number(state?.sessionState ?? 0)] ?? "unknown";
  const as = Number(state?.peerAsn || conf?.peerAsn || 0);
  return { address, as, state: name, upSince: name === "established" && uptime > 0 ? uptime : null };
}

/** A session to `peer`, for EVPN alone, begun by us. */
export function sessionTo(peer: PeerConfig, request: EngineRequest): Fields {
  const { localAddress, as, holdSeconds, connectRetrySeconds } = request;
  const config = { neighborAddress: peer.address, peerAsn: peer.as, authPassword: peer.password ?? "" };
  const timers = {
    connectRetry: connectRetrySeconds,
    holdTime: holdSeconds,
    keepaliveInterval: keepalive(holdSeconds),
    idleHoldTimeAfterReset: 1,
  };
  return {
    conf: config,
    ebgpMultihop: { enabled: peer.as !== as, multihopTtl: 255 },
    timers: { config: timers },
    transport: { localAddress },
    afiSafis: [{ config: { family: FAMILY_EVPN, enabled: true } }],
  };
}

/** A third of the hold time (RFC 4271 §4.4). */
function keepalive(holdSeconds: number): number {
  return Math.max(1, Math.floor(holdSeconds / 3));
}
