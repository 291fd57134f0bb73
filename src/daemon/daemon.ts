/**
 * The daemon: config -> tables -> workers -> control -> API, and the same backwards.
 *
 * Order of the start: whatever the world can refuse (addon, addresses, sockets, TAPs) is asked first, so that a refusal is
 * one clear message and leaves nothing behind; then the threads get their work, then the listeners are opened, VMs' first,
 * and only then "ready". The order of the end: not ready, listeners closed, workers stopped (they finish their batch),
 * files closed by the kernel.
 *
 * SIGHUP loads the whole file again and applies the difference, or refuses it and keeps what runs. SIGUSR2 writes the state
 * to the log. A mistake of ours (an exception in a worker or in control) stops the process with its stack: a supervisor
 * starts a clean one, and the hosts notice little, for nothing of the forwarding state is precious.
 */
import { randomBytes } from "node:crypto";
import type { Worker } from "node:worker_threads";
import { EventFeed, overheard } from "../api/event-feed.ts";
import type { Feature } from "../api/feature.ts";
import { ListenError, type Listener } from "../api/listener.ts";
import { Shown } from "../api/shown.ts";
import { AttachServer } from "../attach/server.ts";
import type { Config } from "../control/plan.ts";
import { lastDropsOf } from "../insight/last-drops.ts";
import { IoError } from "../io/addon.ts";
import { pathMtu } from "../io/underlay.ts";
import { createDrain, createProber } from "../liveness/assemble.ts";
import { createBfd } from "../liveness/bfd/assemble.ts";
import { sessionOf } from "../liveness/bfd/view.ts";
import type { BfdWatch } from "../liveness/bfd/watch.ts";
import type { Drain } from "../liveness/drain.ts";
import { TunnelJudge } from "../liveness/judge.ts";
import type { Prober } from "../liveness/prober.ts";
import { DropWatch } from "../log/drop-bursts.ts";
import type { Log } from "../log/log.ts";
import { Tally } from "../metrics/histogram.ts";
import { Scheduling } from "../scheduling/scheduling.ts";
import { createTables, type Tables } from "../tables/tables.ts";
import { assemble, type Control } from "./assemble.ts";
import { ControlLoop, type Rounds } from "./control-loop.ts";
import type { EvpnMember } from "./evpn.ts";
import { type LeaseFile, leaseFileOf } from "./lease-file.ts";
import { crash, endProcess } from "./process-end.ts";
import { Reloader } from "./reload.ts";
import { StateDump } from "./state-dump.ts";
import { Standing } from "./status.ts";
import { ServiceManager } from "./systemd.ts";
import { TapOpener } from "./tap-opener.ts";
import { TapWatch } from "./tap-watch.ts";
import { UnderlayWatch } from "./underlay-watch.ts";
import { LOOK_MS, LOST_MS, WorkerWatch } from "./worker-watch.ts";
import { Workers } from "./workers.ts";

/** The world refused: the operator's business. `isPermission`: a right, a capability or the addon is missing. */
export class StartError extends Error {
  readonly isPermission: boolean;
  constructor(message: string, isPermission = false) {
    super(message);
    this.name = "StartError";
    this.isPermission = isPermission;
  }
}

export interface DaemonRequest {
  readonly file: string;
  readonly config: Config;
  readonly log: Log;
  readonly version: string;
  /** The first forwarding thread, under way since before the configuration was read. */
  readonly thread: Worker;
}

const STOP_WITHIN_MS = 1800;
const WATCH_MS = 1000;
/** ARP answers in milliseconds, or after a second's patience, or not. */
const RESOLUTION_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5];

