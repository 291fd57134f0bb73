/** `vtepctl show track`: what routes, policies and the drain depend on. */
import type { Command } from "commander";
import type { Track } from "../api/schema-tracks.ts";
import { someNames } from "../wire/some-names.ts";
import { ask } from "./client.ts";
import { examples } from "./examples.ts";
import { printList, printValue, type Session } from "./output.ts";
import { missing, refresh, type Watch, watchOf } from "./refresh.ts";
import { tabular } from "./show.ts";
import { type Column, shortAge } from "./table.ts";

interface Options {
  readonly wide?: true;
  readonly lines?: number;
  readonly watch?: Watch | true;
}

const TRACK: readonly Column<Track>[] = [
  { title: "TRACK", of: (row) => row.name },
  { title: "TARGET", of: (row) => row.target },
  { title: "STATE", of: (row) => (row.blind !== null ? `${row.state} (blind)` : row.state), measured: true },
  { title: "SINCE", of: (row) => shortAge(row.seconds), right: true, measured: true },
  { title: "RTT-MS", of: (row) => row.rttMs, right: true, rank: 3, measured: true },
  { title: "ANSWERED", of: (row) => (row.kind === "ac" ? null : row.answered), right: true, rank: 4, measured: true },
  { title: "MISSED", of: (row) => (row.kind === "ac" ? null : row.missed), right: true, rank: 4, measured: true },
  { title: "USED-BY", of: (row) => someNames(row.uses, row.useCount), rank: 1 },
  { title: "PROBLEM", of: (row) => row.blind, rank: 2 },
];

export function addTrack(program: Command, session: Session): void {
  const show = program.commands.find((command) => command.name() === "show")!;
  const command = show.command("track").alias("tracks").description("tracks, and what depends on each");
  tabular(command)
    .argument("[names...]", "only these tracks")
    .addHelpText("after", examples("vtepctl show track", "vtepctl show track isp --watch=1"))
    .action(async (names: string[], options: Options) => {
      const watch = watchOf(options.watch);
      const read = async () => {
        const tracks = await ask<Track[]>(session.socket, "/v1/tracks");
        const unknown = names.find((each) => !tracks.some(({ name }) => name === each));
        if (unknown !== undefined) missing(watch, `there is no track ${unknown}`, "vtepctl show track lists all");
        return tracks.filter(({ name }) => names.length === 0 || names.includes(name));
      };
      await refresh(session, watch, read, async (output, tracks) => {
        const rows = tracks.slice(0, options.lines);
        if (output.form !== "table") return await printValue(output, rows);
        await printList(output, rows, TRACK, { none: "there is no track", isWide: options.wide === true });
      });
    });
}
