#!/usr/bin/env node
/**
 * `npm run lab`: the article's network on this machine, walked through and judged. See `--help` for the verbs.
 *
 * Everything runs in network namespaces that the lab makes and takes away again; nothing of the host's network is
 * touched. An ordinary user's labs live in a user namespace (room.ts). An interrupted lab cleans up after itself; a
 * killed one is cleaned by the next `up` or `down` of its name (state.ts).
 */
import { Command, Option } from "commander";
import { guardOutput, put } from "../ctl/terminal.ts";
import type { Family } from "../web/article.ts";
import { runArticle } from "./article-run.ts";
import { addIpv6, bringUp, takeDown } from "./bed.ts";
import { captureTool } from "./capture.ts";
import { compare } from "./comparison.ts";
import { hasIpv6 } from "./namespace.ts";
import { NETWORKS, type Network, type Telling } from "./networks.ts";
import { takenByNpm, takenText } from "./npm-options.ts";
import { bold, dim, green, print, red, say } from "./paint.ts";
import { abandonChildren, end, isAlive } from "./process.ts";
import { runInRoom } from "./room.ts";
import {
  adopt,
  clear,
  emptyState,
  familiesOf,
  folderOf,
  type LabState,
  labs,
  labsToEnd,
  readState,
  release,
  type Scheme,
} from "./state.ts";
import { FAMILIES, type FamilyChoice } from "./topology.ts";
import { capture, ctl, exec, logs, shell, status } from "./visit.ts";
import { boundOutside, PAGE_PORT, serveLab } from "./web.ts";

const FAILED = 1;
const USAGE = 2;
const INTERRUPTED = 130;
const AGAIN_MS = 1000;
/** An owner that is told to stop cleans its lab up itself, given the time. */
const OWNER_MS = 15_000;
/** The list at the end is a summary. */
const MOST_COMPLAINTS = 30;

/** The lab that an interrupt has to take down; none while a lab is only being looked at. */
let mine: LabState | undefined;
/** The lab that an interrupt leaves to the next command. */
let left: LabState | undefined;
let isInterrupted = false;
let interruptedMs = 0;

async function interrupted(reason: string, status = INTERRUPTED): Promise<void> {
  // One Ctrl-C may come twice, from the terminal and from the process in front of us (room.ts); a later one means it.
  if (isInterrupted && performance.now() - interruptedMs > AGAIN_MS) process.exit(status);
  if (isInterrupted) return;
  isInterrupted = true;
  interruptedMs = performance.now();
  say(`${reason}: cleaning up`);
  abandonChildren();
  try {
    if (mine !== undefined) await clear(mine);
    if (left !== undefined) release(left);
  } finally {
    process.exit(status);
  }
}

/** Say what failed and where to look; returns the exit status. */
function verdict(complaints: readonly string[], state: LabState): number {
  if (complaints.length === 0) {
    print(` ${green("✓")} ${bold("everything holds")}`);
    return 0;
  }
  print(` ${red("✗")} ${bold(`${complaints.length} failed:`)}`);
  for (const complaint of complaints.slice(0, MOST_COMPLAINTS)) print(`   ${red("✗")} ${complaint}`);
  if (complaints.length > MOST_COMPLAINTS) print(`     and ${complaints.length - MOST_COMPLAINTS} more, see above`);
  print(`   logs, configuration files and captures: ${folderOf(state.name)}`);
  return FAILED;
}

/** What becomes of a new lab when its walks are done. */
type Afterwards = "down" | "kept" | "served";

