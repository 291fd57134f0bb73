/**
 * The forwarding threads: each with its doorbell and its underlay sockets, given their work together and stopped together.
 *
 * A worker owns its file descriptors while it lives (they are numbers of the process, used by one thread); they are opened
 * here, before the threads have any work, so that an address in use is a clear error and not a dead thread, and closed here,
 * after they have ended. A worker that ends by itself is our mistake: `onFailure` is told, and the process stops.
 */
import { setFlagsFromString } from "node:v8";
import type { Worker } from "node:worker_threads";
import type { Features as Offloads } from "../api/schema.ts";
import type { Config } from "../control/plan.ts";
import { NOTE_FALLBACKS, NOTE_INNER_MTU, NOTE_WORDS, type WorkerData, type WorkerNote } from "../dataplane/worker.ts";
import { closeFd, FALLBACK_CAUSES, type Features, openDoorbell, ring } from "../io/native.ts";
import { type Probed, probeKernel } from "../io/probe.ts";
import { localPorts } from "../io/socket-port.ts";
import type { ThreadOutcome, ThreadRequest } from "../io/thread.ts";
import { openUnderlay, socketDrops, type Underlay } from "../io/underlay.ts";
import { SET_STOP, type Tables } from "../tables/tables.ts";
import { forwardingThread } from "./forwarding-thread.ts";

interface Thread {
  readonly thread: Worker;
  readonly ended: Promise<void>;
  readonly running: Promise<Running>;
}

type Running = Extract<WorkerNote, { kind: "running" }>;

/**
 * What V8 is told before the forwarding threads get their work; not earlier, because it holds for the whole process, and
 * main has loaded its packages by then.
 *
 * Its inlining budget is meant for web pages: it stops half way through the life of a frame, which is one long chain of
 * calls. With more of it a frame takes an eighth less time. With *all* that it could use it takes a quarter less, but each
 * compilation half a second, seven functions deep and again after every deoptimisation: the first seconds of traffic
 * ran at a third of the speed.
 *
 * Small functions have a limit of their own (-absolute), which one frame's life exceeds: the last ones of the chain, the
 * checksum step and the flow hash of a routed packet, stayed calls. Without that limit a routed frame takes a tenth less,
 * and the first million frames, compilations included, as long as before within what such measurements spread.
 *
 * And it does not look at what a function does before it has run a while. A burst of one kind of traffic is then compiled
 * as if there were no other, although the others had been there before, and the first ping after it throws that code away:
 * seven functions, interpreted again for as long as traffic is thin. With the factor at 1 it looks after one call and not
 * after eight, and the pings behind a bulk transfer come back in 290 µs in place of 345. (Looking from the very first call,
 * --no-lazy-feedback-allocation, does that too, but one time in four forward() ends up 20 % slower.)
 */
export const V8_FLAGS = [
  "--interrupt-budget-factor-for-feedback-allocation=1",
  "--max-inlined-bytecode-size=3000",
  "--max-inlined-bytecode-size-cumulative=20000",
  "--max-inlined-bytecode-size-absolute=20000",
  "--max-optimized-bytecode-size=300000",
] as const;

export class Workers {
  private readonly tables: Tables;
  private readonly first: Worker;
  private readonly doorbells: number[] = [];
  private readonly underlays: Underlay[] = [];
  private readonly threads: Thread[] = [];
  private readonly notes: Int32Array[] = [];
  private stopping = false;
  /** What each worker's io can do, once it runs. */
  features: readonly Features[] = [];
  /** How the kernel schedules each, once it runs. */
  threadsGiven: readonly ThreadOutcome[] = [];
  /** What the kernel said before they were made. */
  probed!: Probed;

  /** `first`: worker 0's thread, which waits for its work. */
  constructor(tables: Tables, first: Worker) {
    this.tables = tables;
    this.first = first;
  }

  /** Open doorbells and sockets, and ask what they can do. Throws IoError. */
  open(config: Config): void {
    this.probed = probeKernel(config.underlay.offload);
    const { address, port, sourcePorts, checksum, acceptZeroChecksum } = config.underlay;
    const request = {
      address,
      port,
      sourcePorts,
      zeroChecksum: checksum === "zero",
      acceptsZeroChecksum: acceptZeroChecksum,
      isShared: config.workers.count > 1,
    };
    for (let k = 0; k < config.workers.count; k++) {
      this.doorbells.push(openDoorbell());
      const [first] = this.underlays;
      this.underlays.push(openUnderlay(first === undefined ? request : { ...request, beside: first }));
    }
  }

  /** The receive buffers that the kernel granted, bytes. */
  get receiveBuffers(): readonly number[] {
    return this.underlays.map((underlay) => underlay.receiveBuffer);
  }

