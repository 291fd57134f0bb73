/**
 * The tree of vtepd's commands: what `--help` prints and vtepd(8) is made from. It does nothing; main.ts hangs the deeds on.
 *
 * The tree comes without anything else: a manual page must not load a daemon.
 */
import { Command, type OutputConfiguration } from "commander";

/** Every way to end. */
export const EXIT = { ok: 0, failure: 1, usage: 2, configInvalid: 5, permission: 6 };
const CONFIG = ["-c, --config <file>", "configuration file (YAML)"] as const;

/** The one file that is named, with `-c` or without; ends the command where that is none or two. */
export function fileOf(command: Command): string {
  const { config } = command.opts<{ config?: string }>();
  const [file] = command.args;
  if (config !== undefined && file !== undefined) command.error("error: two configuration files are named");
  if (config === undefined && file === undefined)
    command.error(`error: which configuration file? vtepd ${command.name()} -c FILE`);
  return (config ?? file)!;
}

export interface CommandTree {
  readonly program: Command;
  readonly run: Command;
  readonly check: Command;
  readonly schema: Command;
}

/** `output`: where help and complaints go. */
export function commandTree(output: OutputConfiguration = {}): CommandTree {
  const program = new Command("vtepd")
    .description("a userspace distributed VXLAN IP gateway")
    .exitOverride()
    .configureOutput(output)
    .showHelpAfterError("(vtepd --help tells more)")
    .showSuggestionAfterError()
    .option("-V, --version", "print the version")
    .option("--json", "with --version: as JSON");
  const command = (name: string, says: string) =>
    program.command(name).description(says).exitOverride().showHelpAfterError("(--help tells more)");
  const withFile = (name: string, says: string) =>
    command(name, says)
      .argument("[file]", "the same without -c")
      .option(...CONFIG);
  return {
    program,
    run: withFile("run", "run the gateway in the foreground"),
    check: withFile("check", "check a configuration file; changes nothing"),
    schema: command("schema", "print the JSON Schema of the configuration"),
  };
}
