/**
 * The doctor, about packets that were lost for want of room: what this gateway knows of, place by place, and where else to look.
 *
 * On its way from VM to VM a packet waits in five places: the sender's TAP, the underlay's receive buffer, inside the gateway, the
 * receiver's TAP, the receiver's socket. The first and the last are the VMs' own, and only their kernels count there.
 */
import type { DropCount, Features } from "../api/schema.ts";
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import type { DropName } from "../tables/counters.ts";
import { longAgo, RECENT_SECONDS } from "./drops.ts";

/** By reason: what was full, and what would help. */
const FULL: Partial<Record<DropName, readonly [what: string, fix: string]>> = {
  tap_full: ["at a TAP, whose VM takes slower than it is given", "give that VM more processor time"],
  tx_again: ["at the underlay's sending socket", "sysctl -w net.core.wmem_max=4194304, and restart"],
  tx_error: ["at the underlay, which refused to send", "vtepctl observe --drop; is its device up, is there a route?"],
  pool_exhausted: ["in a batch that had no room left", "report it"],
  punt_ring_full: ["on the way to control, which does not keep up", "vtepctl observe; which host asks so much?"],
};
const ELSEWHERE = "what VMs lose in their own queues only their kernels count: ip -s link, nstat -az UdpRcvbufErrors";

/** One line: recent losses are a warning, older ones the past. */
export function checkLoss(drops: readonly Omit<DropCount, "ports">[], { workers }: Features): Check {
  const unread = workers.reduce((sum, { receiveDrops }) => sum + receiveDrops, 0);
  const found = drops.flatMap(({ reason, count, last }) => {
    const full = FULL[reason as DropName];
    return full === undefined || count === 0
      ? []
      : [{ count, what: full[0], fix: full[1], secondsAgo: last?.secondsAgo ?? 0 }];
  });
  const places = [
    ...(unread > 0 ? [`${unread} in the underlay's receive buffer`] : []),
    ...found.map(({ count, what, secondsAgo }) =>
      secondsAgo > RECENT_SECONDS ? `${count} ${what} (the last ${longAgo(secondsAgo)} ago)` : `${count} ${what}`,
    ),
  ];
  if (places.length === 0) return ok("loss", `none for want of room here; ${ELSEWHERE}`);
  const text = `packets lost: ${places.join("; ")}; ${ELSEWHERE}`;
  const fixes = found.filter(({ secondsAgo }) => secondsAgo <= RECENT_SECONDS).map(({ fix }) => fix);
  // When the receive buffer overflowed is not known; it has a line of its own, with its fix.
  return fixes.length === 0 ? ok("loss", text) : warn("loss", text, fixes.join("; "));
}
