/**
 * The tree of vtepd's commands: what `--help` prints and vtepd(8) is made from. It does nothing; main.ts hangs the deeds on.
 *
 * The tree comes without anything else: a manual page must not load a daemon.
 */
import { Command, type OutputConfiguration } from "commander";

/** Every way to end. */
export const EXIT = { ok: 0, failure: 1, usage: 2, configInvalid: 5, permission: 6 };
const CONFIG = ["-c, --config <file>", "configuration file (YAML)"] as const;

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
  return {
    program,
    run: command("run", "run the gateway in the foreground").requiredOption(...CONFIG),
    check: command("check", "check a configuration file; changes nothing").requiredOption(...CONFIG),
    schema: command("schema", "print the JSON Schema of the configuration"),
  };
}
