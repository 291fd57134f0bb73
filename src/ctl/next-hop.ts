/** `vtepctl show next-hop`: what routes and policies send to, and whether it lives. */
import { isIP } from "node:net";
import type { Command } from "commander";
import type { HeldHop } from "../api/schema-next-hop.ts";
import { formatIpv6, parseIpv6 } from "../wire/ipv6.ts";
import { someNames } from "../wire/some-names.ts";
import { ask } from "./client.ts";
import { examples } from "./examples.ts";
import { printList, type Session } from "./output.ts";
import { missing, refresh, type Watch, watchOf } from "./refresh.ts";
import { hasAll, tabular } from "./show.ts";
import { type Column, shortAge } from "./table.ts";

interface Options {
  readonly wide?: true;
  readonly lines?: number;
  readonly dead?: true;
  readonly watch?: Watch | true;
}

const HOP: readonly Column<HeldHop>[] = [
  { title: "NEXT-HOP", of: (row) => row.ip },
  { title: "TUNNEL", of: (row) => row.tunnel },
  { title: "INTERFACE", of: (row) => row.interface },
  { title: "STATE", of: stateText, measured: true },
  {
    title: "SINCE",
    of: (row) => (row.deadSeconds === null ? null : shortAge(row.deadSeconds)),
    right: true,
    measured: true,
  },
  { title: "CAUSE", of: (row) => row.cause, rank: 1 },
  { title: "USED-BY", of: (row) => someNames(row.uses, row.useCount), rank: 1 },
];

/** A daemon that is older does not say whether one was found. */
function stateText({ alive, found }: HeldHop): string {
  if (!alive) return "dead";
  return found === false ? "unused" : "alive";
}

/** What a row is found by: of what goes by a next hop, only a part is known here. */
const SOUGHT = HOP.filter(({ title }) => title !== "USED-BY");

export function addNextHop(program: Command, session: Session): void {
  const show = program.commands.find((command) => command.name() === "show")!;
  const command = show.command("next-hop").alias("next-hops").description("next hops of routes and policies");
  tabular(command)
    .argument(
      "[words...]",
      "only those with all these words: an address (fe80::2%vsi-interface10 where it is of the link), a name; none: exit code 4",
    )
    .option("--dead", "only those that are dead")
    .addHelpText(
      "after",
      examples("vtepctl show next-hop", "vtepctl show next-hop 10.1.1.2", "vtepctl show next-hop --dead --watch=1"),
    )
    .action(async (given: string[], options: Options) => {
      const watch = watchOf(options.watch);
      const words = [...(watch?.word == null ? [] : [watch.word]), ...given].flatMap(cellsOf);
      const kind = options.dead ? "dead next hop" : "next hop";
      const notThere = `no ${kind} has ${words.join(" and ")}`;
      const read = async () => {
        const hops = await ask<HeldHop[]>(session.socket, `/v1/next-hops${options.dead ? "?dead=true" : ""}`);
        const chosen = hops.filter((hop) => hasAll(words, hop, SOUGHT));
        if (words.length > 0 && chosen.length === 0) missing(watch, notThere, "vtepctl show next-hop lists all");
        return chosen.slice(0, options.lines);
      };
      const nothing = options.dead ? "no next hop is dead" : "no route or policy has a next hop";
      const none = words.length > 0 ? notThere : nothing;
      await refresh(session, watch, read, async (output, hops) => {
        await printList(output, hops, HOP, { none, isWide: options.wide === true });
      });
    });
}

/** An address as the daemon writes it, and the VSI-interface or, as routes are shown (10.1.1.2@b1), the tunnel that it names; another word as it is. */
function cellsOf(word: string): string[] {
  const at = word.lastIndexOf("@");
  if (at > 0) return [...cellsOf(word.slice(0, at)), word.slice(at + 1)];
  const [address = "", zone, more] = word.split("%");
  if (isIP(address) === 0 || more !== undefined) return [word];
  const ip = parseIpv6(address);
  return [ip === null ? address : formatIpv6(ip), ...(zone ? [zone] : [])];
}
