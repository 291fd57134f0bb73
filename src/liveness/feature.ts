/** What probing brings to those who ask: echoes and path MTU on demand, how each tunnel answers, and whether it does. */

import { addDrain } from "../api/drain.ts";
import type { Feature, Row } from "../api/feature.ts";
import { addProbes, type ProbeSource } from "../api/probe.ts";
import type { Shown } from "../api/shown.ts";
import type { Agent } from "../control/agent.ts";
import type { Inventory, TunnelPort } from "../control/inventory.ts";
import type { BfdWatch } from "./bfd/watch.ts";
import type { Drain } from "./drain.ts";
import { pingHost } from "./host-ping.ts";
import { peerChecks } from "./peer-check.ts";
import type { Prober } from "./prober.ts";

export interface ProbingParts {
  readonly prober: Prober;
  readonly bfd: BfdWatch;
  readonly agent: Agent;
  readonly inventory: Inventory;
  readonly shown: Shown;
  /** The underlay's MTU in force. */
  readonly underlayMtu: () => number;
  /** Begin a round of control soon. */
  readonly kick: () => void;
}

export function probing({ prober, bfd, agent, inventory, shown, underlayMtu, kick }: ProbingParts): Feature {
  const source = probeSource(prober, agent, inventory, kick);
  return {
    routes: (app) => addProbes(app, source),
    rows: probingRows(inventory, prober, (port) => bfd.decides(port)),
    checks: peerChecks(
      () => shown.tunnels(),
      underlayMtu,
      (tunnel, length) => source.ping(tunnel, length)!,
    ),
    everySecond: () => prober.look(),
    applied: () => prober.look(),
    close: () => prober.close(),
  };
}

/** Peers leave us, or may come back. */
export function draining(drain: Drain): Feature {
  return {
    routes: (app) => addDrain(app, drain),
    rows: [
      {
        kind: "gauge",
        name: "vtep_draining",
        help: "1 while the gateway asks its peers to leave it as their next hop",
        labels: [],
        values: () => [[{}, drain.isOn ? 1 : 0]],
      },
    ],
    conditions: () => (drain.isOn ? [{ what: "draining", isMet: false, isRequired: true, text: drain.reason }] : []),
    applied: () => drain.follow(),
  };
}

/** @param isByBfd does a BFD session say whether the peer is there? */
export function probingRows(
  inventory: Inventory,
  prober: Pick<Prober, "view">,
  isByBfd: (port: TunnelPort) => boolean,
): Row[] {
  return [
    {
      kind: "gauge",
      name: "vtep_tunnel_watched",
      help: "1 while BFD or a keepalive watches the tunnel's peer, so that vtep_tunnel_up means that it is there",
      labels: ["tunnel"],
      *values() {
        for (const port of inventory.tunnels())
          yield [{ tunnel: port.name }, isByBfd(port) || /^(up|down)$/.test(prober.view(port).state) ? 1 : 0];
      },
    },
    {
      kind: "gauge",
      name: "vtep_tunnel_rtt_seconds",
      help: "Smoothed round-trip time to the tunnel's peer; absent until it has answered",
      labels: ["tunnel"],
      *values() {
        for (const port of inventory.tunnels()) {
          const { rttMs } = prober.view(port);
          if (rttMs !== null) yield [{ tunnel: port.name }, rttMs / 1000];
        }
      },
    },
    {
      kind: "counter",
      name: "vtep_tunnel_probes_total",
      help: "Keepalive probes by what became of them",
      labels: ["tunnel", "result"],
      *values() {
        for (const port of inventory.tunnels()) {
          const { answered, lost } = prober.view(port);
          yield [{ tunnel: port.name, result: "answered" }, answered];
          yield [{ tunnel: port.name, result: "lost" }, lost];
        }
      },
    },
  ];
}

/** The API's questions, by the name of a tunnel or a VSI-interface. */
function probeSource(prober: Prober, agent: Agent, inventory: Inventory, kick: () => void): ProbeSource {
  const hosts = { agent, inventory, now: () => performance.now(), kick };
  const tunnel = (name: string) => inventory.tunnel(name);
  return {
    pingHost: (name, ip, length) => pingHost(hosts, name, ip, length),
    ping(name, length) {
      const port = tunnel(name);
      return port === undefined ? null : prober.ping(port, length);
    },
    search(name) {
      const port = tunnel(name);
      if (port === undefined) return null;
      const problem = prober.search(port);
      return problem === null ? prober.searchOf(port) : { reason: problem.message, fix: problem.fix };
    },
    searchOf(name) {
      const port = tunnel(name);
      return port === undefined ? null : prober.searchOf(port);
    },
  };
}
