/**
 * Real gateways in a test: `node dist/main.js run -c FILE` in a namespace of a bed, asked through `vtepctl`.
 *
 *     const gateways = await openGateways("vlan");           // a bed and its daemons
 *     const gw1 = await gateways.start("gw1", { underlay: { address: "192.0.2.1" }, ... });
 *     await gw1.show<Neighbor>("arp");
 *     await gw1.stop();                                      // SIGTERM; { code: 0, ms: 41 }
 *     await gateways.remove();
 *
 * "Started" means ready, as the daemon itself says it on its control socket; a daemon that ends before that is an error
 * that carries its log. After every test of a file that imports this, every daemon that is up is asked for its accounts: each
 * frame has exactly one fate, or the test fails, whatever else it was about; and the logs of a failed test are printed.
 */
import { spawnSync } from "node:child_process";
import { chownSync, existsSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, test } from "vitest";
import { stringify } from "yaml";
import type { Interface, Status } from "../../src/api/schema.ts";
import { until, within } from "../../src/lab/deadline.ts";
import type { Outcome } from "../../src/lab/process.ts";
import { run } from "../../src/lab/process.ts";
import { type Bed, makeBed, whyNoBed } from "./bed.ts";

export const VTEPD = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const VTEPCTL = fileURLToPath(new URL("../../dist/ctl/main.js", import.meta.url));
const ADDON = fileURLToPath(new URL("../../native-bindings/build/Release/vtepd.node", import.meta.url));
const READY_MS = 20_000;
const GONE_MS = 10_000;
/** From an event to its line here. */
const LOGGED_MS = 5000;
const LOG_BYTES = 1 << 20;

/** Why real gateways cannot run here; undefined when they can. `programs`: what the test wants besides. */
export function whyNoGateways(...programs: readonly string[]): string | undefined {
  const reason = whyNoBed();
  if (reason !== undefined) return reason;
  if (!existsSync("/dev/net/tun")) return "/dev/net/tun is missing";
  if (!existsSync(VTEPD) || !existsSync(ADDON)) return "vtepd is not built (npm run build)";
  const absent = ["ip", "ping", ...programs].filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status);
  return absent.length > 0 ? `not installed: ${absent.join(", ")}` : undefined;
}

/** `describe`, or where that cannot run one test in its place that is skipped and says why. */
export function describeReal(missing: string | undefined, name: string, body: () => void): void {
  if (missing === undefined) describe(name, body);
  else test(name, ({ skip }) => skip(missing));
}

/** How a daemon ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** From our signal to the end. */
  readonly ms: number;
}

export interface Gateway {
  readonly node: string;
  readonly pid: number;
  readonly file: string;
  readonly socket: string;
  readonly isUp: () => boolean;
  /** `vtepctl ARGS`. */
  ctl(...args: readonly string[]): Promise<Outcome>;
  /** `vtepctl show WHAT -o json`. */
  show<T>(what: string): Promise<T[]>;
  /** `vtepctl status -o json`. */
  status(): Promise<Status>;
  /** MAC of the VSI-interface of a VSI. */
  macOf(vsi: string): Promise<string>;
  /** What the control socket says to GET: for looking often, since vtepctl costs a process each time. */
  look<T>(path: string): Promise<T>;
  /** Drops so far, by reason; only those that happened. */
  drops(): Promise<Record<string, number>>;
  log(): string;
  /** Wait until the log has it `times` times at least: what the API shows already may still be on its way through the pipe. */
  logged(pattern: RegExp, times?: number): Promise<void>;
  /** Signal it and wait for its end. */
  stop(signal?: NodeJS.Signals): Promise<End>;
  /** The same file again, in a new process. */
  restart(): Promise<Gateway>;
}

/** A configuration file's content; node, control socket and log are put in. */
export type ConfigObject = Readonly<Record<string, unknown>>;

export interface Gateways {
  readonly bed: Bed;
  /**
   * Start a daemon in namespace `node` (which exists) and wait until it is ready. Text is taken as it is. `uid`: as this user,
   * and without any capability.
   */
  start(node: string, config: ConfigObject | string, uid?: number): Promise<Gateway>;
  socket(node: string): string;
  /** Stop all daemons and remove the bed. */
  remove(): Promise<void>;
}

const running = new Set<Gateway>();

afterEach(async ({ task }) => {
  const tell = async () => {
    for (const { node, log, drops } of running) {
      const dropped = JSON.stringify(await drops().catch((error: Error) => error.message));
      const words = log()
        .split("\n")
        .filter((line) => !/"event":"[^"]*\.(added|up|applied)"/.test(line));
      console.log(`--- ${node} dropped ${dropped}; its log:\n${words.join("\n").slice(-3000)}`);
    }
  };
  if (task.result?.state === "fail") return await tell();
  try {
    await Promise.all([...running].map(untilBalanced));
  } catch (error) {
    await tell();
    throw error;
  }
});

