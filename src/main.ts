#!/usr/bin/env node
/**
 * vtepd: `run`, `check`, `schema`, `--version`.
 *
 * The command line (daemon/command-line.ts) only chooses; what a running daemon is made of stands in daemon/daemon.ts. Data goes to
 * stdout, everything else to stderr, and every way to end has its exit code: 0 ok, 1 failure, 2 usage, 5 configuration
 * invalid, 6 permission, capability or addon missing.
 *
 * Each command loads what it needs and no more: after a crash, every package that is not loaded before the first frame
 * is forwarded is time that hosts wait.
 */
import { readFileSync } from "node:fs";
import { CommanderError } from "commander";
import type { Config } from "./control/plan.ts";
import { guardOutput, say, write } from "./ctl/terminal.ts";
import { commandTree, EXIT, fileOf } from "./daemon/command-line.ts";
import { keepYoungGenerationSmall } from "./io/young-generation.ts";
import { plural } from "./wire/plural.ts";

const version = (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string })
  .version;

/** The configuration of `file`, or null after its errors have been printed. */
async function load(file: string): Promise<Config | null> {
  const { loadConfig } = await import("./config/load.ts");
  const { formatErrors } = await import("./config/error.ts");
  const result = loadConfig(file);
  if ("config" in result) return result.config;
  const count = result.errors.length;
  say(`${formatErrors(result.errors)}\n\n${plural(count, "error")}\n`);
  return null;
}

async function check(file: string): Promise<number> {
  const config = await load(file);
  if (config === null) return EXIT.configInvalid;
  const { node, vsis, interfaces, acs, tunnels, routes, policies } = config;
  const text = [
    plural(vsis.length, "VSI"),
    plural(interfaces.length, "VSI-interface"),
    plural(acs.length, "AC"),
    plural(tunnels.length, "tunnel"),
    plural(routes.length, "route"),
    plural(policies.length, "policy", "policies"),
  ].join(", ");
  await write(`${file}: valid; node ${node}: ${text}\n`);
  return EXIT.ok;
}

/** Runs until a signal; resolves to the exit code. */
async function run(file: string): Promise<number> {
  const { forwardingThread } = await import("./daemon/forwarding-thread.ts");
  const thread = forwardingThread();
  const { createLog } = await import("./log/log.ts");
  // The thread exists by now, and will do so too, but the schema, which is next, is loaded before it comes to its first line.
  keepYoungGenerationSmall();
  const { giveBackFreed } = await import("./io/malloc.ts");
  giveBackFreed();
  const config = await load(file);
  if (config === null) return EXIT.configInvalid;
  const { Daemon, StartError } = await import("./daemon/daemon.ts");
  const log = createLog({ ...config.log, base: { node: config.node, pid: process.pid } });
  const { crash, endProcess } = await import("./daemon/process-end.ts");
  process.on("uncaughtException", (error) => crash(log, error));
  // Node's own listener writes to stderr and waits for its reader.
  process.removeAllListeners("warning");
  process.on("warning", ({ name, message }) => log.line("warn", "node.warning", { name, message }));
  // Without a handler of ours Node would open its inspector to any process that may send the signal.
  process.on("SIGUSR1", () => log.line("info", "signal.ignored", { signal: "SIGUSR1" }));
  try {
    const daemon = new Daemon({ file, config, log, version, thread });
    await daemon.start();
    return await endProcess(log, await daemon.ended);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    log.line("error", "start.failed", { message: error.message });
    return await endProcess(log, error.isPermission ? EXIT.permission : EXIT.failure);
  }
}

/** `--version` ends the reading of the command line. */
class VersionAsked extends Error {}

/** The addon's state in a word, without failing. */
async function addonState(): Promise<{ readonly loaded: boolean; readonly problem: string | null }> {
  const { addon } = await import("./io/addon.ts");
  try {
    addon();
    return { loaded: true, problem: null };
  } catch (error) {
    return { loaded: false, problem: (error as Error).message };
  }
}

async function printVersion(asJson: boolean): Promise<void> {
  if (!asJson) return await write(`vtepd ${version}\n`);
  const about = {
    version,
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    addon: await addonState(),
  };
  await write(`${JSON.stringify(about, null, 2)}\n`);
}

async function main(): Promise<number> {
  let code = EXIT.ok;
  let help = "";
  const tree = commandTree({
    writeOut: (text) => {
      help += text;
    },
    writeErr: say,
  });
  // An action of its own would make every misspelt command an argument of it.
  tree.program.on("option:version", () => {
    throw new VersionAsked();
  });
  tree.run.action(async () => {
    code = await run(fileOf(tree.run));
  });
  tree.check.action(async () => {
    code = await check(fileOf(tree.check));
  });
  tree.schema.action(async () => {
    const { jsonSchema } = await import("./config/json-schema.ts");
    await write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  });
  try {
    await tree.program.parseAsync();
  } catch (error) {
    if (error instanceof VersionAsked) await printVersion(process.argv.includes("--json"));
    else if (!(error instanceof CommanderError)) throw error;
    await write(help);
    if (error instanceof VersionAsked) return EXIT.ok;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  return code;
}

guardOutput();
// Threads and timers may still hold the process; what was to be written has been.
process.exit(await main());