  /** Outer UDP source ports in the order in which flows choose them; all workers have the same. */
  sourcePorts(): readonly (number | null)[] {
    return localPorts(this.underlays[0]!.txFds);
  }

  /** Datagrams the kernel dropped because the receive buffer was full, by worker. */
  receiveDrops(): readonly number[] {
    return this.underlays.map(({ fd }) => Math.max(0, socketDrops(fd)));
  }

  /** How often an offload was given up, by cause; a second old at most. */
  fallbacks(): ReadonlyMap<string, number> {
    const sum = (i: number) => this.notes.reduce((all, notes) => all + notes[NOTE_FALLBACKS + i]!, 0);
    return new Map(FALLBACK_CAUSES.map((cause, i) => [cause, sum(i)]));
  }

  /** The underlay carries inner IP packets of this size from now on. */
  setInnerMtu(innerMtu: number): void {
    for (const notes of this.notes) Atomics.store(notes, NOTE_INNER_MTU, innerMtu);
  }

  /** Give the threads their work; resolves when all of them turn their loops. */
  async start(
    config: Config,
    buffer: SharedArrayBuffer,
    innerMtu: number,
    scheduleOf: (worker: number) => ThreadRequest,
    onFailure: (error: Error) => void,
  ): Promise<void> {
    for (const flag of V8_FLAGS) setFlagsFromString(flag);
    const { segmentCap, tapRefuses } = this.probed;
    for (let worker = 0; worker < config.workers.count; worker++) {
      const { fd, txFds } = this.underlays[worker]!;
      const io = { underlay: { fd, txFds }, doorbell: this.doorbells[worker]!, innerMtu };
      const notes = new SharedArrayBuffer(NOTE_WORDS * 4);
      this.notes.push(new Int32Array(notes));
      const data: WorkerData = {
        buffer,
        sizes: this.tables.sizes,
        worker,
        io: { ...io, offload: config.underlay.offload, segmentCap, tapRefuses },
        schedule: scheduleOf(worker),
        notes,
      };
      this.threads.push(this.launch(worker === 0 ? this.first : forwardingThread(worker), data, onFailure));
    }
    const running = await Promise.all(this.threads.map((each) => each.running));
    this.features = running.map(({ features }) => features);
    this.threadsGiven = running.map(({ thread }) => thread);
  }

  private launch(thread: Worker, data: WorkerData, onFailure: (error: Error) => void): Thread {
    const running = new Promise<Running>((resolve, reject) => {
      thread.on("message", (note: WorkerNote) => {
        if (note.kind === "running") resolve(note);
      });
      thread.on("error", (error) => {
        reject(error);
        onFailure(error instanceof Error ? error : new Error(String(error)));
      });
      thread.on("exit", (code) => {
        const error = new Error(`worker ${data.worker} ended by itself with code ${code}`);
        reject(error);
        if (!this.stopping) onFailure(error);
      });
    });
    // The caller that waits for it sees the rejection; a worker that dies later has told onFailure.
    running.catch(() => undefined);
    const ended = new Promise<void>((resolve) => thread.on("exit", () => resolve()));
    thread.postMessage(data);
    return { thread, ended, running };
  }

  /** Ring worker k's doorbell. */
  wake(worker: number): void {
    const doorbell = this.doorbells[worker];
    if (doorbell !== undefined) ring(doorbell);
  }

  /** Let every worker finish its batch and end. */
  async stop(): Promise<void> {
    this.stopping = true;
    Atomics.store(this.tables.settings, SET_STOP, 1);
    for (const doorbell of this.doorbells) ring(doorbell);
    await Promise.all(this.threads.map((each) => each.ended));
  }

  /** Close what `open` opened; no thread may run any more. */
  close(): void {
    for (const { fd, txFds } of this.underlays.splice(0)) for (const each of [fd, ...txFds]) closeFd(each);
    for (const doorbell of this.doorbells.splice(0)) closeFd(doorbell);
  }
}

/**
 * What the kernel and the addon give this gateway: wanted and used offloads, how often one was given up, buffers.
 *
 * An offload that is wanted and not in use is no fault: the same work is done in software, and its probe or its fallback
 * says why.
 */
export function offloadsOf(workers: Workers, config: Config): Omit<Offloads, "scheduling" | "memory"> {
  const drops = workers.receiveDrops();
  return {
    offloads: Object.entries(config.underlay.offload).map(([name, wanted]) => ({
      name,
      wanted,
      inUse: workers.features.every(({ offload }) => offload[name as keyof typeof offload]),
    })),
    probes: workers.probed.probes.map((probe) => ({ ...probe })),
    fallbacks: Array.from(workers.fallbacks(), ([cause, count]) => ({ cause, count })),
    workers: workers.receiveBuffers.map((receiveBuffer, worker) => ({
      worker,
      receiveBuffer,
      receiveDrops: drops[worker] ?? 0,
    })),
  };
}
