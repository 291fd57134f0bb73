/**
 * Who decides whether a tunnel is up: BFD where it knows its peer, else the keepalive.
 *
 * The keepalive asks the peer's machine, BFD its gateway; where both watch a tunnel BFD has the word from its first "up" on, and
 * keeps it. Before that (a peer without BFD, or one that is starting) and without BFD the keepalive's holds.
 */
import type { TunnelPort } from "../control/inventory.ts";
import type { Verdict } from "./bfd/session.ts";
import type { ProbedTopology } from "./prober.ts";

/** What the topology does about it. */
export interface JudgedTopology {
  setTunnelUp(tunnel: TunnelPort, up: boolean): void;
  drainTunnel(tunnel: TunnelPort): void;
}

interface Said {
  keepalive: boolean;
  bfd: Verdict;
}

export class TunnelJudge {
  private readonly topology: JudgedTopology;
  private readonly said = new WeakMap<TunnelPort, Said>();

  constructor(topology: JudgedTopology) {
    this.topology = topology;
  }

  /** `topology` for the prober: its word on a tunnel is heard here. */
  probed(topology: ProbedTopology): ProbedTopology {
    return {
      get config() {
        return topology.config;
      },
      setTunnelUp: (tunnel, up) => this.keepalive(tunnel, up),
      setPathMtu: (tunnel, mtu) => topology.setPathMtu(tunnel, mtu),
    };
  }

  keepalive(tunnel: TunnelPort, up: boolean): void {
    this.saidOf(tunnel).keepalive = up;
    this.apply(tunnel);
  }

  /** `unknown`: BFD does not watch it, or has not met the peer yet. */
  bfd(tunnel: TunnelPort, verdict: Verdict): void {
    this.saidOf(tunnel).bfd = verdict;
    this.apply(tunnel);
  }

  private saidOf(tunnel: TunnelPort): Said {
    const said = this.said.get(tunnel) ?? { keepalive: true, bfd: "unknown" };
    this.said.set(tunnel, said);
    return said;
  }

  private apply(tunnel: TunnelPort): void {
    const { keepalive, bfd } = this.saidOf(tunnel);
    if (bfd === "draining") this.topology.drainTunnel(tunnel);
    else this.topology.setTunnelUp(tunnel, bfd === "unknown" ? keepalive : bfd === "up");
  }
}
