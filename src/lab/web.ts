/** The page of `vtepctl web` for a lab, with walks that the lab makes. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { socketsIn } from "../ctl/fleet.ts";
import { serveWeb } from "../web/serve.ts";
import { NETWORKS } from "./networks.ts";
import { folderOf, isInRoom, type LabState } from "./state.ts";
import { labDriver } from "./web-driver.ts";

const LOOPBACK = "127.0.0.1";
export const PAGE_PORT = 8080;

/**
 * Where browsers reach an ordinary user's lab. Its room (room.ts) has a network of its own; a socket stays in the network in which
 * it was bound, so the command that was typed binds it outside, and hands it in.
 * Throws an Error that says the fix.
 */
export async function boundOutside(port: number): Promise<Server> {
  const server = createServer();
  try {
    await once(server.listen(port, LOOPBACK), "listening");
  } catch (error) {
    throw fixed(error as NodeJS.ErrnoException, port);
  }
  return server;
}

async function handedIn(): Promise<Server> {
  const [, server] = (await once(process, "message")) as [string, Server];
  process.disconnect();
  return server;
}

function fixed(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code !== "EADDRINUSE") return error;
  return new Error(`port ${port} is taken; --port names another, 0 any free one`);
}

/** @returns the address to open. */
export async function serveLab(state: LabState, port = PAGE_PORT): Promise<string> {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const folder = folderOf(state.name);
  const from = isInRoom && process.connected ? await handedIn() : undefined;
  const all = socketsIn(folder);
  const sockets = () => {
    try {
      return socketsIn(folder);
    } catch {
      // Between two starts of the gateways there is none.
      return all;
    }
  };
  try {
    const listen = { host: LOOPBACK, port, ...(from !== undefined && { from }) };
    // Walks are those of the article's network.
    const driver = NETWORKS[state.mode] !== undefined ? undefined : labDriver(state);
    return (await serveWeb({ sockets, listen, ...(driver !== undefined && { driver }), version })).url;
  } catch (error) {
    throw fixed(error as NodeJS.ErrnoException, port);
  }
}
