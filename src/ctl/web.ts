/**
 * `vtepctl web`: the fabric in a browser. The server is a process of its own (web/main.js), with this user's rights.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { type Command, InvalidArgumentError } from "commander";
import { DEFAULT_SOCKET, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { socketsIn } from "./fleet.ts";
import type { Session } from "./output.ts";

/** The built program, from wherever this file runs: dist, or src in a test. */
const SERVER = fileURLToPath(new URL("../../dist/web/main.js", import.meta.url));
const LOOPBACK = "127.0.0.1";

interface Options {
  readonly dir?: string;
  readonly port: number;
  readonly listen: string;
  readonly public?: string;
  readonly lesson?: string;
  readonly yesOnTheNetwork?: boolean;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError("a port is a number up to 65535");
  return port;
}

export function addWeb(program: Command, session: Session): void {
  program
    .command("web")
    .description("serve a page that shows the fabric, walks, traces, tables and events; read-only")
    .option("--dir <folder>", "all control sockets of a folder, also those that come later")
    .option("--port <number>", "port to listen on; 0: any free one", portOf, 8080)
    .option("--listen <address>", "address to listen on", LOOPBACK)
    .option("--yes-on-the-network", "listen on another address than loopback: all who reach it see the page's files")
    .option("--public <host:port>", "name under which browsers reach it, where a container or a proxy is between")
    .option("--lesson <file>", "lines to copy, as JSON: how a ping is made here, and what can be broken and mended")
    .addHelpText(
      "after",
      examples(
        "vtepctl web",
        "vtepctl web --dir /run/vtepd-lab/lab",
        "vtepctl -s /run/vtepd/gw1.sock -s /run/vtepd/gw2.sock web --port 0",
      ),
    )
    .action((options: Options) => serve(session, options));
}

async function serve({ sockets }: Session, options: Options): Promise<void> {
  const { dir, port, listen, yesOnTheNetwork, lesson } = options;
  if (!/^(127\.\d+\.\d+\.\d+|::1)$/.test(listen) && yesOnTheNetwork !== true) {
    const message = `${listen} is no loopback address`;
    const hint =
      "all who reach the port and know the token see captures; ssh -L 8080:127.0.0.1:8080 is the right way, --yes-on-the-network the other";
    throw new Refusal("usage", message, hint, EXIT.usage);
  }
  const folder = dir ?? (isDefault(sockets) ? "/run/vtepd" : null);
  // A folder without a socket is said now, not by an empty page.
  if (folder !== null) socketsIn(folder);
  const named = folder !== null && isDefault(sockets) ? [] : sockets;
  const asked = { sockets: named, folder, host: listen, port, publicHost: options.public ?? null };
  const child = spawn(process.execPath, [SERVER, JSON.stringify({ ...asked, lesson: lesson ?? null })], {
    // The last one tells the server when we are gone, however we went.
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  const status = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
  });
  // The child has said why on stderr.
  if (status !== 0 && status < 128) throw new Refusal("failure", "", "", status);
}

const isDefault = (sockets: readonly string[]): boolean => sockets.length === 1 && sockets[0] === DEFAULT_SOCKET;