/** All that there is to see on a new lab, which is taken down afterwards unless it is to be kept; its folder stays when something failed. */
async function onNewLab(
  name: string | undefined,
  network: Network | Scheme,
  then: Afterwards,
  telling: Telling,
): Promise<number> {
  const claimed = (state: LabState) => {
    mine = state;
  };
  const isOther = "bringUp" in network;
  if (isOther) network.demand();
  const state = isOther ? await network.bringUp(name, say, claimed) : await bringUp(name, network, say, claimed);
  let status = FAILED;
  try {
    status = verdict(isOther ? await network.run(state, telling) : await runArticle(state, true, telling), state);
    if (then === "served") await served(state, telling);
  } finally {
    if (then === "kept") {
      release(state);
      print(
        dim(
          `   lab "${state.name}" is still up: npm run lab -- shell vm1 | ctl gw1 ${isOther ? network.question : "show arp"} | logs gw1 | capture gw1 | status | down`,
        ),
      );
    } else await takeDown(state, status !== 0);
    mine = undefined;
  }
  return status;
}

async function up(name: string | undefined, scheme: Scheme): Promise<number> {
  const known = readState(name ?? "lab");
  if (known?.isUp && known.owner === null && known.processes.every(isAlive)) {
    print(`lab "${known.name}" is up already`);
    return 0;
  }
  const state = await bringUp(name, scheme, say, (claimed) => {
    mine = claimed;
  });
  if (familiesOf(state).includes(6)) await addIpv6(state);
  mine = undefined;
  release(state);
  print(`lab "${state.name}" is up; its files are in ${folderOf(state.name)}`);
  print(dim("next: npm run lab -- run | shell vm1 | ctl gw1 show arp | logs gw1 | capture gw1 | status | down"));
  return 0;
}

/** The page, until Ctrl-C, which takes the lab down where it is ours. */
async function served(state: LabState, { port }: Telling): Promise<never> {
  const url = await serveLab(state, port);
  print(`\n${bold("look:")} ${url}\n${dim("Ctrl-C ends it")}`);
  return await new Promise<never>(() => {});
}

async function web(name: string | undefined, telling: Telling): Promise<number> {
  const state = adopt(name);
  if (!state.isUp) throw new Error(`lab "${state.name}" is not completely up; take it down first`);
  left = state;
  return await served(state, telling);
}

async function rerun(name: string | undefined, telling: Telling): Promise<number> {
  const state = adopt(name);
  try {
    if (!state.isUp) throw new Error(`lab "${state.name}" is not completely up; take it down first`);
    const other = NETWORKS[state.mode];
    return verdict(await (other === undefined ? runArticle(state, false, telling) : other.run(state, telling)), state);
  } finally {
    release(state);
  }
}

async function down(name: string | undefined, { all }: Wishes): Promise<number> {
  const names = labsToEnd(labs(), name, all === true);
  if (names.length === 0) say("no lab is up");
  for (const each of names) {
    const state = readState(each) ?? emptyState(each);
    const isBusy = state.owner !== null && isAlive(state.owner);
    if (isBusy && name === undefined) {
      say(`lab "${each}" is in use by process ${state.owner!.pid}; name it to take it down all the same`);
      continue;
    }
    if (isBusy) await end([state.owner!], OWNER_MS);
    await clear(state);
    say(`lab "${each}" is down`);
  }
  return 0;
}

async function centralized(name: string | undefined, { family }: Wishes): Promise<number> {
  const { text, complaints } = await compare(name, familiesWanted(family), captureTool(), say, (claimed) => {
    mine = claimed;
  });
  print(text);
  const exit = verdict(complaints, mine!);
  await takeDown(mine!, exit !== 0);
  mine = undefined;
  return exit;
}

interface Wishes extends Telling {
  readonly name?: string;
  readonly keep?: true;
  readonly web?: true;
  readonly all?: true;
  readonly sharedMac?: true;
  readonly handover?: true;
  readonly offload?: "on" | "off";
  readonly family?: FamilyChoice;
}

/** Both, where there are both: an IPv4 lab is said to be one. */
function familiesWanted(family: FamilyChoice | undefined): readonly Family[] {
  if (hasIpv6 || family === "4") return FAMILIES[family ?? "both"];
  if (family !== undefined) throw Object.assign(new Error("this kernel has no IPv6: --family 4"), { status: USAGE });
  say("this kernel has no IPv6: the walks are those of IPv4 alone");
  return FAMILIES["4"];
}

