/**
 * How the forwarding threads are scheduled: what is asked of the kernel, what it gave, and how long they wait for a processor.
 *
 * What is refused changes nothing else: it is said once in the log, in `show features` and by the doctor, which judges by run
 * delay. FIFO is never taken unasked: it costs throughput, and such a thread can keep a processor for itself.
 */
import { getPriority } from "node:os";
import type { Scheduling as View } from "../api/schema.ts";
import type { Emit } from "../control/event.ts";
import type { WorkersConfig } from "../control/plan.ts";
import { errnoText } from "../io/addon.ts";
import type { ThreadOutcome, ThreadRequest } from "../io/thread.ts";
import { cpuGroup, weighSession } from "./group.ts";
import { RunDelays } from "./run-delay.ts";
import { type ThreadState, threadState } from "./thread.ts";

/** What `auto` takes, of threads and of a session. */
const AUTO_NICE = -15;
const RIGHT = "systemd AmbientCapabilities=CAP_SYS_NICE, docker --cap-add SYS_NICE";

export interface SchedulingParts {
  readonly config: WorkersConfig;
  /** What each forwarding thread was given, once it runs. */
  readonly threads: () => readonly ThreadOutcome[];
  readonly emit: Emit;
  readonly nowMs: () => number;
  readonly stateOf?: (tid: number) => ThreadState | null;
}

export class Scheduling {
  private readonly parts: SchedulingParts;
  private readonly delays = new RunDelays();
  private readonly told = new Set<string>();
  private sessionError: string | null = null;

  constructor(parts: SchedulingParts) {
    this.parts = parts;
  }

  /** What worker k asks for when it starts; the session is weighed here, before there is one. */
  begin(): void {
    if (this.parts.config.priority === "auto") this.sessionError = weighSession(AUTO_NICE);
  }

  requestOf(worker: number): ThreadRequest {
    const { priority, cpus } = this.parts.config;
    // The process that started us with a nice value has chosen.
    const auto = getPriority() === 0 ? { nice: AUTO_NICE } : "normal";
    return { priority: priority === "auto" ? auto : priority, cpus: cpus === null ? [] : [cpus[worker]!] };
  }

  view(): View {
    const { config, threads } = this.parts;
    const { kind, text } = cpuGroup();
    const refused = this.sessionError === null ? "" : `; nice ${AUTO_NICE} refused: ${this.sessionError}`;
    return {
      priority: priorityText(config.priority),
      group: { kind, text: text + refused },
      threads: threads().map((thread, worker) => {
        const state = this.stateOf(thread.tid);
        return {
          worker,
          priority: state?.priority ?? "gone",
          cpus: state?.cpus ?? "",
          refused: this.refusals(worker, thread, state),
          runDelay: this.delays.share(worker),
        };
      }),
    };
  }

  private stateOf(tid: number): ThreadState | null {
    return (this.parts.stateOf ?? threadState)(tid);
  }

  /** What was asked for and is not in force, each with its reason. */
  private refusals(worker: number, given: ThreadOutcome, state: ThreadState | null): string[] {
    const { priorityError, cpusError } = given;
    const { priority, cpus } = this.parts.config;
    const asked = priorityText(priority === "auto" ? { nice: AUTO_NICE } : priority);
    const isTakenBack = priorityError === 0 && asked.startsWith("fifo") && state?.priority.startsWith("nice") === true;
    return [
      ...(priorityError === 0 ? [] : [`${asked}: ${errnoText(priorityError)}`]),
      ...(isTakenBack ? [`${asked}: taken back, it ran for a second without waiting once`] : []),
      ...(cpusError === 0 ? [] : [`processor ${cpus?.[worker]}: ${errnoText(cpusError)}`]),
    ];
  }

  /** Once a second. */
  readDelays(): void {
    const { threads, nowMs, emit, config } = this.parts;
    const states = threads().map(({ tid }) => this.stateOf(tid));
    this.delays.add(
      states.map((state) => state?.times?.delaySeconds ?? null),
      nowMs(),
    );
    for (const [worker, thread] of threads().entries())
      for (const refused of this.refusals(worker, thread, states[worker]!)) {
        const key = `${worker} ${refused}`;
        if (this.told.has(key)) continue;
        this.told.add(key);
        const level = config.priority === "auto" && thread.cpusError === 0 ? "info" : "warn";
        emit(level, "worker.priority", { worker, refused, fix: fixOf(thread) });
      }
  }

  /** For how long each thread has run, and has waited for a processor; those whose kernel does not count it are left out. */
  times(): (readonly [worker: number, times: NonNullable<ThreadState["times"]>])[] {
    return this.parts.threads().flatMap(({ tid }, worker) => {
      const times = this.stateOf(tid)?.times ?? null;
      return times === null ? [] : [[worker, times] as const];
    });
  }

  /** What would bring what was refused; null: nothing was that somebody asked for. */
  fix(): string | null {
    const { config, threads } = this.parts;
    const view = this.view();
    const at = view.threads.findIndex(({ refused }) => refused.length > 0);
    // `auto` takes what it is given: whether that is enough is judged by run delay.
    if (at < 0 || (config.priority === "auto" && config.cpus === null)) return null;
    return fixOf(threads()[at]!);
  }
}

function priorityText(priority: WorkersConfig["priority"]): string {
  if (typeof priority === "string") return priority;
  return "nice" in priority ? `nice ${priority.nice}` : `fifo ${priority.fifo}`;
}

function fixOf(thread: ThreadOutcome): string {
  if (thread.priorityError + thread.cpusError === 0)
    return "see why it never waits: too much traffic for one processor, or a fault (vtepctl bugreport); restart to ask again";
  if (thread.cpusError < 0) return "workers.cpus: name processors that this machine has and this process may use";
  return `give CAP_SYS_NICE: ${RIGHT}; or leave workers.priority at auto and weigh the group`;
}
