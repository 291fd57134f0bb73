/**
 * The thread that reads a configuration file: it lives for one file.
 *
 * Parsing and checking a big file (256 VSIs, 5,000 routes) takes half a second and more; on the main thread ARP would
 * wait for it. A `Config` and a `ConfigError` are plain data, so they cross as copies.
 */
import { parentPort, workerData } from "node:worker_threads";
import { loadConfig } from "./load.ts";

parentPort!.postMessage(loadConfig(workerData as string));
