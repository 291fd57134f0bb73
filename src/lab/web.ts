/** The page of `vtepctl web` for a lab, with walks that the lab makes. */
import { readFileSync } from "node:fs";
import { socketsIn } from "../ctl/fleet.ts";
import { serveWeb } from "../web/serve.ts";
import { folderOf, isInRoom, LABS, type LabState } from "./state.ts";
import { labDriver } from "./web-driver.ts";

const LOOPBACK = "127.0.0.1";
/** Where an ordinary user's labs are (room.ts). */
const ROOM = /^\/tmp\/vtepd-lab-/;

/** @returns the address to open. */
export async function serveLab(state: LabState, port = 8080): Promise<string> {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const folder = folderOf(state.name);
  if (isInRoom && process.getuid?.() === 0 && ROOM.test(LABS)) {
    const instead = `vtepctl web --dir ${folder}, in another terminal, shows it all but for judged walks`;
    throw new Error(`an ordinary user's lab has a network of its own, which no browser reaches; ${instead}`);
  }
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
    return (await serveWeb({ sockets, listen: { host: LOOPBACK, port }, driver: labDriver(state), version })).url;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new Error(`port ${port} is taken; --port names another, 0 any free one`);
  }
}
