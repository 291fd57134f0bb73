/**
 * What control tells about itself: named events with plain fields.
 *
 * `main` hands in where they go (log, observers, tests). The names are stable: people grep and alert on them.
 */
export type EventName =
  | "ac.up"
  | "ac.down"
  | "ac.single-queue"
  | "port.refused"
  | "tunnel.up"
  | "tunnel.down"
  | "tunnel.draining"
  | "tunnel.path-mtu"
  | "track.up"
  | "track.down"
  | "bfd.up"
  | "bfd.down"
  | "bfd.refused"
  | "bfd.problem"
  | "probing.on"
  | "probing.off"
  | "vsi.added"
  | "vsi.removed"
  | "interface.added"
  | "interface.removed"
  | "neighbor.duplicate"
  | "neighbor.duplicate-over"
  | "next-hop.bypassed"
  | "next-hop.dead"
  | "next-hop.alive"
  | "interface.mac"
  | "gateway.mac"
  | "gateway.draining"
  | "gateway.undrained"
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
  | "nd.ra-guard"
  | "port.security"
  | "binding.added"
  | "binding.ended"
  | "binding.refused"
  | "evpn.engine-up"
  | "evpn.engine-lost"
  | "evpn.session"
  | "evpn.in-sync"
  | "evpn.stale"
  | "evpn.swept"
  | "evpn.orphaned"
  | "evpn.refused"
  | "evpn.moved"
  | "evpn.duplicate"
  | "evpn.duplicate-over"
  | "evpn.sticky-conflict"
  | "icmp.error"
  | "icmp.echo"
  | "dhcp.request"
  | "dhcp.reply"
  | "drop"
  | "drop.burst"
  | "learning.refused"
  | "routes.full"
  | "underlay.mtu"
  | "underlay.down"
  | "underlay.up"
  | "worker.stuck"
  | "worker.moves"
  | "worker.priority";

export type EventFields = Readonly<Record<string, string | number | boolean | null>>;
export type Emit = (level: "debug" | "info" | "warn" | "error", event: EventName, fields: EventFields) => void;

/** A bridge port as a field of an event: `ac: vm1`, `tunnel: gw2`. */
export function portField({ kind, name }: { readonly kind: "ac" | "tunnel"; readonly name: string }): EventFields {
  return { [kind]: name };
}

/** The same for people: `AC vm1`, `tunnel gw2`. */
export function portText({ kind, name }: { readonly kind: "ac" | "tunnel"; readonly name: string }): string {
  return kind === "ac" ? `AC ${name}` : `tunnel ${name}`;
}
