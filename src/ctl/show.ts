/**
 * `vtepctl show …` (alias `display`): one table each of what the daemon knows (kinds.ts), also in the words of H3C's manuals
 * (vendor-words.ts). With -o json or yaml the answer of the API is printed as it came.
 */
import { isIP } from "node:net";
import { type Command, Option } from "commander";
import type { DropCount, Features, Policy } from "../api/schema.ts";
import { PARTS } from "../api/schema-parts.ts";
import type { Snapshot } from "../api/schema-snapshot.ts";
import { plural } from "../wire/plural.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { hopText } from "./hop-text.ts";
import { KINDS, type Kind, viaText } from "./kinds.ts";
import { printBlocks, printList, printValue, type Session } from "./output.ts";
import { type Before, missing, refresh, type Watch, watched, watchOf } from "./refresh.ts";
import { type Column, shortAge, shortNumber } from "./table.ts";
import { write } from "./terminal.ts";
import { ELSEWHERE, understood } from "./vendor-words.ts";

interface TableOptions {
  readonly wide?: true;
  readonly lines?: number;
  readonly watch?: Watch | true;
  readonly vrf?: string;
  readonly ipv4?: true;
  readonly ipv6?: true;
}

/** The options of every table. */
export function tabular(command: Command): Command {
  return watched(command)
    .option("-w, --wide", "all columns, and numbers in full, however long the lines are")
    .addOption(new Option("-n, --lines <number>", "at most so many rows").argParser(count));
}

export function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Refusal("usage", `-n ${text}: a number of rows is needed`, "write -n 20", EXIT.usage);
}

function ruleText({ action, bypassedBy, alive, nextHops = [] }: Policy["rules"][number]): string {
  if (alive === false) return `${action} (dead)`;
  if (nextHops.length > 1) return `${action.split(" ")[0]} ${nextHops.map(hopText).join(",")}`;
  return bypassedBy === null ? action : `${action} (bypassed: tunnel ${bypassedBy})`;
}

const POLICY: readonly Column<{ policy: Policy; index: number }>[] = [
  { title: "POLICY", of: ({ policy }) => policy.name },
  { title: "VSI-INTERFACES", of: ({ policy }) => policy.interfaces.join(",") },
  { title: "RULE", of: ({ index }) => index + 1, right: true },
  { title: "MATCH", of: ({ policy, index }) => policy.rules[index]!.match, wraps: true },
  { title: "ACTION", of: ({ policy, index }) => ruleText(policy.rules[index]!) },
  { title: "HITS", of: ({ policy, index }) => policy.rules[index]!.hits, right: true },
];

/** How often each reason came in a second of the time between two answers. */
function dropColumns(before: Before<readonly DropCount[]> | null): readonly Column<DropCount>[] {
  const earlier = new Map(before?.value.map(({ reason, count: old }) => [reason, old]));
  const rate: Column<DropCount> = {
    title: "PER-S",
    of: ({ reason, count: now }) => shortNumber((now - (earlier.get(reason) ?? now)) / (before?.seconds ?? 1)),
    right: true,
  };
  return [
    { title: "REASON", of: (row) => row.reason },
    { title: "PACKETS", of: (row) => row.count, right: true },
    ...(before === null ? [] : [rate]),
    { title: "LAST", of: ({ last }) => (last === null ? null : lastText(last)) },
    { title: "TEXT", of: (row) => row.text, wraps: true },
  ];
}

/** "3s, tunnel gw2, vni 77". */
function lastText({ secondsAgo, via, outer, outerPort, vni }: NonNullable<DropCount["last"]>): string {
  const from = viaText(via) ?? (outerPort === null ? outer : `${outer} port ${outerPort}`);
  const words = [shortAge(secondsAgo), ...(from === null ? [] : [from]), ...(vni === null ? [] : [`vni ${vni}`])];
  return words.join(", ");
}

type PortDrop = DropCount["ports"][number] & { readonly reason: string };

