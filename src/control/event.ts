/**
 * What control tells about itself: named events with plain fields.
 *
 * `main` hands in where they go (log, observers, tests). The names are stable: people grep and alert on them.
 */
export type EventName =
  | "ac.up"
  | "ac.down"
  | "ac.single-queue"
  | "tunnel.up"
  | "tunnel.down"
  | "tunnel.path-mtu"
  | "probing.on"
  | "probing.off"
  | "vsi.added"
  | "vsi.removed"
  | "interface.added"
  | "interface.removed"
  | "interface.mac"
  | "gateway.mac"
  | "config.applied"
  | "config.rejected"
  | "mac.learned"
  | "mac.moved"
  | "mac.aged"
  | "mac.damped"
  | "mac.limit"
  | "neighbor.learned"
  | "neighbor.moved"
  | "neighbor.failed"
  | "neighbor.removed"
  | "neighbor.suspended"
  | "neighbor.restored"
  | "neighbor.limit"
  | "neighbor.damped"
  | "arp.gateway-reply"
  | "arp.proxy-reply"
  | "arp.suppress-reply"
  | "arp.relay-request"
  | "arp.relay-reply"
  | "arp.solicit"
  | "arp.announce"
  | "arp.defend"
  | "arp.ignored"
  | "icmp.error"
  | "icmp.echo"
  | "drop"
  | "drop.burst"
  | "learning.refused"
  | "underlay.mtu";

export type EventFields = Readonly<Record<string, string | number | boolean | null>>;
export type Emit = (level: "debug" | "info" | "warn" | "error", event: EventName, fields: EventFields) => void;
