/** `vtepctl show bfd`: the sessions, and what was refused. */
import type { Command } from "commander";
import type { Bfd, BfdSession } from "../api/schema-bfd.ts";
import { ask } from "./client.ts";
import { examples } from "./examples.ts";
import { printBlocks, printList, printValue, type Session } from "./output.ts";
import { missing, refresh, type Watch, watchOf } from "./refresh.ts";
import { tabular } from "./show.ts";
import { type Column, shortAge } from "./table.ts";
import { write } from "./terminal.ts";

interface Options {
  readonly wide?: true;
  readonly lines?: number;
  readonly watch?: Watch | true;
}

const sinceText = ({ lastChange }: BfdSession) =>
  lastChange === null ? null : shortAge((Date.now() - Date.parse(lastChange.at)) / 1000);
const diagnosisText = ({ diagnosis, peer }: BfdSession) =>
  peer.diagnosis === "none" ? diagnosis : `${diagnosis}; peer ${peer.diagnosis}`;

const SESSION: readonly Column<BfdSession>[] = [
  { title: "TUNNEL", of: (row) => row.tunnel },
  { title: "PEER", of: (row) => row.remote },
  { title: "MODE", of: (row) => row.mode, rank: 3 },
  { title: "STATE", of: (row) => row.state, measured: true },
  { title: "PEER-STATE", of: (row) => row.peer.state, measured: true, rank: 1 },
  { title: "TUNNEL-IS", of: (row) => row.verdict, measured: true },
  { title: "SINCE", of: sinceText, right: true, measured: true },
  { title: "TX-MS", of: (row) => row.transmitMs, right: true },
  { title: "DETECT-MS", of: (row) => row.detectionMs, right: true },
  { title: "GAP-MS", of: (row) => Math.round(row.longestGapMs), right: true, rank: 2, measured: true },
  { title: "LATE", of: (row) => row.late, right: true, rank: 4, measured: true },
  { title: "RX", of: (row) => row.received, right: true, rank: 5, measured: true },
  { title: "TX", of: (row) => row.sent, right: true, rank: 5, measured: true },
  { title: "DIAGNOSIS", of: diagnosisText, rank: 6 },
];

const REFUSED: readonly Column<Bfd["refused"][number]>[] = [
  { title: "REFUSED", of: (row) => row.reason },
  { title: "PACKETS", of: (row) => row.count, right: true },
  { title: "TEXT", of: (row) => row.text, wraps: true },
];

export function addBfd(program: Command, session: Session): void {
  const show = program.commands.find((command) => command.name() === "show")!;
  tabular(show.command("bfd").description("BFD sessions with the peers of tunnels, and packets refused"))
    .argument("[words...]", "only the sessions of these tunnels; verbose: all of each")
    .addHelpText("after", examples("vtepctl show bfd", "vtepctl show bfd gw2 verbose", "vtepctl show bfd --watch=1"))
    .action(async (words: string[], options: Options) => {
      const watch = watchOf(options.watch);
      const names = words.filter((word) => word !== "verbose");
      const read = async () => {
        const view = await ask<Bfd>(session.socket, "/v1/bfd");
        const unknown = names.find((name) => !view.sessions.some(({ tunnel }) => tunnel === name));
        if (unknown !== undefined) missing(watch, `no tunnel ${unknown} has BFD`, "vtepctl show bfd lists all");
        const isMeant = ({ tunnel }: BfdSession) => names.length === 0 || names.includes(tunnel);
        return { ...view, sessions: view.sessions.filter(isMeant) };
      };
      await refresh(session, watch, read, async (output, view) => {
        if (output.form !== "table") return await printValue(output, view);
        const rows = view.sessions.slice(0, options.lines);
        if (view.problem !== null) await write(`${view.problem}\n`);
        if (names.length < words.length && rows.length > 0) await printBlocks(SESSION, rows);
        else await printList(output, rows, SESSION, { none: "no tunnel has BFD", isWide: options.wide === true });
        const refused = view.refused.filter(({ count }) => count > 0);
        if (refused.length === 0) return;
        await write("\n");
        await printList(output, refused, REFUSED, { isWide: options.wide === true });
        const last = view.lastRefused;
        if (last !== null) await write(`last from ${last.source}, hop count ${last.hops}, ${last.at}\n`);
      });
    });
}
