/**
 * A real vtepd on loopback, without TAPs and so without rights: its file, its socket, its log. Runs what the build made.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "../../src/lab/deadline.ts";

const VTEPD = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const ADDON = fileURLToPath(new URL("../../native-bindings/build/Release/vtepd.node", import.meta.url));

/** Why no daemon can run here; undefined when it can. */
export const whyNoDaemon = existsSync(VTEPD) && existsSync(ADDON) ? undefined : "not built (npm run build)";

export interface DaemonBed {
  readonly folder: string;
  readonly file: string;
  readonly socket: string;
  /** A good file; `more` is added to it. */
  config(more?: string): string;
  write(text: string): void;
  /** Resolves when it is ready. `behind`: a command that becomes it (taskset, setpriv). */
  start(env?: NodeJS.ProcessEnv, behind?: readonly string[]): Promise<ChildProcess>;
  log(): Record<string, unknown>[];
  remove(): void;
}

/** Its exit code, once it is gone and all that it wrote has been read: at "exit", the last lines may still be in the pipe. */
export async function ended(child: ChildProcess): Promise<number | null> {
  const isDrained = () => child.stderr === null || child.stderr.readableEnded;
  await until(`the end of ${child.pid}`, 60_000, () => (child.exitCode ?? child.signalCode) !== null && isDrained());
  return child.exitCode;
}

/** @param shift tells the ports of beds apart that live at the same time. */
export function makeDaemonBed(shift: number): DaemonBed {
  const folder = mkdtempSync(join(tmpdir(), "vtepd-bed-"));
  const file = join(folder, "gw1.yaml");
  const socket = join(folder, "gw1.sock");
  const running: ChildProcess[] = [];
  let text = "";
  const port = 20_000 + ((process.pid + shift * 997) % 20_000);
  const sourcePort = 50_000 + ((process.pid + shift * 997) % 15_000);
  const log = () =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    folder,
    file,
    socket,
    config: (more = "") => `node: gw1
underlay: {address: 127.0.0.1, port: ${port}, mtu: 1500, sourcePorts: {first: ${sourcePort}, count: 2}}
tunnels: [{name: gw2, remote: 127.0.0.2}]
control: {socket: ${socket}}
log: {level: info, format: json}
${more}`,
    write: (content) => writeFileSync(file, content, { mode: 0o600 }),
    async start(env = {}, behind = []) {
      text = "";
      const [command, ...args] = [...behind, process.execPath, VTEPD, "run", "-c", file];
      const child = spawn(command!, args, {
        stdio: ["ignore", "ignore", "pipe"],
        env: { ...process.env, ...env },
      });
      running.push(child);
      child.stderr!.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      const isReady = () => text.includes('"daemon.ready"');
      await until("the daemon to be ready", 20_000, () => isReady() || child.exitCode !== null);
      if (!isReady()) throw new Error(`the daemon ended with ${child.exitCode}: ${text}`);
      return child;
    },
    log,
    remove() {
      for (const child of running) child.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    },
  };
}
