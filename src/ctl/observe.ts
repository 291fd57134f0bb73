/**
 * `vtepctl observe` and `vtepctl show events`: what the gateway does and why, as it happens or a moment ago.
 *
 * A line has the time, the article's step where there is one, the event and its fields; a dropped frame has its reason, its
 * place and itself in one line. With -o json each record is one line as well, for `jq`.
 */
import { type Command, Option } from "commander";
import type { Status } from "../api/schema.ts";
import type { EventRecord } from "../api/schema-watch.ts";
import { printable } from "../wire/printable.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { askAll } from "./fleet.ts";
import { jsonText, type Output, printValue, type Session } from "./output.ts";
import { count } from "./show.ts";
import { follow, type Lines } from "./stream.ts";
import { put, say, write } from "./terminal.ts";

interface Options {
  readonly follow?: boolean;
  readonly drop?: boolean;
  readonly ac?: string;
  readonly tunnel?: string;
  readonly vsi?: string;
  readonly event?: string;
  readonly host?: string;
  readonly protocol?: string;
  readonly since?: string;
  readonly count?: number;
  readonly lines?: number;
}

export function addObserve(program: Command, session: Session): void {
  filtered(program.command("observe"))
    .description("what happens: events with the article's steps, and drops with reason and place")
    .option("-f, --follow", "from now on, until interrupted; without it what show events shows")
    .option("--drop", "drops alone")
    .addOption(new Option("--count <number>", "with -f: end after so many").argParser(count))
    .addHelpText(
      "after",
      examples(
        "vtepctl observe -f",
        "vtepctl observe -f --drop --ac vm1",
        "vtepctl observe -f --host 10.1.1.11 --protocol arp --count 10",
        "vtepctl observe -f --host 2001:db8:10::11 --protocol nd",
        "vtepctl observe -f --since 4711 -o json",
      ),
    )
    .action((options: Options) => {
      if (options.follow === true) return live(session, options);
      return past(session, options);
    });
  const show = program.commands.find((command) => command.name() === "show")!;
  filtered(show.command("events"))
    .description("the last 256 events, and the last 64 frames that control dropped")
    .option("--drop", "drops alone")
    .addHelpText(
      "after",
      examples("vtepctl show events", "vtepctl show events --drop", "vtepctl show events --event 'mac.*'"),
    )
    .action((options: Options) => past(session, options));
}

function filtered(command: Command): Command {
  return command
    .option("--ac <name>", "only at this AC")
    .option("--tunnel <name>", "only at this tunnel")
    .option("--vsi <name>", "only in this VSI")
    .option("--event <name>", "only these; * stands for any text")
    .option("--host <address>", "only what names this address")
    .option("--protocol <name>", "only events of arp, nd, icmp, tcp or udp, and dropped frames of it")
    .option("--since <number>", "only what came after the event of this number (seq in JSON)")
    .addOption(new Option("-n, --lines <number>", "only the last so many").argParser(count));
}

