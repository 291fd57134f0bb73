#!/usr/bin/env node
/**
 * vtepd: `run`, `check`, `schema`, `--version`.
 *
 * The command line only chooses; what a running daemon is made of stands in daemon.ts. Data goes to stdout, everything else
 * to stderr, and every way to end has its exit code: 0 ok, 1 failure, 2 usage, 5 configuration invalid, 6 permission,
 * capability or addon missing.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import type { Config } from "./control/plan.ts";
import { Daemon, StartError } from "./daemon.ts";
import { addon } from "./io/addon.ts";
import { loadConfig } from "./manage/config.ts";
import { formatErrors } from "./manage/config-error.ts";
import { jsonSchema } from "./manage/json-schema.ts";
import { createLog } from "./manage/log.ts";

const EXIT = { ok: 0, failure: 1, usage: 2, configInvalid: 5, permission: 6 };
const WHERE_CONFIG = "configuration file (YAML)";

const version = (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string })
  .version;

/** The configuration of `file`, or null after its errors have been printed. */
function load(file: string): Config | null {
  const result = loadConfig(file);
  if ("config" in result) return result.config;
  const count = result.errors.length;
  process.stderr.write(`${formatErrors(result.errors)}\n\n${count} error${count === 1 ? "" : "s"}\n`);
  return null;
}

function check(file: string): number {
  const config = load(file);
  if (config === null) return EXIT.configInvalid;
  const { node, vsis, interfaces, acs, tunnels, routes, policies } = config;
  const counts = [
    [vsis.length, "VSI", "VSIs"],
    [interfaces.length, "VSI-interface", "VSI-interfaces"],
    [acs.length, "AC", "ACs"],
    [tunnels.length, "tunnel", "tunnels"],
    [routes.length, "route", "routes"],
    [policies.length, "policy", "policies"],
  ] as const;
  const text = counts.map(([count, one, many]) => `${count} ${count === 1 ? one : many}`).join(", ");
  process.stdout.write(`${file}: valid; node ${node}: ${text}\n`);
  return EXIT.ok;
}

/** Runs until a signal; resolves to the exit code. */
async function run(file: string): Promise<number> {
  const config = load(file);
  if (config === null) return EXIT.configInvalid;
  const log = createLog({ ...config.log, base: { node: config.node, pid: process.pid } });
  process.on("uncaughtException", (error) => {
    log.line("error", "crash", { message: String(error), stack: error instanceof Error ? (error.stack ?? "") : "" });
    process.exit(EXIT.failure);
  });
  // Without a handler of ours Node would open its inspector to whoever may send the signal.
  process.on("SIGUSR1", () => log.line("info", "signal.ignored", { signal: "SIGUSR1" }));
  try {
    const daemon = new Daemon({ file, config, log, version });
    await daemon.start();
    return await daemon.ended;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    log.line("error", "start.failed", { message: error.message });
    return error.isPermission ? EXIT.permission : EXIT.failure;
  }
}

/** The addon's state in a word, without failing. */
function addonState(): { readonly loaded: boolean; readonly problem: string | null } {
  try {
    addon();
    return { loaded: true, problem: null };
  } catch (error) {
    return { loaded: false, problem: (error as Error).message };
  }
}

function printVersion(asJson: boolean): void {
  if (!asJson) return void process.stdout.write(`vtepd ${version}\n`);
  const about = { version, node: process.version, platform: process.platform, arch: process.arch, addon: addonState() };
  process.stdout.write(`${JSON.stringify(about, null, 2)}\n`);
}

async function main(): Promise<number> {
  let code = EXIT.ok;
  const program = new Command("vtepd")
    .description("a userspace distributed VXLAN IP gateway")
    .exitOverride()
    .showHelpAfterError("(vtepd --help tells more)")
    .option("-V, --version", "print the version")
    .option("--json", "with --version: as JSON")
    .action(({ version: wanted, json }: { version?: boolean; json?: boolean }, command: Command) => {
      if (wanted === true) return printVersion(json === true);
      command.help({ error: true });
    });
  program
    .command("run")
    .description("run the gateway in the foreground")
    .requiredOption("-c, --config <file>", WHERE_CONFIG)
    .action(async ({ config }: { config: string }) => {
      code = await run(config);
    });
  program
    .command("check")
    .description("check a configuration file; changes nothing")
    .requiredOption("-c, --config <file>", WHERE_CONFIG)
    .action(({ config }: { config: string }) => {
      code = check(config);
    });
  program
    .command("schema")
    .description("print the JSON Schema of the configuration")
    .action(() => void process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`));
  for (const command of program.commands) command.exitOverride().showHelpAfterError("(--help tells more)");
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  return code;
}

const code = await main();
// Threads and timers may still hold the process; there is nothing left to wait for but stdout.
process.stdout.write("", () => process.exit(code));