const PORT_DROP: readonly Column<PortDrop>[] = [
  { title: "REASON", of: (row) => row.reason },
  { title: "PORT", of: (row) => viaText(row.via) },
  { title: "PACKETS", of: (row) => row.count, right: true },
  { title: "LAST", of: ({ last }) => last?.at.slice(0, 19).replace("T", " ") ?? null },
  { title: "VNI", of: ({ last }) => last?.vni ?? null, right: true },
  { title: "OUTER", of: ({ last }) => last?.outer ?? null },
  { title: "FRAME", of: ({ last }) => last?.frame ?? null, wraps: true },
];

interface FeatureRow {
  readonly name: string;
  readonly state: string;
  readonly note: string;
}

const FEATURE: readonly Column<FeatureRow>[] = [
  { title: "FEATURE", of: (row) => row.name },
  { title: "STATE", of: (row) => row.state },
  { title: "NOTE", of: (row) => row.note, wraps: true },
];

/** A thread as the kernel schedules it; from a daemon of before, nothing. */
function threadRows({ scheduling }: Partial<Features>): FeatureRow[] {
  if (scheduling === undefined) return [];
  const { priority, group, threads } = scheduling;
  return [
    { name: "scheduling", state: priority, note: group.text },
    ...threads.map(({ worker, priority: given, cpus, refused, runDelay }) => ({
      name: `worker ${worker}`,
      state: given,
      note: [
        `on processors ${cpus}`,
        ...(runDelay === null ? [] : [`waits for one ${Math.round(runDelay * 100)} % of the time`]),
        ...refused.map((each) => `refused ${each}`),
      ].join("; "),
    })),
  ];
}

const megabytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;

/** From a daemon of before, nothing. */
function memoryRows({ memory }: Partial<Features>): FeatureRow[] {
  if (memory === undefined) return [];
  const { resident, proportional } = memory;
  const note = proportional === null ? "" : `${megabytes(proportional)} with Node's text and the like shared out`;
  return [{ name: "memory", state: megabytes(resident), note }];
}

function featureRows({ offloads, probes, fallbacks, workers, ...more }: Features): FeatureRow[] {
  return [
    ...offloads.map(({ name, wanted, inUse }) => ({
      name,
      state: inUse ? "on" : "off",
      note: inUse ? "" : wanted ? "wanted; not given, done in software" : "off in the configuration",
    })),
    ...probes
      .filter(({ outcome }) => outcome !== "off")
      .map(({ offload, outcome, text }) => ({ name: offload, state: `probe ${outcome}`, note: text })),
    ...fallbacks
      .filter(({ count: times }) => times > 0)
      .map(({ cause, count: times }) => ({ name: cause, state: "fallback", note: plural(times, "time") })),
    ...workers.map(({ worker, receiveBuffer, receiveDrops }) => ({
      name: `worker ${worker}`,
      state: "runs",
      note: `receive buffer ${receiveBuffer} bytes, ${receiveDrops} datagrams lost in it`,
    })),
    ...threadRows(more),
    ...memoryRows(more),
  ];
}

/** Does each of `words` stand in a cell of its own, or as a word in one? */
export function hasAll<T>(words: readonly string[], row: T, columns: readonly Column<T>[]): boolean {
  const cells = columns.map(({ of }) => String(of(row)).toLowerCase());
  return words.every((word) => cells.some((cell) => [cell, ...cell.split(/[ ,]/)].includes(word.toLowerCase())));
}

/** Where a row is not found that many look for there: what is asked is another question. */
function helpFor(kind: Kind, words: readonly string[]): string {
  const all = `vtepctl show ${kind.name} lists all`;
  const host = words.find((word) => isIP(word) !== 0);
  const isNeighbors = kind.name === "arp" || kind.name === "nd";
  if (host !== undefined && kind.name === "route") return `vtepctl why ${host} tells which route it takes; ${all}`;
  return host !== undefined && isNeighbors ? `vtepctl why ${host} tells what is known of it; ${all}` : all;
}

/** Tables of which the daemon gives a page. */
const PAGED = new Set(["/v1/macs", "/v1/neighbors", "/v1/routes", "/v1/vrfs", "/v1/evpn/vteps"]);
const LONGEST_PAGE = 10_000;