function queryOf({ ac, tunnel, vsi, event, host, protocol, since, drop }: Options): string {
  const all = { ac, tunnel, vsi, event, host, protocol, since, drop: drop === true ? "1" : undefined };
  const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

/** Of several gateways a record has the name of its own. */
type Told = EventRecord & { readonly node?: string };

/** What was kept, oldest first; a gateway of several that does not answer is said, and the others are shown. */
async function recent({ sockets }: Session, options: Options): Promise<Told[]> {
  return (await keptOf(sockets, options)).told.slice(options.lines === undefined ? 0 : -options.lines);
}

interface KeptRecords {
  /** Of all gateways, oldest first. */
  readonly told: Told[];
  /** By socket, the number of the last of all its records; none where nothing is known of it. */
  readonly last: ReadonlyMap<string, number>;
}

async function keptOf(sockets: readonly string[], options: Options): Promise<KeptRecords> {
  const path = `/v1/events/recent${queryOf(options)}`;
  const [only] = sockets;
  const answers =
    sockets.length === 1
      ? [{ socket: only!, node: undefined, value: await ask<EventRecord[]>(only!, path), refusal: null }]
      : await askAll<EventRecord[]>(sockets, path);
  for (const { node, refusal } of answers) if (refusal !== null) say(`${node}: ${refusal.message}\n`);
  const told = answers.flatMap(({ node, value }) =>
    (value ?? []).map((record): Told => (node === undefined ? record : { node, ...record })),
  );
  const last = answers.flatMap(({ socket, value }) => {
    const seqs = (value ?? []).map(({ seq }) => seq).filter((seq) => seq !== undefined);
    return seqs.length === 0 ? [] : [[socket, Math.max(...seqs)] as const];
  });
  if (sockets.length > 1) told.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return { told, last: new Map(last) };
}

async function past(session: Session, options: Options): Promise<void> {
  const { output } = session;
  const records = await recent(session, options);
  await noteUnknown(session, options);
  if (options.drop === true)
    say("note: forwarding's drops are told while somebody looks (observe -f --drop), and counted (show drops)\n");
  if (output.form !== "table") return await printValue(output, records);
  await write(records.map((record) => `${text(record)}\n`).join(""));
}

async function live(session: Session, options: Options): Promise<void> {
  const { socket, sockets, output } = session;
  await noteUnknown(session, options);
  let last: KeptRecords["last"] = new Map();
  // As with tail: the last ones first, and then what comes.
  if (options.lines !== undefined) {
    const kept = await keptOf(sockets, options);
    last = kept.last;
    for (const record of kept.told.slice(-options.lines)) await put(`${formed(output, record)}\n`);
  }
  const pathOf = (of: string) => {
    const since = last.get(of);
    return `/v1/events${queryOf(since === undefined ? options : { ...options, since: String(since) })}`;
  };
  let left = options.count ?? Number.POSITIVE_INFINITY;
  const streams: Lines[] = [];
  const stop = () => {
    for (const lines of streams) lines.stop();
  };
  const printer = (node?: string) => (line: string) => {
    if (!line.startsWith("data: ") || left === 0) return;
    const record = JSON.parse(line.slice("data: ".length)) as EventRecord;
    void put(`${formed(output, node === undefined ? record : { node, ...record })}\n`);
    if (--left === 0) stop();
  };
  if (sockets.length === 1) streams.push(await follow(socket, pathOf(socket), printer()));
  else streams.push(...(await followAll(sockets, pathOf, printer)));
  // What was asked for may have come before we knew the streams.
  if (left === 0) stop();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  const ends = await Promise.all(streams.map(({ ended }) => ended));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop);
  if (ends.every((isOurs) => isOurs)) return;
  throw new Refusal("ended", "the daemon ended the stream", "it was stopped, or restarted", EXIT.unreachable);
}

/** All that answer; one that ends later is said at once, and the others go on. */
async function followAll(
  sockets: readonly string[],
  pathOf: (socket: string) => string,
  printer: (node: string) => (line: string) => void,
): Promise<Lines[]> {
  const statuses = await askAll<Status>(sockets, "/v1/status");
  for (const { node, refusal } of statuses) if (refusal !== null) say(`${node}: ${refusal.message}\n`);
  const known = statuses.filter(({ refusal }) => refusal === null);
  if (known.length === 0) throw statuses[0]!.refusal!;
  return await Promise.all(
    known.map(async ({ socket, node }) => {
      const lines = await follow(socket, pathOf(socket), printer(node));
      void lines.ended.then((isOurs) => isOurs || say(`${node}: the daemon ended the stream\n`));
      return lines;
    }),
  );
}

/** A name that nothing has now may be that of a thing that has gone, or that will come: said, and not refused. */
async function noteUnknown({ sockets }: Session, { ac, tunnel, vsi }: Options): Promise<void> {
  for (const [kind, name, path] of [
    ["AC", ac, "/v1/acs"],
    ["tunnel", tunnel, "/v1/tunnels"],
    ["VSI", vsi, "/v1/vsis"],
  ] as const) {
    if (name === undefined) continue;
    const answers = await askAll<{ name: string }[]>(sockets, path);
    if (answers.length === 1 && answers[0]!.refusal !== null) throw answers[0]!.refusal;
    if (answers.some(({ value }) => value?.some((each) => each.name === name))) continue;
    say(`note: there is no ${kind} ${name} now (vtepctl show ${kind.toLowerCase()} lists them)\n`);
  }
}

/** JSON, and YAML, which a JSON line is: one record a line. */
function formed({ form }: Output, record: Told): string {
  return form === "table" ? text(record) : jsonText(record, true);
}

/** `12:00:00.000  S1.2  arp.proxy-reply  vsi=vsi10 ac=vm1 ip=10.1.1.12`. */
function text({ node, time, step, event, fields }: Told): string {
  const { reason, text: sentence, frame, ...rest } = fields;
  const words = Object.entries(rest).map(([key, value]) => `${key}=${value}`);
  if (event === "drop") words.unshift(`${reason}`);
  else if (reason != null) words.push(`reason=${reason}`);
  if (frame !== undefined) words.push(`(${frame}): ${sentence}`);
  else if (sentence !== undefined) words.push(`(${sentence})`);
  return printable(
    `${time.slice(11, 23)}  ${node === undefined ? "" : `${node.padEnd(8)}  `}${(step ?? "-").padEnd(9)}  ${event.padEnd(18)}  ${words.join(" ")}`.trimEnd(),
  );
}
