/** `vtepctl show next-hop`: what routes and policies send to, and whether it lives. */
import type { Command } from "commander";
import type { HeldHop } from "../api/schema-next-hop.ts";
import { ask } from "./client.ts";
import { examples } from "./examples.ts";
import { printList, type Session } from "./output.ts";
import { refresh, type Watch, watchOf } from "./refresh.ts";
import { tabular } from "./show.ts";
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
  { title: "STATE", of: (row) => (row.alive ? "alive" : "dead"), measured: true },
  {
    title: "SINCE",
    of: (row) => (row.deadSeconds === null ? null : shortAge(row.deadSeconds)),
    right: true,
    measured: true,
  },
  { title: "USED-BY", of: (row) => row.uses.join("; "), rank: 1 },
];

export function addNextHop(program: Command, session: Session): void {
  const show = program.commands.find((command) => command.name() === "show")!;
  const command = show.command("next-hop").alias("next-hops").description("next hops of routes and policies");
  tabular(command)
    .argument("[addresses...]", "only these")
    .option("--dead", "only those that are dead")
    .addHelpText("after", examples("vtepctl show next-hop", "vtepctl show next-hop --dead --watch=1"))
    .action(async (addresses: string[], options: Options) => {
      const path = `/v1/next-hops${options.dead ? "?dead=true" : ""}`;
      const read = () => ask<HeldHop[]>(session.socket, path);
      await refresh(session, watchOf(options.watch), read, async (output, hops) => {
        const chosen = hops.filter(({ ip }) => addresses.length === 0 || addresses.includes(ip));
        const none = options.dead ? "no next hop is dead" : "no route or policy has a next hop";
        await printList(output, chosen.slice(0, options.lines), HOP, { none, isWide: options.wide === true });
      });
    });
}