/** What to ask for `path` with: no more rows than are wanted, where all that come are shown. */
export function limitOf(path: string, words: readonly string[], lines: number | undefined): { limit?: string } {
  const isPage = PAGED.has(path) && words.length === 0 && lines !== undefined && lines <= LONGEST_PAGE;
  return isPage ? { limit: String(lines) } : {};
}

function pathOf({ path, query: more = {} }: Kind, words: readonly string[], options: TableOptions): string {
  const { lines, vrf, ipv4, ipv6 } = options;
  const query = new URLSearchParams({
    ...more,
    ...limitOf(path, words, lines),
    ...(vrf !== undefined && { vrf }),
    ...(ipv4 !== ipv6 && { family: ipv6 === true ? "6" : "4" }),
  });
  return query.size > 0 ? `${path}?${query}` : path;
}

async function showKind(session: Session, asked: Kind, said: readonly string[], given: TableOptions): Promise<void> {
  const watch = watchOf(given.watch);
  const { name, words, verbose, ...scope } = understood(asked.name, watch?.word == null ? said : [watch.word, ...said]);
  const options = { ...scope, ...given };
  const kind = name === asked.name ? asked : kindOf(name);
  const notThere = `no row${options.vrf === undefined ? "" : ` of VRF ${options.vrf}`} has ${words.join(" and ")}`;
  const read = async () => {
    const columns = kind.columns(null);
    const rows = (await ask<never[]>(session.socket, pathOf(kind, words, options))).filter((row) =>
      hasAll(words, row, columns),
    );
    if (words.length > 0 && rows.length === 0) missing(watch, notThere, helpFor(kind, words));
    return rows.slice(0, options.lines);
  };
  const none = words.length > 0 ? notThere : kind.none;
  await refresh(session, watch, read, async (output, rows, before) => {
    if (verbose && output.form === "table" && rows.length > 0) await printBlocks(kind.columns(before), rows);
    else await printList(output, rows, kind.columns(before), { isWide: options.wide === true, none });
  });
}

const kindOf = (name: string): Kind => KINDS.find((kind) => kind.name === name)!;

/** `display ipv6 routing-table`: the rows of that family. */
function inFamily(family: string, kind: Kind): Kind {
  return family === "ipv6" && kind.ofFamily === true ? { ...kind, query: { ...kind.query, family: "6" } } : kind;
}

export function addShow(program: Command, session: Session): void {
  const show = program
    .command("show")
    .alias("display")
    .description("show what the daemon knows")
    .addHelpText("after", examples("vtepctl show arp", "vtepctl show mac -o json", "vtepctl display vxlan tunnel"));
  const addKind = (command: Command, kind: Kind, typed: string) => {
    const { says, example } = kind;
    if (kind.ofVrf === true) command.option("--vrf <name>", "only of this VRF");
    if (kind.ofFamily === true) command.option("-4, --ipv4", "only of IPv4").option("-6, --ipv6", "only of IPv6");
    tabular(command.description(says))
      .argument(
        "[words...]",
        "only rows with all these words: an address, a name; none: exit code 4; verbose: all of a row",
      )
      .addHelpText(
        "after",
        examples(`vtepctl ${typed}`, `vtepctl ${typed} ${example}`, `vtepctl ${typed} --watch=1 -w`),
      )
      .action((words: string[], options: TableOptions) => showKind(session, kind, words, options));
  };
  for (const kind of KINDS) addKind(show.command(kind.name).aliases(kind.aliases), kind, `show ${kind.name}`);
  const families = new Map<string, Command>();
  for (const [family, words] of Object.entries(ELSEWHERE)) {
    const parent = show.command(family).description(`the same in H3C's words: ${Object.keys(words).join(", ")}`);
    families.set(family, parent);
    for (const [word, name] of Object.entries(words))
      addKind(parent.command(word), inFamily(family, kindOf(name)), `display ${family} ${word}`);
  }
  addPolicy(show.command("policy").aliases(["policies", "policy-based-route"]), session);
  addPolicy(families.get("ip")!.command("policy-based-route"), session);
  addDrops(show, session);
  tabular(
    show
      .command("features")
      .description("offloads in use and given up, the workers' buffers, and how they are scheduled"),
  )
    .addHelpText("after", examples("vtepctl show features"))
    .action(async (options: TableOptions) => {
      const read = () => ask<Features>(session.socket, "/v1/features");
      await refresh(session, watchOf(options.watch), read, async (output, features) => {
        if (output.form !== "table") return await printValue(output, features);
        await printList(output, featureRows(features).slice(0, options.lines), FEATURE, {
          isWide: options.wide === true,
        });
      });
    });
  show
    .command("snapshot")
    .description("several answers of one moment, with its time: for programs, or to be kept")
    .argument("[parts...]", `of ${PARTS.join(", ")} (default: all)`)
    .addOption(new Option("-n, --lines <number>", "at most so many rows of each table").argParser(count).default(1000))
    .addHelpText("after", examples("vtepctl show snapshot -o json", "vtepctl show snapshot acs tunnels drops"))
    .action(async (parts: string[], { lines }: { lines: number }) => {
      const query = `parts=${encodeURIComponent((parts.length > 0 ? parts : PARTS).join(","))}&limit=${lines}`;
      const snapshot = await ask<Snapshot>(session.socket, `/v1/snapshot?${query}`);
      await printValue(session.output, snapshot);
    });
  show
    .command("config")
    .alias("current-configuration")
    .description("the configuration in force as a file, with every default filled in")
    .addHelpText("after", examples("vtepctl show config"))
    .action(async () => {
      const config = await ask<unknown>(session.socket, "/v1/config");
      await printValue(session.output, config);
    });
}