export class Daemon {
  private readonly file: string;
  private readonly first: Config;
  private readonly log: Log;
  private readonly version: string;
  private readonly thread: Worker;
  private readonly startedMs = performance.now();
  private readonly listeners: Listener[] = [];
  private readonly boot = { id: randomBytes(8).toString("hex"), startedAt: new Date().toISOString() };
  private readonly feed = new EventFeed(() => Date.now(), this.boot.id);
  private readonly phase = new Set(["starting"]);
  private readonly resolutions = new Tally("result", ["resolved", "failed"], RESOLUTION_SECONDS);
  private stopping = false;
  private finish: (code: number) => void = () => undefined;
  /** The exit code, when all is over. */
  readonly ended: Promise<number>;
  // Set by `start`, in this order.
  private tables!: Tables;
  private workers!: Workers;
  private scheduling!: Scheduling;
  private underlay!: UnderlayWatch;
  private workerWatch!: WorkerWatch;
  private control!: Control;
  private leases!: LeaseFile;
  private loop!: ControlLoop;
  private prober!: Prober;
  private bfd!: BfdWatch;
  private drain: Drain | null = null;
  private shown!: Shown;
  private standing!: Standing;
  private dump!: StateDump;
  private reloader!: Reloader;
  private manager!: ServiceManager;
  /** None until frames are forwarded. */
  private features: readonly Feature[] = [];
  /** Where VMs hand their TAPs over; null: nowhere. */
  private attach: AttachServer | null = null;
  /** Null while the configuration has had no `evpn` yet. */
  private evpn: EvpnMember | null = null;

  constructor({ file, config, log, version, thread }: DaemonRequest) {
    this.file = file;
    this.first = config;
    this.log = overheard(log, this.feed);
    this.version = version;
    this.thread = thread;
    this.ended = new Promise((resolve) => {
      this.finish = resolve;
    });
  }

  /** Resolves when ready. Throws StartError. */
  async start(): Promise<void> {
    this.handleSignals();
    try {
      await this.startAll();
    } catch (error) {
      if (error instanceof IoError) throw startErrorOf(error);
      if (error instanceof ListenError) throw new StartError(error.message);
      throw error;
    }
  }

  private async startAll(): Promise<void> {
    const config = this.first;
    const { macs, neighbors, routes, neighbors6, routes6 } = config.limits;
    const sizes = { workers: config.workers.count, macs, neighbors, routes, neighbors6, routes6 };
    const { buffer, tables } = createTables(sizes);
    this.tables = tables;
    this.workers = new Workers(tables, this.thread);
    this.workers.open(config);
    this.scheduling = new Scheduling({
      config: config.workers,
      threads: () => this.workers.threadsGiven,
      emit: this.log.emit,
      nowMs: () => performance.now(),
    });
    this.underlay = new UnderlayWatch(config.underlay.address, this.log.emit, (mtu) => this.onUnderlayMtu(mtu));
    const device = this.underlay.state;
    const opener = new TapOpener(config.workers.count, this.log.emit);
    this.control = assemble({
      tables,
      config,
      opener,
      emit: this.log.emit,
      wake: (worker) => this.workers.wake(worker),
      underlayMtu: device.mtu,
      pathMtu,
      onTooBig: (tunnel) => this.prober.tooBig(tunnel),
      onResolved: (ms, result) => this.resolutions.observe(result, ms / 1000),
      nowMs: performance.now(),
    });
    const applied = this.control.topology.apply(config);
    if (!applied.ok) throw new StartError(applied.reason, opener.lacksPermission);
    this.leases = leaseFileOf(this.control, config, this.log.emit);
    this.leases.restore();
    await this.startWorkers(buffer);
    this.workerWatch = new WorkerWatch(tables.heartbeat, this.log.emit, performance.now());
    this.manager = new ServiceManager(process.env, () => this.workerWatch.stuck().length === 0);
    this.reloader = new Reloader(
      {
        file: this.file,
        topology: this.control.topology,
        log: this.log,
        onApplied: (next) => this.onApplied(next),
        onBegin: () => this.manager.reloading(),
        onEnd: ({ valid }) => this.manager.reloaded(valid),
      },
      config,
    );
    const { shown } = this.control;
    const deviceMtu = () => this.underlay.state.mtu;
    const kick = () => this.loop.kick();
    const { emit } = this.log;
    const judge = new TunnelJudge(shown.topology);
    this.prober = createProber({ ...shown, topology: judge.probed(shown.topology), emit, deviceMtu, kick });
    this.bfd = createBfd({ ...shown, judge, emit, kick });
    const { tracks } = this.control;
    tracks.askUnderlay = (address, waitMs, done) => this.prober.ask(address, waitMs, done);
    const fabric = () => this.evpn?.refresh();
    tracks.onChange(fabric);
    const tellPeers = (isDraining: boolean) => void [this.bfd.drain(isDraining), fabric()];
    const attracts = () => this.evpn?.attracts ?? false;
    this.drain = createDrain({ ...shown, tracks, emit, tellPeers, attracts });
    this.loop = new ControlLoop(this.rounds(), tables.doorbell, () => performance.now());
    this.loop.run().catch((error) => crash(this.log, error));
    this.shown = new Shown(shown, this.prober, { view: (tunnel) => sessionOf(this.bfd, tunnel) });
    this.standing = this.stand();
    this.dump = new StateDump({ log: this.log, shown: this.shown, status: () => this.standing.status() });
    this.watch(opener);
    this.watchWorkers();
    // VMs whose gateway was away wait for this one; who asks with HTTP can wait for its packages to be loaded.
    if (config.attach !== null) await this.listenAttach(config.attach.socket);
    await this.joinFabric();
    await this.serve();
    this.phase.delete("starting");
    const { address, port } = config.underlay;
    this.log.line("info", "daemon.ready", {
      version: this.version,
      underlay: `${address} port ${port}`,
      device: device.device,
      mtu: device.mtu,
      control: config.control.socket,
      metrics: config.metrics === null ? null : this.listeners[1]!.at,
      observe: config.control.observe?.socket ?? null,
    });
    this.manager.ready(`node ${config.node} forwards`);
    this.tellBuffers();
  }