export async function openGateways(label: string): Promise<Gateways> {
  const bed = await makeBed(label);
  const socket = (node: string) => join(bed.folder, `${node}.sock`);

  async function start(node: string, config: ConfigObject | string, uid?: number): Promise<Gateway> {
    const file = join(bed.folder, `${node}.yaml`);
    writeFileSync(file, typeof config === "string" ? config : withDefaults(node, config, socket(node)), {
      mode: 0o600,
    });
    if (uid !== undefined) for (const path of [bed.folder, file]) chownSync(path, uid, uid);
    return await launchIn(node, file, uid);
  }

  async function launchIn(node: string, file: string, uid?: number): Promise<Gateway> {
    const none = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"];
    const user = uid === undefined ? [] : ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", ...none];
    const [program, ...args] = [...user, process.execPath, VTEPD, "run", "-c", file];
    const child = bed.follow(node, program!, args);
    let words = "";
    const listen = (chunk: Buffer) => {
      if (words.length < LOG_BYTES) words += chunk.toString();
    };
    child.stdout!.on("data", listen);
    child.stderr!.on("data", listen);
    let end: { code: number | null; signal: NodeJS.Signals | null } | undefined;
    const ended = new Promise<void>((resolve) => {
      child.on("close", (code, signal) => {
        end = { code, signal };
        running.delete(gateway);
        resolve();
      });
    });
    const show = async <T>(what: string) => {
      const outcome = await gateway.ctl("show", what, "-o", "json");
      if (outcome.status !== 0) throw new Error(`vtepctl show ${what} on ${node}: ${outcome.stderr || outcome.stdout}`);
      return JSON.parse(outcome.stdout) as T[];
    };
    const gateway: Gateway = {
      node,
      pid: child.pid!,
      file,
      socket: socket(node),
      isUp: () => end === undefined,
      ctl: (...args) => run(process.execPath, [VTEPCTL, "-s", socket(node), ...args], 10_000),
      show,
      async status() {
        const outcome = await gateway.ctl("status", "-o", "json");
        if (outcome.status !== 0) throw new Error(`vtepctl status on ${node}: ${outcome.stderr || outcome.stdout}`);
        return JSON.parse(outcome.stdout) as Status;
      },
      async macOf(vsi) {
        const found = (await show<Interface>("interface")).find((on) => on.vsis.includes(vsi));
        if (found === undefined) throw new Error(`${node} has no VSI-interface on ${vsi}`);
        return found.mac.toLowerCase();
      },
      async look(path) {
        const answer = await ask<never>(socket(node), path);
        if (answer === undefined) throw new Error(`${node} does not answer on its control socket`);
        return answer;
      },
      async drops() {
        const all = await gateway.look<{ reason: string; count: number }[]>("/v1/drops");
        return Object.fromEntries(all.filter(({ count }) => count > 0).map(({ reason, count }) => [reason, count]));
      },
      log: () => words,
      async logged(pattern, times = 1) {
        const all = new RegExp(pattern, "g");
        const isThere = () => (words.match(all)?.length ?? 0) >= times;
        await until(`${times} × ${pattern} in the log of ${node}`, LOGGED_MS, isThere);
      },
      async stop(signal = "SIGTERM") {
        const startedMs = performance.now();
        if (end === undefined) child.kill(signal);
        await within(`end of ${node} after ${signal}`, GONE_MS, ended);
        return { ...end!, ms: performance.now() - startedMs };
      },
      async restart() {
        if (end === undefined) throw new Error(`${node} still runs`);
        return await launchIn(node, file, uid);
      },
    };
    running.add(gateway);
    await until(
      `${node} to be ready`,
      READY_MS,
      async () => end !== undefined || (await ask<Status>(socket(node), "/v1/status"))?.ready === true,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${words}`);
    });
    if (end !== undefined)
      throw new Error(`${node} ended with ${end.code ?? end.signal} instead of being ready:\n${words}`);
    return gateway;
  }

  return {
    bed,
    start,
    socket,
    async remove() {
      await Promise.allSettled([...running].filter(({ file }) => file.startsWith(bed.folder)).map((one) => one.stop()));
      await bed.remove();
    },
  };
}

function withDefaults(node: string, config: ConfigObject, socket: string): string {
  return stringify({ node, control: { socket }, log: { level: "info", format: "json" }, ...config });
}

/** One GET on the control socket, without a process for it; undefined where there is no answer, or not with 200. */
function ask<T>(socketPath: string, path: string): Promise<T | undefined> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path, timeout: 2000 }, (answer) => {
      let text = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => (text += chunk));
      answer.on("end", () => resolve(answer.statusCode === 200 ? (JSON.parse(text) as T) : undefined));
      answer.on("error", () => resolve(undefined));
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve(undefined));
    asked.end();
  });
}

/** T01: each frame has one fate. A batch may be in work at the moment of the look, so look again for a while. */
async function untilBalanced({ node, socket }: Gateway): Promise<void> {
  let ledger: Status["ledger"] | undefined;
  try {
    await until(`accounts of ${node} to balance`, 3000, async () => {
      ledger = (await ask<Status>(socket, "/v1/status"))?.ledger;
      return ledger?.dataplane.imbalance === 0 && ledger.control.imbalance === 0;
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${JSON.stringify(ledger)}`);
  }
}