function addPolicy(command: Command, session: Session): void {
  tabular(command.description("policy routes and how often each rule matched"))
    .addHelpText("after", examples("vtepctl show policy"))
    .action(async (options: TableOptions) => {
      const read = () => ask<Policy[]>(session.socket, "/v1/policies");
      await refresh(session, watchOf(options.watch), read, async (output, policies) => {
        if (output.form !== "table") return await printValue(output, policies);
        const rows = policies.flatMap((policy) => policy.rules.map((_, index) => ({ policy, index })));
        await printList(output, rows.slice(0, options.lines), POLICY, {
          none: "there is no policy",
          isWide: options.wide === true,
        });
      });
    });
}

/** Datagrams that the kernel dropped before a worker saw them are in no account of the gateway, and lost all the same. */
async function tellUnread({ socket }: Session): Promise<void> {
  const { workers } = await ask<Features>(socket, "/v1/features");
  const unread = workers.reduce((sum, { receiveDrops }) => sum + receiveDrops, 0);
  if (unread === 0) return;
  const what = unread === 1 ? "1 datagram was" : `${unread} datagrams were`;
  await write(
    `besides, ${what} lost in the underlay's receive buffer, before the gateway could read: vtepctl doctor\n`,
  );
}

function addDrops(show: Command, session: Session): void {
  tabular(show.command("drops").alias("drop"))
    .description("why frames were dropped; JSON and YAML hold all reasons")
    .addOption(new Option("--all", "in the table too, reasons that never happened"))
    .option("--ports", "a row for each reason at each port, with the last frame there")
    .addHelpText(
      "after",
      examples(
        "vtepctl show drops",
        "vtepctl show drops --ports",
        "vtepctl show drops --all",
        "vtepctl show drops --watch",
      ),
    )
    .action(async (options: TableOptions & { all?: true; ports?: true }) => {
      const read = () => ask<DropCount[]>(session.socket, "/v1/drops");
      await refresh(session, watchOf(options.watch), read, async (output, drops, before) => {
        const shown = drops.filter((drop) => options.all === true || drop.count > 0).slice(0, options.lines);
        if (output.form !== "table") return await printValue(output, options.lines === undefined ? drops : shown);
        if (options.ports === true) {
          const rows = shown.flatMap(({ reason, ports }) => ports.map((place) => ({ reason, ...place })));
          await printList(output, rows, PORT_DROP, {
            none: "no frame has been dropped",
            isWide: options.wide === true,
          });
          return;
        }
        await printList(output, shown, dropColumns(before), {
          none: "no frame has been dropped",
          isWide: options.wide === true,
        });
        await tellUnread(session);
      });
    });
}