function program(): Command {
  const root = new Command("lab")
    .description("the article's network in namespaces: set up, walked through, judged")
    .enablePositionalOptions()
    .configureOutput({ writeOut: (text) => void put(text) })
    .exitOverride();
  const name = () => new Option("--name <name>", "name of the lab, so that several can coexist");
  const shared = () => new Option("--shared-mac", "one gateway MAC for all gateways, instead of one for each");
  const handed = () => new Option("--handover", "the machines hand their TAPs over (vtepctl attach), as containers do");
  const offload = () =>
    new Option(
      "--offload <on|off>",
      "off: the gateways work frame by frame, as on a kernel without any offload",
    ).choices(["on", "off"]);
  const family = () =>
    new Option("--family <4|6|both>", "by which addresses it is walked (default: both)").choices(Object.keys(FAMILIES));
  const brief = () => new Option("--brief", "one line for each step, and no frames");
  const port = () => new Option("--port <number>", "of the page (default: 8080); 0: any free one").argParser(Number);
  const record = () => new Option("--json <file>", "write rows, expected, observed and all frames to a file, too");
  const schemeOf = (wishes: Wishes): Scheme => ({
    mode: "distributed",
    gatewayMac: wishes.sharedMac === true ? "shared" : "auto",
    handover: wishes.handover === true,
    offload: wishes.offload !== "off",
    families: familiesWanted(wishes.family),
  });
  const carryOut = async (work: () => Promise<number> | number, page: number | null = null) => {
    process.exitCode = (await runInRoom(page === null ? null : () => boundOutside(page))) ?? (await work());
  };
  root
    .addOption(name())
    .addOption(shared())
    .addOption(handed())
    .addOption(offload())
    .addOption(family())
    .addOption(brief())
    .addOption(record())
    .option("--keep", "leave the lab up afterwards")
    .option("--web", "then serve the page of vtepctl web, with walks, until Ctrl-C")
    .addOption(port())
    .usage("[options] [command]")
    // Without it a word that is no verb would be "too many arguments".
    .argument("[verb]")
    .action((word: string | undefined, wishes: Wishes) => {
      if (word !== undefined) root.error(unknownVerb(word, root));
      const then = wishes.web === true ? "served" : wishes.keep === true ? "kept" : "down";
      return carryOut(
        () => onNewLab(wishes.name, schemeOf(wishes), then, wishes),
        wishes.web === true ? (wishes.port ?? PAGE_PORT) : null,
      );
    });
  const verb = (
    text: string,
    description: string,
    work: (name: string | undefined, wishes: Wishes) => Promise<number>,
  ) =>
    root
      .command(text)
      .description(description)
      .addOption(name())
      .action((_: unknown, command: Command) => {
        const wishes = command.optsWithGlobals<Wishes>();
        return carryOut(() => work(wishes.name, wishes), text === "web" ? (wishes.port ?? PAGE_PORT) : null);
      });
  verb("up", "bring the lab up and leave it up", (lab, wishes) => up(lab, schemeOf(wishes)))
    .addOption(shared())
    .addOption(handed())
    .addOption(offload())
    .addOption(family());
  verb("run", "run the walkthroughs in a lab that is up", rerun).addOption(brief()).addOption(record());
  verb("down", "take the lab down", down).option("--all", "every lab that is up");
  verb("status", "what is up, and is it well", status);
  verb("web", "serve the page of vtepctl web for a lab that is up, with walks", web).addOption(port());
  verb("centralized", "the article's first scheme and the distributed one, compared", centralized).addOption(family());
  for (const [mode, network] of Object.entries(NETWORKS)) {
    const command = root.command(mode).description(network.description).addOption(name()).addOption(record());
    if (network.hasBrief) command.addOption(brief());
    if (network.hasMarkdown) command.option("--markdown <file>", "write the figures into the table of this page, too");
    command.option("--keep", "leave the lab up afterwards").action((_: unknown, own: Command) => {
      const wishes = own.optsWithGlobals<Wishes>();
      return carryOut(() => onNewLab(wishes.name, network, wishes.keep === true ? "kept" : "down", wishes));
    });
  }
  const passing = (
    text: string,
    description: string,
    work: (node: string, rest: readonly string[], lab: string | undefined) => number,
  ) =>
    root
      .command(text)
      .description(description)
      .addOption(name())
      .passThroughOptions()
      .action((node: string, rest: string[], _: unknown, command: Command) =>
        carryOut(() => work(node, rest, command.optsWithGlobals<Wishes>().name)),
      );
  passing("shell <node> [command...]", "a shell, or a command, inside gw1, gw2, border, vm1 … vm6 or ext", shell);
  passing("exec <node> [command...]", "a command inside a node: exec vm1 ping -c 1 20.1.1.12", exec);
  passing("ctl <gateway> [words...]", "vtepctl on a gateway: ctl gw1 show arp; on all of them: ctl all status", ctl);
  root
    .command("logs <gateway>")
    .description("a gateway's log")
    .addOption(name())
    .option("-f, --follow", "and what is added to it, until Ctrl-C")
    .option("-n, --lines <number>", "how many lines", Number, 200)
    .action((node: string, { follow, lines }: { follow?: true; lines: number }, command: Command) =>
      carryOut(() => logs(node, lines, follow === true, command.optsWithGlobals<Wishes>().name)),
    );
  root
    .command("capture <node>")
    .description(
      "show what passes a node's devices: the underlay of a gateway, the eth0 of a VM (of vm7 in the EVPN lab: its three ports)",
    )
    .addOption(name())
    .option("-w, --write <file>", "write a pcap file instead")
    .option("-c, --count <frames>", "stop after so many frames", Number, Number.POSITIVE_INFINITY)
    .action((node: string, options: { write?: string; count: number }, command: Command) =>
      carryOut(() => capture(node, options.write, options.count, command.optsWithGlobals<Wishes>().name)),
    );
  return root;
}

