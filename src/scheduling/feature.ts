/** What scheduling brings to those who ask: counters of each thread, and whether it gets a processor when it has work. */
import type { Feature, Row } from "../api/feature.ts";
import type { Scheduling as View } from "../api/schema.ts";
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import { WINDOW_SECONDS } from "./run-delay.ts";
import type { Scheduling } from "./scheduling.ts";

/** From this part of the time on, waiting for a processor is a fault: at a tenth, milliseconds are added to a round trip. */
const MUCH_DELAY = 0.1;

const WEIGH: Record<View["group"]["kind"], string> = {
  cgroup: "raise the group's weight (systemd CPUWeight=1000, docker cpu_shares: 10240)",
  session: "let vtepd begin a session (setsid vtepd run …) and have CAP_SYS_NICE, or run it in a cgroup with a weight",
  none: "give CAP_SYS_NICE, or run it in a cgroup with a weight (systemd CPUWeight=1000, docker cpu_shares: 10240)",
};
export const scheduled = (scheduling: Scheduling): Feature => ({
  rows: schedulingRows(scheduling),
  checks: [() => [checkPriority(scheduling.view(), scheduling.fix()), checkRunDelay(scheduling.view())]],
  everySecond: () => scheduling.readDelays(),
});

function schedulingRows(scheduling: Scheduling): Row[] {
  return [
    {
      kind: "counter",
      name: "vtep_worker_run_delay_seconds_total",
      help: "Time in which a worker was ready and waited for a processor; absent where the kernel does not count it",
      labels: ["worker"],
      *values() {
        for (const [k, { delaySeconds }] of scheduling.times()) yield [{ worker: String(k) }, delaySeconds];
      },
    },
    {
      kind: "counter",
      name: "vtep_worker_cpu_seconds_total",
      help: "Time in which a worker ran on a processor; absent where the kernel does not count it",
      labels: ["worker"],
      *values() {
        for (const [k, { runSeconds }] of scheduling.times()) yield [{ worker: String(k) }, runSeconds];
      },
    },
  ];
}

/** What was asked of the kernel, and what it gave. */
function checkPriority({ priority, group, threads }: View, fix: string | null): Check {
  const given = threads.map((thread) => `worker ${thread.worker} has ${thread.priority}`).join(", ");
  const refused = threads.flatMap((thread) => thread.refused);
  const more = refused.length === 0 ? "" : `; refused: ${refused.join("; ")}`;
  const text = `asked for ${priority}: ${given}; ${group.text}${more}`;
  return fix === null ? ok("priority", text) : warn("priority", text, fix);
}

const percent = (share: number) => `${Math.round(share * 100)} %`;

/** Did they get a processor when they had work? */
function checkRunDelay({ group, threads }: View): Check {
  const known = threads.flatMap(({ worker, runDelay }) => (runDelay === null ? [] : [{ worker, runDelay }]));
  if (known.length === 0) return ok("run delay", "not counted yet, or not by this kernel");
  const text = known.map(({ worker, runDelay }) => `worker ${worker} ${percent(runDelay)}`).join(", ");
  const said = `of the last ${WINDOW_SECONDS} s, waited for a processor: ${text}`;
  if (known.every(({ runDelay }) => runDelay < MUCH_DELAY)) return ok("run delay", said);
  const fix = `${WEIGH[group.kind]}; or pin the workers to processors that others leave alone (workers.cpus)`;
  return warn("run delay", `${said}: packets wait as long; ${group.text}`, fix);
}
