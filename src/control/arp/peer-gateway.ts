/**
 * Peer gateways: others that use our gateway IP (D9: the same IP on every gateway is the design, not a conflict).
 *
 * An ARP from a tunnel whose sender IP is one of our own addresses comes from a peer gateway. It is shown to people
 * (`gateway via <tunnel>`), never used to forward IP, and never fought. Its MAC goes into the MAC table, so that a VM
 * that moved here and still uses the old gateway's MAC is routed (D1).
 */
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import { formatIpv4, type Ipv4 } from "../../wire/ipv4.ts";
import type { InterfaceObject, PortObject, VsiObject } from "../inventory.ts";
import type { MacLearner } from "../mac/learn.ts";
import type { Timers } from "../timers.ts";

interface PeerGateway {
  readonly on: InterfaceObject;
  readonly vsi: VsiObject;
  readonly tunnel: PortObject;
  readonly ip: Ipv4;
  mac: Mac;
  heardMs: number;
}

/** A peer gateway for people. */
export interface PeerGatewayView {
  readonly interface: string;
  readonly ip: string;
  readonly mac: string;
  readonly vsi: string;
  readonly tunnel: string;
  readonly ageSeconds: number;
}

export class PeerGateways {
  private readonly learner: MacLearner;
  private readonly timers: Timers;
  /** By VSI, tunnel and address: as many as there are peers, tunnels being configured. */
  private readonly peers = new Map<string, PeerGateway>();

  constructor(learner: MacLearner, timers: Timers) {
    this.learner = learner;
    this.timers = timers;
  }

  /** `mac` behind `tunnel` speaks with our address `ip` in `vsi`. */
  heard(on: InterfaceObject, vsi: VsiObject, tunnel: PortObject, ip: Ipv4, mac: Mac): void {
    const key = `${vsi.row} ${tunnel.row} ${ip}`;
    const peer = this.peers.get(key);
    if (peer === undefined) this.peers.set(key, { on, vsi, tunnel, ip, mac, heardMs: this.timers.nowMs });
    else {
      peer.mac = mac;
      peer.heardMs = this.timers.nowMs;
    }
    this.learner.addPeerGateway(vsi, mac, tunnel);
  }

  flushPort(tunnel: PortObject): void {
    this.keep((peer) => peer.tunnel !== tunnel);
  }

  flushVsi(vsi: VsiObject): void {
    this.keep((peer) => peer.vsi !== vsi);
  }

  flushInterface(on: InterfaceObject): void {
    this.keep((peer) => peer.on !== on);
  }

  list(): PeerGatewayView[] {
    return [...this.peers.values()].map((peer) => ({
      interface: peer.on.name,
      ip: formatIpv4(peer.ip),
      mac: formatMac(peer.mac),
      vsi: peer.vsi.name,
      tunnel: peer.tunnel.name,
      ageSeconds: Math.floor((this.timers.nowMs - peer.heardMs) / 1000),
    }));
  }

  private keep(isKept: (peer: PeerGateway) => boolean): void {
    for (const [key, peer] of this.peers) if (!isKept(peer)) this.peers.delete(key);
  }
}
