#!/usr/bin/env node
/**
 * `npm run lab`: the article's network on this machine, walked through and judged. See `--help` for the verbs.
 *
 * Everything runs in network namespaces that the lab makes and takes away again; nothing of the host's network is
 * touched. It needs root (or CAP_SYS_ADMIN and CAP_NET_ADMIN) for that. An interrupted lab cleans up after itself; a
 * killed one is cleaned by the next `up` or `down` of its name (state.ts).
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { Command, Option } from "commander";
import { guardOutput, put } from "../ctl/terminal.ts";
import { bringUp, makeCold, namespaceOf, takeDown } from "./bed.ts";
import { captureTool, openCapture, pcapBytes } from "./capture.ts";
import { compare } from "./comparison.ts";
import { arpSection, pingSection, type Section, tcpSection } from "./examination.ts";
import { OTHER_VXLAN } from "./expect-other-vxlan.ts";
import { OUTSIDE } from "./expect-outside.ts";
import { SAME_VXLAN } from "./expect-same-vxlan.ts";
import { type Captured, decodeEthernet, decodeVxlan, frameText } from "./frame.ts";
import { placesOf, vtepctl } from "./gateway.ts";
import { inside } from "./namespace.ts";
import { bold, columns, dim, green, heading, mark, print, red, say } from "./paint.ts";
import { abandonChildren, end, isAlive } from "./process.ts";
import { legendText, tally, unexpectedIn, walkComplaints, walkText } from "./report.ts";
import {
  adopt,
  checkName,
  clear,
  emptyState,
  find,
  folderOf,
  type LabState,
  labs,
  readState,
  release,
  type Scheme,
} from "./state.ts";
import { MACHINE_DEVICE, MACHINES, NODES, UNDERLAY_DEVICE, VTEPS } from "./topology.ts";
import { type Walk, walk } from "./walkthrough.ts";

const FAILED = 1;
const USAGE = 2;
const NOT_FOUND = 4;
const NOT_PERMITTED = 6;
const INTERRUPTED = 130;
/** An owner that is told to stop cleans its lab up itself, given the time. */
const OWNER_MS = 15_000;
/** The list at the end is a summary. */
const MOST_COMPLAINTS = 30;
const SCENARIOS = [SAME_VXLAN, OTHER_VXLAN, OUTSIDE];

/** The lab that an interrupt has to take down; none while a lab is only being looked at. */
let mine: LabState | undefined;
let isInterrupted = false;

async function interrupted(reason: string, status = INTERRUPTED): Promise<void> {
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.removeAllListeners(name);
  if (isInterrupted) return;
  isInterrupted = true;
  say(`${reason}: cleaning up`);
  abandonChildren();
  try {
    if (mine !== undefined) await clear(mine);
  } finally {
    process.exit(status);
  }
}

