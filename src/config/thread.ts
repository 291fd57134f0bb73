/**
 * The thread that reads configuration files, one after the other; reader.ts asks it.
 *
 * Parsing and checking a big file (256 VSIs, 5,000 routes) takes half a second and more; on the main thread ARP would
 * wait for it. A `Config` and a `ConfigError` are plain data, so they cross as copies.
 */
import { parentPort } from "node:worker_threads";
import { loadConfig } from "./load.ts";

parentPort!.on("message", (file: string) => parentPort!.postMessage(loadConfig(file)));