function unknownVerb(word: string, { commands }: Command): string {
  return `error: unknown verb '${word}'; there are ${commands.map((command) => command.name()).join(", ")}; --help tells more`;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, (name) => void interrupted(name));
guardOutput(({ code, message }) => {
  if (code !== "EPIPE") void interrupted(`cannot write the report: ${message}`, FAILED);
  // The report is no longer read (npm run lab | head): that is an interrupt too, where there is something to end.
  else if (mine === undefined) process.exit(0);
  else void interrupted("the report is no longer read");
});

/** Options that npm kept for itself: it is said, and nothing is begun that was not meant. */
function mindNpm(root: Command): void {
  const names = [root, ...root.commands].flatMap(({ options }) => options.map(({ long }) => long!.slice(2)));
  const taken = takenByNpm([...new Set(names)], process.env);
  if (taken.length === 0) return;
  say(takenText(taken));
  if (taken.some(({ isCertain }) => isCertain)) process.exit(USAGE);
}

try {
  const root = program();
  mindNpm(root);
  await root.parseAsync();
} catch (error) {
  // Whatever broke off because of an interrupt is `interrupted`'s business.
  if (isInterrupted) await new Promise(() => {});
  const failure = error as Error & { status?: number; code?: string; exitCode?: number };
  if (failure.code?.startsWith("commander.")) process.exitCode = failure.exitCode === 0 ? 0 : USAGE;
  else {
    process.stderr.write(`${red("lab:")} ${failure.message}\n`);
    if (mine !== undefined) {
      await clear(mine, true);
      process.stderr.write(`the lab is down; its logs are in ${folderOf(mine.name)}\n`);
    }
    process.exitCode = failure.status ?? FAILED;
  }
}
