/** A session as gobgpd tells it. Its state is a number in both versions of the API, in the order of RFC 4271 §8.2.2. */
import type { Fields } from "./dialect.ts";
import type { PeerView } from "./engine.ts";

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