/** Walk through the scenarios, each from cold tables, and examine the rest. Returns what went wrong. */
async function runAll(state: LabState, isFresh: boolean): Promise<string[]> {
  const tool = captureTool();
  if (tool === "tcpdump")
    say("the npm package cap is not installed (libpcap-dev was missing?): capturing with tcpdump");
  const walks: Walk[] = [];
  for (const scenario of SCENARIOS) {
    if (walks.length > 0 || !isFresh) await makeCold(state);
    say(`scenario ${scenario.number}: ${scenario.title}`);
    const done = await walk(state, scenario, tool);
    if (walks.length === 0) {
      print(`${heading("The cast")}\n${legendText(done.names)}`);
    }
    walks.push(done);
    print(walkText(done));
  }
  const sections: Section[] = [];
  for (const section of [pingSection, tcpSection, arpSection]) {
    const done = await section(state);
    sections.push(done);
    print(done.text);
  }
  const complaints = [...walks.flatMap(walkComplaints), ...sections.flatMap((section) => [...section.complaints])];
  const { met, all, optional } = tally(walks);
  const rows = `${met} of ${all} rows of the article's three walkthroughs hold (${optional} of them were not needed)`;
  const extra = unexpectedIn(walks.map((done) => done.judgement));
  print(`${heading("Result")}\n ${mark(met === all)} ${rows}, ${extra}`);
  return complaints;
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

/** `work` on a new lab, which is taken down afterwards unless it is to be kept; its folder stays when something failed. */
async function onNewLab(name: string | undefined, scheme: Scheme, isKept: boolean): Promise<number> {
  const state = await bringUp(name, scheme, say, (claimed) => {
    mine = claimed;
  });
  let status = FAILED;
  try {
    status = verdict(await runAll(state, true), state);
  } finally {
    if (isKept) {
      release(state);
      print(dim(`   lab "${state.name}" is still up: npm run lab -- shell vm1, status, capture gw1, down`));
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
  mine = undefined;
  release(state);
  print(`lab "${state.name}" is up; its files are in ${folderOf(state.name)}`);
  print(dim("next: npm run lab -- run | shell vm1 | capture gw1 | status | down"));
  return 0;
}

async function rerun(name: string | undefined): Promise<number> {
  const state = adopt(name);
  try {
    if (!state.isUp) throw new Error(`lab "${state.name}" is not completely up; take it down first`);
    return verdict(await runAll(state, false), state);
  } finally {
    release(state);
  }
}

async function down(name: string | undefined): Promise<number> {
  const names = name === undefined ? labs() : [checkName(name)];
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

function knownNode(node: string): string {
  if (!NODES.includes(node))
    throw Object.assign(new Error(`no node ${node}; there are ${NODES.join(", ")}`), { status: NOT_FOUND });
  return node;
}

/** An interactive shell (or a command) inside a node. */
function shell(node: string, command: readonly string[], name: string | undefined): number {
  const state = find(name);
  const [program = "bash", ...args] = command.length > 0 ? command : [process.env.SHELL ?? "bash"];
  const isVtep = VTEPS.some((vtep) => vtep.name === knownNode(node));
  const env = { ...process.env, PS1: `${node}# `, VTEPD_NODE: node };
  if (isVtep) Object.assign(env, { VTEPD_SOCKET: placesOf(state.name).socket(node) });
  const [outer, all] = inside(namespaceOf(state, node), program, args);
  const ended = spawnSync(outer, all, { stdio: "inherit", env });
  return ended.status ?? FAILED;
}

/** Print the frames of a node's device as they pass, or write them to a file, until Ctrl-C or `count` frames. */
async function capture(
  node: string,
  file: string | undefined,
  count: number,
  name: string | undefined,
): Promise<number> {
  const state = find(name);
  const isVtep = VTEPS.some((vtep) => vtep.name === knownNode(node));
  const device = isVtep ? UNDERLAY_DEVICE : MACHINE_DEVICE;
  let start: number | undefined;
  let shown = 0;
  const show = (frame: Captured) => {
    start ??= frame.atMs;
    const vxlan = isVtep ? decodeVxlan(frame.bytes) : undefined;
    const inner = vxlan?.inner ?? decodeEthernet(frame.bytes);
    const outer = vxlan && `${vxlan.outer.source} → ${vxlan.outer.destination} VNI ${vxlan.outer.vni}  `;
    if (file === undefined && inner)
      print(`${((frame.atMs - start) / 1000).toFixed(6)}  ${outer ?? ""}${frameText(inner)}`);
  };
  let enough = () => {};
  const isOver = new Promise<void>((resolve) => {
    enough = resolve;
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.removeAllListeners(signal).once(signal, enough);
  const eye = await openCapture(namespaceOf(state, node), device, captureTool(), (frame) => {
    if (++shown <= count) show(frame);
    if (shown >= count) enough();
  });
  say(`capturing ${device} of ${node}; Ctrl-C ends`);
  const watch = setInterval(() => eye.failure() !== undefined && enough(), 200);
  await isOver;
  clearInterval(watch);
  const failure = eye.failure();
  await eye.stop();
  const frames = eye.frames.slice(0, count);
  if (file !== undefined) {
    writeFileSync(file, pcapBytes(frames));
    say(`${frames.length} frames written to ${file}`);
  }
  if (failure !== undefined) throw new Error(failure);
  return 0;
}

async function status(name: string | undefined): Promise<number> {
  const names = name === undefined ? labs() : [find(name).name];
  if (names.length === 0) print("no lab is up");
  let isHealthy = true;
  for (const each of names) {
    const state = find(each);
    const owner = state.owner !== null && isAlive(state.owner) ? `, in use by process ${state.owner.pid}` : "";
    print(heading(`Lab "${each}", ${state.mode}${state.isUp ? "" : ", incomplete"}${owner}`));
    const rows: string[][] = [];
    for (const { name: node, underlay } of VTEPS) {
      const daemon = state.processes.find((process) => process.label === node);
      const asked = await vtepctl(each, node, ["status", "-o", "json"]);
      const isReady = asked.status === 0 && (JSON.parse(asked.stdout) as { ready?: boolean }).ready === true;
      if (!isReady) isHealthy = false;
      rows.push([mark(isReady), node, underlay, isReady ? "ready" : "not ready", daemon ? `pid ${daemon.pid}` : "-"]);
    }
    for (const machine of MACHINES)
      rows.push(["", machine.name, machine.address, machine.mac, `behind ${machine.behind}`]);
    print(columns(rows, " "));
    print(dim(`   files: ${folderOf(each)}   namespaces: ${namespaceOf(state, "…")}`));
  }
  return isHealthy ? 0 : 7;
}

async function centralized(name: string | undefined): Promise<number> {
  const { text, complaints } = await compare(name, captureTool(), say, (claimed) => {
    mine = claimed;
  });
  print(text);
  const exit = verdict(complaints, mine!);
  await takeDown(mine!, exit !== 0);
  mine = undefined;
  return exit;
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw Object.assign(new Error("the lab makes network namespaces and needs root: sudo npm run lab"), {
    status: NOT_PERMITTED,
  });
}

interface Wishes {
  readonly name?: string;
  readonly keep?: true;
  readonly sharedMac?: true;
  readonly handover?: true;
  readonly offload?: "on" | "off";
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
  const schemeOf = (wishes: Wishes): Scheme => ({
    mode: "distributed",
    gatewayMac: wishes.sharedMac === true ? "shared" : "auto",
    handover: wishes.handover === true,
    offload: wishes.offload !== "off",
  });
  const carryOut = async (work: () => Promise<number> | number) => {
    requireRoot();
    process.exitCode = await work();
  };
  root
    .addOption(name())
    .addOption(shared())
    .addOption(handed())
    .addOption(offload())
    .option("--keep", "leave the lab up afterwards")
    .action((wishes: Wishes) => carryOut(() => onNewLab(wishes.name, schemeOf(wishes), wishes.keep === true)));
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
        return carryOut(() => work(wishes.name, wishes));
      });
  verb("up", "bring the lab up and leave it up", (lab, wishes) => up(lab, schemeOf(wishes)))
    .addOption(shared())
    .addOption(handed())
    .addOption(offload());
  verb("run", "run the walkthroughs in a lab that is up", rerun);
  verb("down", "take the lab down (all labs, without --name)", down);
  verb("status", "what is up, and is it well", status);
  verb("centralized", "the article's first scheme and the distributed one, compared", centralized);
  root
    .command("shell <node> [command...]")
    .description("a shell, or a command, inside gw1, gw2, border, vm1 … vm6 or ext")
    .addOption(name())
    .passThroughOptions()
    .action((node: string, rest: string[], _: unknown, command: Command) =>
      carryOut(() => shell(node, rest, command.optsWithGlobals<Wishes>().name)),
    );
  root
    .command("capture <node>")
    .description("show what passes a node's device: the underlay of a VTEP, the TAP of a machine")
    .addOption(name())
    .option("-w, --write <file>", "write a pcap file instead")
    .option("-c, --count <frames>", "stop after so many frames", Number, Number.POSITIVE_INFINITY)
    .action((node: string, options: { write?: string; count: number }, command: Command) =>
      carryOut(() => capture(node, options.write, options.count, command.optsWithGlobals<Wishes>().name)),
    );
  return root;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, (name) => void interrupted(name));
guardOutput(({ code, message }) => {
  if (code !== "EPIPE") void interrupted(`cannot write the report: ${message}`, FAILED);
  // Nobody reads the report any more (npm run lab | head): that is an interrupt too, where there is something to end.
  else if (mine === undefined) process.exit(0);
  else void interrupted("nobody reads the report any more");
});
try {
  await program().parseAsync();
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
