/**
 * vtepctl: what people type. A client of the API with no other power; it knows neither planes nor tables.
 *
 * The verbs are in the files beside this one. Here are the options all of them share, and the way every failure ends: a
 * sentence and a fix on stderr, and an exit code that scripts can rely on (client.ts).
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError, Option } from "commander";
import { addAttach } from "./attach.ts";
import { addBfd } from "./bfd.ts";
import { addBugreport } from "./bugreport.ts";
import { addCapture } from "./capture.ts";
import { DEFAULT_SOCKET, EXIT, Refusal } from "./client.ts";
import { addCompletion, COMPLETE } from "./completion.ts";
import { addConfig } from "./config.ts";
import { addDoctor } from "./doctor.ts";
import { addDrainVerbs } from "./drain.ts";
import { addEntries } from "./entries.ts";
import { addEvpn } from "./evpn.ts";
import { socketsIn } from "./fleet.ts";
import { addHealth, addLog } from "./health.ts";
import { addMan } from "./man.ts";
import { addNextHop } from "./next-hop.ts";
import { addObserve } from "./observe.ts";
import { complain, FORMS, type Form, type Session, wantsColour } from "./output.ts";
import { addPing } from "./ping.ts";
import { addShow } from "./show.ts";
import { addStatus } from "./status.ts";
import { say, write } from "./terminal.ts";
import { addTrace } from "./trace.ts";
import { addTrack } from "./track.ts";
import { addWeb } from "./web.ts";
import { addWhy } from "./why.ts";
import { inOrder } from "./word-order.ts";

interface Globals {
  readonly socket?: readonly string[];
  readonly fleet?: string;
  readonly output?: Form;
  readonly color?: string;
}

/** Verbs that ask several gateways. */
const FLEET = ["status", "doctor", "observe", "trace", "web"];
const FLEET_TEXT = `${FLEET.slice(0, -1).join(", ")} and ${FLEET.at(-1)}`;

function another(path: string, before: readonly string[] = []): readonly string[] {
  return [...before, path];
}

function socketsOf({ socket, fleet }: Globals): readonly string[] {
  if (fleet === undefined) return socket ?? [process.env.VTEPD_SOCKET || DEFAULT_SOCKET];
  return [...new Set([...(socket ?? []), ...socketsIn(fleet)])];
}

function versionOf(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** The tree of commands; `session` is filled in when a line is carried out. `writeError` is given what the line's mistakes are. */
export function build(session: Session, writeError: (text: string) => void = say): Command {
  const program = new Command("vtepctl");
  program
    .description("talk to a running vtepd")
    .version(versionOf())
    .addOption(
      new Option(
        "-s, --socket <path>",
        `control socket (default: VTEPD_SOCKET, else ${DEFAULT_SOCKET}); several for ${FLEET_TEXT}`,
      ).argParser(another),
    )
    .addOption(new Option("--fleet <folder>", `all control sockets of a folder, for ${FLEET_TEXT}`))
    .addOption(new Option("-o, --output <form>", "form of the output (default: table)").choices([...FORMS]))
    .addOption(new Option("--color <when>", "colour the output (default: auto)").choices(["auto", "always", "never"]))
    // `attach … --exec COMMAND` passes on what follows.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: (text) => void write(text), writeErr: writeError })
    .showSuggestionAfterError()
    .hook("preAction", (_, action) => {
      const { output, color, ...named } = globalsOf(action);
      session.sockets = socketsOf(named);
      session.socket = session.sockets[0]!;
      if (session.sockets.length > 1 && !FLEET.includes(action.name())) {
        const hint = `name one with -s; several are for ${FLEET_TEXT}`;
        throw new Refusal("usage", `${action.name()} asks one gateway, and several are named`, hint, EXIT.usage);
      }
      session.output = { form: output ?? "table", colour: wantsColour(color, process.stdout) };
    });
  addStatus(program, session);
  addShow(program, session);
  addTrace(program, session);
  addObserve(program, session);
  addCapture(program, session);
  addEntries(program, session);
  addBfd(program, session);
  addTrack(program, session);
  addNextHop(program, session);
  addEvpn(program, session);
  addConfig(program, session);
  addDrainVerbs(program, session);
  addHealth(program, session);
  addLog(program, session);
  addPing(program, session);
  addWhy(program, session);
  addDoctor(program, session);
  addAttach(program, session);
  addWeb(program, session);
  addBugreport(program, session);
  addCompletion(program, session);
  addMan(program, {
    schemaOf: async () => (await import("../config/json-schema.ts")).jsonSchema(),
    daemonOf: () => import("../daemon/command-line.ts"),
  });
  allowEverywhere(program);
  return program;
}

/** The shared options are good behind the verb too: `vtepctl show arp -o json`. */
function allowEverywhere(program: Command): void {
  const shared = program.options.filter((option) => option.attributeName() !== "version");
  const visit = (command: Command): void => {
    for (const child of command.commands) {
      child.exitOverride().showHelpAfterError(helpOf(child));
      for (const { flags, description, argChoices, parseArg } of shared) {
        const option = new Option(flags, description).hideHelp();
        if (argChoices !== undefined) option.choices(argChoices);
        else if (parseArg !== undefined) option.argParser(parseArg);
        child.addOption(option);
      }
      visit(child);
    }
  };
  visit(program);
  program.showHelpAfterError(helpOf(program));
}

/** Said after a mistake: which words there are, where a word is wanted. */
function helpOf({ commands }: Command): string {
  const words = commands.map((command) => command.name()).filter((name) => name !== COMPLETE);
  return words.length === 0 ? "(--help tells more)" : `(there are ${words.join(", ")}; --help tells more)`;
}

/** The shared options of a verb; what stands nearest to it wins. */
function globalsOf(action: Command): Globals {
  const all: Command[] = [];
  for (let command: Command | null = action; command !== null; command = command.parent) all.unshift(command);
  return Object.assign({}, ...all.map((command) => command.opts<Globals>())) as Globals;
}

/** Is JSON asked for? Known before the line is understood, for it may not be. */
function wantsJson(args: readonly string[]): boolean {
  return args.some((arg, i) => {
    if (arg === "-o" || arg === "--output") return args[i + 1] === "json";
    return arg === "-ojson" || arg === "--output=json";
  });
}

/** Carry out one command line. @returns the exit code. */
export async function runCommand(args: readonly string[]): Promise<number> {
  const isJson = wantsJson(args);
  const session: Session = {
    socket: DEFAULT_SOCKET,
    sockets: [DEFAULT_SOCKET],
    output: { form: isJson ? "json" : "table", colour: false },
  };
  const program = build(session, isJson ? () => undefined : say);
  try {
    await program.parseAsync(inOrder(program, args), { from: "user" });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      const message = error.code === "commander.help" ? "a verb is missing" : error.message.replace(/^error: /, "");
      if (isJson) complain("json", false, new Refusal("usage", message, "vtepctl --help tells more", EXIT.usage));
      return EXIT.usage;
    }
    if (!(error instanceof Refusal)) throw error;
    complain(session.output.form, wantsColour(undefined, process.stderr), error);
    return error.exit;
  }
}
