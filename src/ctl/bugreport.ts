/**
 * `vtepctl bugreport`: what somebody who is not here needs to know, as files in a folder.
 *
 * Everything comes from the API as it is. Nothing secret is in it (the configuration has no passwords), but addresses are:
 * the folder is the caller's alone, and nothing is sent anywhere. What could not be asked is said in its place.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { plural } from "../wire/plural.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { jsonText, printValue, type Session } from "./output.ts";
import { write } from "./terminal.ts";

const PARTS = [
  "status",
  "config",
  "features",
  "drops",
  "vsis",
  "acs",
  "tunnels",
  "interfaces",
  "vrfs",
  "macs",
  "neighbors",
  "routes",
  "policies",
  "tracks",
  "events/recent",
  "doctor",
] as const;

export function addBugreport(program: Command, session: Session): void {
  program
    .command("bugreport")
    .description(
      "write what a bug report needs into a new folder: state, configuration, drops, events, versions; no log",
    )
    .argument("[folder]", "default: vtepd-bugreport-TIME, here")
    .addHelpText(
      "after",
      examples("vtepctl bugreport", "vtepctl bugreport /tmp/report && tar czf report.tar.gz -C /tmp report"),
    )
    .action(async (name?: string) => {
      const folder = resolve(name ?? `vtepd-bugreport-${new Date().toISOString().replace(/[:.]/g, "-")}`);
      // No daemon answers: there is nothing to report about, and no empty folder.
      await ask(session.socket, "/v1/status");
      make(folder);
      const missing: Record<string, string> = {};
      for (const part of PARTS) {
        try {
          save(folder, part, await ask<unknown>(session.socket, `/v1/${part}`));
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          missing[part] = error.message;
        }
      }
      save(folder, "about", {
        written: new Date().toISOString(),
        client: {
          node: process.version,
          kernel: release(),
          arch: arch(),
          cpus: cpus().length,
          memoryBytes: totalmem(),
        },
        missing,
      });
      if (session.output.form !== "table") await printValue(session.output, { folder, missing });
      else await write(`${folder}: ${plural(PARTS.length + 1 - Object.keys(missing).length, "file")}\n`);
    });
}

function make(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    const exit = code === "EACCES" || code === "EROFS" ? EXIT.permission : EXIT.failure;
    throw new Refusal("folder", `cannot make ${folder}: ${message}`, "name a folder that is not there yet", exit);
  }
}

function save(folder: string, part: string, value: unknown): void {
  writeFileSync(join(folder, `${part.replace("/", "-")}.json`), `${jsonText(value)}\n`, { mode: 0o600 });
}
