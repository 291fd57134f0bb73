/**
 * Control put together: clock, randomness and log are handed in here, and nowhere else.
 *
 * The agent learns, the topology arranges; each is given what it needs of the other, and of the world only functions.
 */
import { randomBytes, randomInt } from "node:crypto";
import type { ShownParts } from "../api/shown.ts";
import { configDiff } from "../config/diff.ts";
import { Agent } from "../control/agent.ts";
import type { Emit } from "../control/event.ts";
import { rationed } from "../control/event-ration.ts";
import { Injector } from "../control/inject.ts";
import { type AcPort, Inventory, type TunnelPort } from "../control/inventory.ts";
import { LoopWatch } from "../control/mac/loops.ts";
import type { Config } from "../control/plan.ts";
import { Bypasses } from "../control/routes/bypass.ts";
import { NextHopStates } from "../control/routes/hop-states.ts";
import { Routes } from "../control/routes/routes.ts";
import { Timers } from "../control/timers.ts";
import { AttachWatch } from "../control/topology/attach-watch.ts";
import type { PortOpener } from "../control/topology/taps.ts";
import { Topology } from "../control/topology/topology.ts";
import { Tracks } from "../control/tracks/tracks.ts";
import { RECORD_OWN } from "../tables/counters.ts";
import type { Tables } from "../tables/tables.ts";

export interface AssemblyRequest {
  readonly tables: Tables;
  readonly config: Config;
  readonly emit: Emit;
  readonly opener: PortOpener;
  /** Rings worker k's doorbell. */
  readonly wake: (worker: number) => void;
  /** The underlay device's MTU. */
  readonly underlayMtu: number;
  /** The path MTU the kernel believes in, from one address to another; not positive: it has no opinion. */
  readonly pathMtu: (local: string, remote: string) => number;
  /** Takes the place of `pathMtu`: our kernel would not send a datagram into this tunnel, too long. */
  readonly onTooBig?: (tunnel: TunnelPort) => void;
  /** Told of each ARP search that ended. */
  readonly onResolved: (ms: number, result: "resolved" | "failed") => void;
  /** Milliseconds of a monotonic clock. */
  readonly nowMs: number;
  /** Where chance comes from; tests give their own. */
  readonly chance?: { readonly seed: number; readonly random: () => number };
}

export interface Control {
  readonly injector: Injector;
  readonly agent: Agent;
  readonly topology: Topology;
  readonly shown: ShownParts;
  readonly timers: Timers;
  readonly tracks: Tracks;
  /** For all that tenants and peers can cause (event-ration.ts). */
  readonly emit: Emit;
}

/** The kernel's randomness (0 ≤ x < 1): who sees our jitter learns nothing, and no host can choose a hash chain. */
const kernelChance = () => ({ seed: randomBytes(4).readInt32LE(), random: () => randomInt(2 ** 47) / 2 ** 47 });

export function assemble(request: AssemblyRequest): Control {
  const { tables, config, opener, wake, underlayMtu, onResolved, nowMs } = request;
  const { seed, random } = request.chance ?? kernelChance();
  const timers = new Timers(nowMs);
  const emit = rationed(request.emit, timers);
  const inventory = new Inventory();
  const injector = new Injector(tables.injects, wake);
  const routes = new Routes(tables, timers, emit, seed);
  const askKernel = (tunnel: TunnelPort) => {
    const mtu = request.pathMtu(config.underlay.address, tunnel.config.remote);
    if (mtu > 0) topology.setPathMtu(tunnel, mtu);
  };
  const onTooBig = request.onTooBig ?? askKernel;
  const { limits, nextHopProbe, node } = config;
  const common = { tables, timers, injector, inventory, routes, emit };
  const agent = new Agent({ ...common, node, random, limits, nextHopProbe, onResolved, onTooBig });
  const tracks = new Tracks({ timers, nextHops: agent.neighbors, pinger: agent.pinger, emit, random });
  const topology: Topology = new Topology({
    tables,
    timers,
    inventory,
    routes,
    learners: agent,
    opener,
    commands: injector,
    emit,
    tracks,
    difference: configDiff,
    isDrained: (worker) => injector.isDrained(worker),
    settings: config,
    underlayMtu,
    seed,
  });
  const { policies, staticRoutes } = topology;
  const { neighbors, resolutions: peers } = agent;
  const bypasses = new Bypasses({ inventory, neighbors, peers, policies, staticRoutes, timers, emit });
  const held = () => neighbors.probes.held();
  const lastPort = (id: number) => neighbors.lastPort(id);
  const hopStates = new NextHopStates({ nextHops: neighbors, held, lastPort, policies, staticRoutes, timers, emit });
  const attachWatch = new AttachWatch({ tables, timers, inventory, topology, commands: injector, emit });
  const limit = (ac: AcPort, perSecond: number | null) => topology.ports.limitFloods(ac, perSecond);
  const { macs } = agent;
  const loops = new LoopWatch({ injector, inventory, timers, emit, macs, random, limit });
  agent.heads.set(RECORD_OWN, (port, bytes) => loops.cameBack(port, bytes));
  return {
    agent,
    topology,
    injector,
    timers,
    tracks,
    emit,
    shown: { tables, inventory, topology, routes, agent, bypasses, hopStates, attachWatch, loops },
  };
}
