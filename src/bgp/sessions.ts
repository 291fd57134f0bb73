/** Sessions as gobgpd is asked for them, and as it tells them: the state is a number, in the order of RFC 4271 §8.2.2. */
import type { Calls } from "./calls.ts";
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

/**
 * The sessions that the configuration names, as it wants them, and no others; without `peers` the engine's own file has them. One
 * that is as it shall be is left alone: a gateway that starts again finds its sessions up. gobgpd changes little of a session that
 * exists, so one that shall be another ends and begins anew.
 *
 * @returns peers whose sessions ended.
 */
export async function settleSessions(calls: Calls, request: EngineRequest, answerMs: number): Promise<string[]> {
  const { peers } = request;
  if (peers === null) return [];
  const known = await listSessions(calls, answerMs);
  const ended: string[] = [];
  for (const [address, session] of known) {
    const wanted = peers.find((each) => each.address === address);
    if (wanted !== undefined && isAsWanted(session, wanted, request)) continue;
    await calls.ask("DeletePeer", { address });
    ended.push(address);
  }
  for (const peer of peers) {
    if (known.has(peer.address) && !ended.includes(peer.address)) continue;
    await calls.ask("AddPeer", { peer: sessionTo(peer, request) });
  }
  return ended;
}

/** Sessions as the engine has them, by the peer's address. */
export function listSessions(calls: Calls, answerMs: number): Promise<Map<string, Fields>> {
  return new Promise((resolve, reject) => {
    const found = new Map<string, Fields>();
    const stream = calls.listen("ListPeer", {});
    const timer = setTimeout(() => stream.cancel(), answerMs);
    stream.on("data", (answer: Fields) => {
      const peer = answer.peer as Fields;
      const view = viewOf(peer);
      if (view !== null) found.set(view.address, peer);
    });
    stream.on("error", reject);
    stream.on("end", () => resolve(found));
    stream.on("close", () => clearTimeout(timer));
  });
}

/** What gobgpd tells of a session that it was asked for: all of it in each version but the idle time, which 3.10 has its own of. */
function isAsWanted(session: Fields, wanted: PeerConfig, request: EngineRequest): boolean {
  const conf = (session.conf ?? {}) as Fields;
  const { config } = (session.timers ?? {}) as { config?: Fields | null };
  const { localAddress } = (session.transport ?? {}) as Fields;
  return (
    viewOf(session)!.as === wanted.as &&
    String(conf.authPassword ?? "") === (wanted.password ?? "") &&
    Number(config?.holdTime ?? 0) === request.holdSeconds &&
    Number(config?.connectRetry ?? 0) === request.connectRetrySeconds &&
    localAddress === request.localAddress
  );
}

/** A third of the hold time (RFC 4271 §4.4). */
function keepalive(holdSeconds: number): number {
  return Math.max(1, Math.floor(holdSeconds / 3));
}
