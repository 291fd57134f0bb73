/** The page of `vtepctl web` for a lab, with walks that the lab makes. */
import { readFileSync } from "node:fs";
import { socketsIn } from "../ctl/fleet.ts";
import { serveWeb } from "../web/serve.ts";
import { folderOf, type LabState } from "./state.ts";
import { labDriver } from "./web-driver.ts";

const LOOPBACK = "127.0.0.1";

/** @returns the address to open. */
export async function serveLab(state: LabState, port = 8080): Promise<string> {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const folder = folderOf(state.name);
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