  private async startWorkers(buffer: SharedArrayBuffer): Promise<void> {
    const { first, log, workers, scheduling } = this;
    scheduling.begin();
    const scheduleOf = (worker: number) => scheduling.requestOf(worker);
    await workers.start(first, buffer, this.innerMtu(first), scheduleOf, (error) => crash(log, error));
  }

  /** The agent's rounds, and in each of them the service manager's watchdog. */
  private rounds(): Rounds {
    const { agent } = this.control;
    const { manager } = this;
    const poll = (nowMs: number) => {
      manager.turn(nowMs);
      this.evpn?.turn();
      const due = agent.poll(nowMs);
      const ping = manager.dueMs;
      return due === null || ping === null ? (due ?? ping) : Math.min(due, ping);
    };
    return { poll, more: () => agent.more() || this.evpn?.more() === true };
  }

  /** Once a second: what changed around us, and what is dropped in bursts. */
  private watch(opener: TapOpener): void {
    const { topology, shown } = this.control;
    const { emit } = this.log;
    const { inventory } = shown;
    const taps = new TapWatch({ opener, topology, inventory, emit });
    const lastDrops = lastDropsOf(shown);
    const drops = new DropWatch(this.tables.counters, emit, (reason) => lastDrops.placeOf(reason));
    const timer = setInterval(() => {
      if (this.stopping) return clearInterval(timer);
      taps.checkTaps();
      this.underlay.checkDevice();
      for (const feature of this.features) feature.everySecond?.();
      drops.compare(performance.now());
      this.loop.kick();
    }, WATCH_MS);
  }

  private onUnderlayMtu(mtu: number): void {
    const { topology } = this.control;
    topology.setUnderlayMtu(mtu);
    this.attach?.refresh();
    this.workers.setInnerMtu(this.innerMtu(topology.config));
  }

  /** The largest inner IP packet the underlay carries. */
  private innerMtu({ underlay }: Config): number {
    return (underlay.mtu === "auto" ? this.underlay.state.mtu : underlay.mtu) - underlay.overhead;
  }

  /** A thread that forwards nothing is seen; one that stays away ends the process, and a supervisor starts a clean one. */
  private watchWorkers(): void {
    const timer = setInterval(() => {
      if (this.stopping) return clearInterval(timer);
      const lost = this.workerWatch.checkHeartbeats(performance.now());
      if (lost < 0) return;
      clearInterval(timer);
      crash(this.log, new Error(`worker ${lost} made no progress for ${LOST_MS / 1000} s`));
    }, LOOK_MS);
  }

  private stand(): Standing {
    const { version, file, first, control, shown, prober, reloader, workerWatch, startedMs, boot } = this;
    const underlay = () => this.underlay.state;
    const parts = { version, file, first, control, shown, prober, reloader, workerWatch, startedMs, boot };
    const further = () => this.features.flatMap((feature) => feature.conditions?.() ?? []);
    return new Standing({ ...parts, phases: this.phase, underlay, further });
  }

