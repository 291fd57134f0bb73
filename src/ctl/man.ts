/**
 * `vtepctl man [PAGE]`: the manual in roff, made from what the programs themselves know: their trees of commands for
 * vtepctl(1) and vtepd(8), the schema of the configuration for vtepd.yaml(5). A page cannot describe an option that is not there.
 */
import { Argument, type Command } from "commander";
import { EXAMPLES_TITLE, examples } from "./examples.ts";
import { renderConfigPage, type SchemaNode } from "./man-config.ts";
import { b, heading, item, page, text, verbatim } from "./roff.ts";
import { write } from "./terminal.ts";

const EXITS: readonly (readonly [number, string])[] = [
  [0, "all is well"],
  [1, "failure"],
  [2, "the command line is wrong"],
  [3, "the daemon cannot be reached"],
  [4, "there is no such object"],
  [5, "the configuration is not valid; nothing has changed"],
  [6, "a permission, a capability or the addon is missing"],
  [7, "not healthy, or a check failed"],
  [130, "interrupted"],
];

const PAGES = ["vtepctl.1", "vtepd.8", "vtepd.yaml.5"] as const;

/** What vtepd knows about its own command line. */
export interface DaemonCommands {
  commandTree(): { readonly program: Command };
  readonly EXIT: Readonly<Record<string, number>>;
}

export interface ManSources {
  schemaOf(): Promise<SchemaNode>;
  daemonOf(): Promise<DaemonCommands>;
}

export function addMan(program: Command, { schemaOf, daemonOf }: ManSources): void {
  program
    .command("man")
    .description("print a page of the manual as roff: vtepctl.1, vtepd.8, vtepd.yaml.5")
    .addArgument(new Argument("<page>").choices([...PAGES]))
    .addHelpText("after", examples("vtepctl man vtepctl.1 | man -l -", "vtepctl man vtepd.yaml.5 > vtepd.yaml.5"))
    .action(async (name: string) => {
      if (name === "vtepctl.1") return await write(renderClientPage(program));
      if (name === "vtepd.8") return await write(renderDaemonPage(await daemonOf()));
      await write(renderConfigPage(await schemaOf()));
    });
}

export function renderClientPage(program: Command): string {
  const parts = [
    heading("NAME"),
    text(`vtepctl - ${program.description()}`),
    heading("SYNOPSIS"),
    `${b("vtepctl")} [${b("-s")} SOCKET] [${b("-o")} table|json|yaml] VERB ...\n`,
    heading("OPTIONS"),
    text("They may stand before or behind the verb."),
    ...options(program),
    heading("VERBS"),
    ...verbs(program, "vtepctl"),
    heading("EXIT STATUS"),
    ...EXITS.map(([code, meaning]) => item(String(code), meaning)),
    heading("ENVIRONMENT"),
    item("VTEPD_SOCKET", "the control socket, where -s does not name one"),
    item("NO_COLOR", "no colour, unless --color asks for it"),
    heading("SEE ALSO"),
    text("vtepd(8), vtepd.yaml(5)"),
  ];
  return page("VTEPCTL", 1, parts);
}

const options = (program: Command) => program.options.map(({ flags, description }) => item(flags, description));

/** Every verb that does something, in the order of `--help`. */
function verbs(command: Command, path: string): string[] {
  const shown = command.createHelp().visibleCommands(command);
  return shown.flatMap((child) => {
    if (child.name() === "help") return [];
    const name = `${path} ${child.name()}`;
    const deeper = verbs(child, name);
    if (child.commands.length > 0) return deeper;
    const help = child.createHelp();
    const usage = help.visibleArguments(child).map((argument) => help.argumentTerm(argument));
    const lines = [`.SS ${name} ${usage.join(" ")}\n`, text(child.description())];
    for (const argument of help.visibleArguments(child))
      if (argument.description) lines.push(item(argument.name(), help.argumentDescription(argument)));
    for (const option of help.visibleOptions(child))
      if (option.long !== "--help") lines.push(item(option.flags, help.optionDescription(option)));
    return [...lines, ...exampleOf(child)];
  });
}

/** The examples of its `--help`. */
function exampleOf(command: Command): string[] {
  let said = "";
  const keep = (part: string) => {
    said += part;
  };
  command.configureOutput({ writeOut: keep }).outputHelp();
  const at = said.indexOf(EXAMPLES_TITLE);
  return at < 0 ? [] : [verbatim(said.slice(at + EXAMPLES_TITLE.length).trim())];
}

function renderDaemonPage({ commandTree, EXIT }: DaemonCommands): string {
  const { program } = commandTree();
  return page("VTEPD", 8, [
    heading("NAME"),
    text(`vtepd - ${program.description()}`),
    heading("SYNOPSIS"),
    `${synopsis(program).join("\n.br\n")}\n`,
    heading("DESCRIPTION"),
    text(
      "vtepd bridges and routes between virtual machines and VXLAN tunnels, in worker threads over TAP devices and UDP.",
    ),
    heading("OPTIONS"),
    ...options(program),
    heading("COMMANDS"),
    ...verbs(program, program.name()),
    heading("SIGNALS"),
    item("SIGHUP", "load the whole file again and apply the difference, or refuse it and keep what runs"),
    item("SIGTERM, SIGINT", "end in order, within two seconds"),
    item("SIGUSR2", "write the state to the log"),
    heading("EXIT STATUS"),
    ...EXITS.filter(([code]) => Object.values(EXIT).includes(code)).map(([code, meaning]) =>
      item(String(code), meaning),
    ),
    heading("ENVIRONMENT"),
    item("NOTIFY_SOCKET, WATCHDOG_USEC", "the service manager's, see sd_notify(3)"),
    heading("SEE ALSO"),
    text("vtepctl(1), vtepd.yaml(5)"),
  ]);
}

/** A line for each command with what it cannot do without, and one for the options that need no command. */
function synopsis(program: Command): string[] {
  const commands = program.commands.map((command) => {
    // Its one argument may be named by an option as well.
    const words = command.options.flatMap(({ short, long, flags }) => {
      const value = /<(.+)>/.exec(flags)?.[1];
      return value === undefined ? [] : [` [${b(short ?? long!)}] ${value.toUpperCase()}`];
    });
    return `${b(`${program.name()} ${command.name()}`)}${words.join("")}`;
  });
  return [...commands, [b(program.name()), ...program.options.map(({ long }) => `[${b(long!)}]`)].join(" ")];
}
