/**
 * `vtepctl observe` and `vtepctl show events`: what the gateway does and why, as it happens or a moment ago.
 *
 * A line has the time, the article's step where there is one, the event and its fields; a dropped frame has its reason, its
 * place and itself in one line. With -o json each record is one line as well, for `jq`.
 */
import type { Command } from "commander";
import type { EventRecord } from "../api/schema-watch.ts";
import { printable, printableJson } from "../wire/printable.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { type Output, printValue, type Session } from "./output.ts";
import { follow } from "./stream.ts";
import { put, say, write } from "./terminal.ts";

interface Options {
  readonly follow?: boolean;
  readonly drop?: boolean;
  readonly ac?: string;
  readonly tunnel?: string;
  readonly vsi?: string;
  readonly event?: string;
}

export function addObserve(program: Command, session: Session): void {
  filtered(program.command("observe"))
    .description("what happens: events with the article's steps, and drops with reason and place")
    .option("-f, --follow", "from now on, until interrupted; without it what show events shows")
    .option("--drop", "drops alone, from now on")
    .addHelpText(
      "after",
      examples("vtepctl observe -f", "vtepctl observe --drop --ac vm1", "vtepctl observe -f --event 'arp.*' -o json"),
    )
    .action((options: Options) => {
      if (options.follow === true || options.drop === true) return live(session, options);
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
    .option("--event <name>", "only these; * stands for any text");
}

function queryOf({ ac, tunnel, vsi, event, drop }: Options): string {
  const all = { ac, tunnel, vsi, event, drop: drop === true ? "1" : undefined };
  const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

async function past({ socket, output }: Session, options: Options): Promise<void> {
  const records = await ask<EventRecord[]>(socket, `/v1/events/recent${queryOf(options)}`);
  await noteUnknown(socket, options);
  if (output.form !== "table") return await printValue(output, records);
  await write(records.map((record) => `${text(record)}\n`).join(""));
}

async function live({ socket, output }: Session, options: Options): Promise<void> {
  await noteUnknown(socket, options);
  const print = (line: string) => {
    if (line.startsWith("data: ")) void put(`${formed(output, line.slice("data: ".length))}\n`);
  };
  const lines = await follow(socket, `/v1/events${queryOf(options)}`, print);
  const stop = () => lines.stop();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  const isOurs = await lines.ended;
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop);
  if (isOurs) return;
  throw new Refusal("ended", "the daemon ended the stream", "it was stopped, or restarted", EXIT.unreachable);
}

/** A name that nothing has now may be that of a thing that has gone, or that will come: said, and not refused. */
async function noteUnknown(socket: string, { ac, tunnel, vsi }: Options): Promise<void> {
  for (const [kind, name, path] of [
    ["AC", ac, "/v1/acs"],
    ["tunnel", tunnel, "/v1/tunnels"],
    ["VSI", vsi, "/v1/vsis"],
  ] as const) {
    if (name === undefined) continue;
    const all = await ask<{ name: string }[]>(socket, path);
    if (all.some((each) => each.name === name)) continue;
    say(`note: there is no ${kind} ${name} now (vtepctl show ${kind.toLowerCase()} lists them)\n`);
  }
}

/** JSON, and YAML, which a JSON line is: one record a line. */
function formed({ form }: Output, json: string): string {
  return form === "table" ? text(JSON.parse(json) as EventRecord) : printableJson(json);
}

/** `12:00:00.000  S1.2  arp.proxy-reply  vsi=vsi10 ac=vm1 ip=10.1.1.12`. */
function text({ time, step, event, fields }: EventRecord): string {
  const { reason, text: sentence, frame, ...rest } = fields;
  const words = Object.entries(rest).map(([key, value]) => `${key}=${value}`);
  if (event === "drop") words.unshift(`${reason}`);
  else if (reason != null) words.push(`reason=${reason}`);
  if (frame !== undefined) words.push(`(${frame}): ${sentence}`);
  else if (sentence !== undefined) words.push(`(${sentence})`);
  return printable(
    `${time.slice(11, 23)}  ${(step ?? "-").padEnd(4)}  ${event.padEnd(18)}  ${words.join(" ")}`.trimEnd(),
  );
}