  /** A burst is lost in a small receive buffer, without a word of why. */
  private tellBuffers(): void {
    const granted = Math.min(...this.workers.receiveBuffers);
    if (granted >= 1 << 20) return;
    const fix = "raise net.core.rmem_max, or give CAP_NET_ADMIN";
    this.log.line("warn", "underlay.buffer", { bytes: granted, fix });
  }

  /** What serves people is loaded here: frames are forwarded already. */
  private async serve(): Promise<void> {
    const { openManagement } = await import("./management.ts");
    const { version, control, shown, standing, workers, workerWatch, scheduling, prober, bfd, reloader, resolutions } =
      this;
    const counting = { version, control, shown, standing, workers, workerWatch, scheduling, prober, bfd, resolutions };
    const known = { ...counting, reloader, leases: this.leases, drain: this.drain!, feed: this.feed, log: this.log };
    const { listeners, features } = await openManagement({
      ...known,
      evpn: () => this.evpn,
      kick: () => this.loop.kick(),
    });
    this.listeners.push(...listeners);
    this.features = features;
  }

  private async listenAttach(path: string): Promise<void> {
    const { topology, shown } = this.control;
    this.attach = new AttachServer({
      gateway: this.first.node,
      topology,
      log: this.log,
      kick: () => this.loop.kick(),
      find(name) {
        const port = shown.inventory.ac(name);
        if (port === undefined) return undefined;
        return { vsi: port.vsi.name, handover: port.config.handover, mtu: port.mtu };
      },
    });
    await this.attach.listen(path);
  }

  // ---- signals -------------------------------------------------------------------------------------------------

  private handleSignals(): void {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void this.stop(signal));
    process.on("SIGHUP", () => {
      if (!this.phase.has("starting")) this.reloader.reload().catch((error) => crash(this.log, error));
    });
    process.on("SIGUSR2", () => {
      if (!this.phase.has("starting")) void this.dump.write();
    });
  }

  /** Nothing of EVPN is loaded where the configuration has none. */
  private async joinFabric(): Promise<void> {
    if (this.control.topology.config.evpn !== null && this.evpn === null) {
      const { EvpnMember } = await import("./evpn.ts");
      // One that joins later forwards already: its readiness is not awaited again.
      const isStart = this.phase.has("starting");
      this.evpn ??= new EvpnMember({ control: this.control, kick: () => this.loop.kick(), isStart });
    }
    if (!this.stopping) this.evpn?.apply(this.control.topology.config);
  }

  /** A reload is in force. */
  private onApplied(config: Config): void {
    this.loop.kick();
    this.log.setLevel(config.log.level);
    this.control.agent.setLimits(config.limits);
    this.control.agent.neighbors.probes.setConfig(config.nextHopProbe);
    this.attach?.refresh();
    this.workers.setInnerMtu(this.innerMtu(config));
    for (const feature of this.features) feature.applied?.(config);
    this.joinFabric().catch((error) => crash(this.log, error));
  }

  private async stop(signal: string): Promise<void> {
    // A second signal ends the wait for peers.
    if (this.stopping) return this.drain?.hurry();
    this.stopping = true;
    this.phase.add("stopping");
    this.log.line("info", "daemon.stopping", { signal });
    if (!this.phase.has("starting")) await this.drain?.leave();
    for (const listener of this.listeners) listener.close();
    this.attach?.close();
    // The start may be anywhere: nothing it has made outlives the process.
    if (this.phase.has("starting")) await endProcess(this.log, 0);
    this.manager.stopping();
    const late = setTimeout(() => crash(this.log, new Error("the workers did not stop in time")), STOP_WITHIN_MS);
    this.reloader.stop();
    const closed = this.features.map((feature) => feature.close?.());
    this.loop.stop();
    await this.workers.stop();
    clearTimeout(late);
    await Promise.all(closed);
    this.workers.close();
    this.log.line("info", "daemon.stopped", { uptimeSeconds: Math.floor((performance.now() - this.startedMs) / 1000) });
    this.finish(0);
  }
}

const PERMISSION = new Set(["EPERM", "EACCES", "ERR_ADDON"]);

function startErrorOf(error: IoError): StartError {
  return new StartError(error.message, PERMISSION.has(error.code));
}
