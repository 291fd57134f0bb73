/** `vtepctl show evpn` and its tables, and what can be done about EVPN by hand. */
import type { Command } from "commander";
import type { Flushed } from "../api/schema.ts";
import type { Evpn, EvpnDuplicate, EvpnRefused, EvpnRoute, EvpnVtep } from "../api/schema-evpn.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { ENGINE_STATES } from "./evpn-words.ts";
import { examples } from "./examples.ts";
import { printList, printValue, type Session } from "./output.ts";
import { refresh, type Watch, watchOf } from "./refresh.ts";
import { limitOf, tabular } from "./show.ts";
import { type Column, shortAge } from "./table.ts";
import { write } from "./terminal.ts";
import { evpnRoutes } from "./vendor-words.ts";

interface Options {
  readonly wide?: true;
  readonly lines?: number;
  readonly watch?: Watch | true;
}

const ROUTE: readonly Column<EvpnRoute>[] = [
  { title: "DIR", of: (row) => row.direction },
  { title: "ROUTE", of: (row) => row.route },
  { title: "RD", of: (row) => row.rd, rank: 1 },
  { title: "NEXT-HOP", of: (row) => row.nextHop },
  { title: "SEQ", of: (row) => (row.sticky ? "sticky" : row.sequence), right: true },
  { title: "PREF", of: (row) => row.localPreference, right: true, rank: 7 },
  { title: "LABELS", of: (row) => row.labels.join(","), rank: 4 },
  { title: "TARGETS", of: (row) => row.targets.join(","), rank: 3 },
  { title: "PEER", of: (row) => row.peer, rank: 5 },
  { title: "VSI", of: (row) => row.vsi, rank: 2 },
  { title: "VRF", of: (row) => row.vrf, rank: 2 },
  { title: "STATE", of: (row) => row.state },
  { title: "AGE", of: (row) => shortAge(row.ageSeconds), right: true, rank: 6 },
];
/** Of rows that would be alike without it: the RD stays in the narrowest table. */
const ROUTE_BY_RD = ROUTE.map((column) => (column.title === "RD" ? { title: column.title, of: column.of } : column));

function routeColumns(rows: readonly EvpnRoute[]): readonly Column<EvpnRoute>[] {
  const texts = rows.map((row) => [row.direction, row.route, row.nextHop, row.sequence, row.state].join(" "));
  return new Set(texts).size < rows.length ? ROUTE_BY_RD : ROUTE;
}

const VTEP: readonly Column<EvpnVtep>[] = [
  { title: "VTEP", of: (row) => row.vtep },
  { title: "TUNNEL", of: (row) => row.tunnel },
  { title: "VNIS", of: (row) => row.vnis.join(",") },
  { title: "ROUTES", of: (row) => row.routes, right: true },
  {
    title: "PROBLEM",
    of: (row) => (row.lingering === true ? "lingering: its last route has gone" : row.refused),
    wraps: true,
  },
];
const DUPLICATE: readonly Column<EvpnDuplicate>[] = [
  { title: "VSI", of: (row) => row.vsi },
  { title: "MAC", of: (row) => row.mac },
  { title: "MOVES", of: (row) => row.moves, right: true },
  { title: "SINCE", of: (row) => shortAge(row.sinceSeconds), right: true },
  { title: "RECOVERS-IN", of: (row) => shortAge(row.recoversInSeconds), right: true },
];
const REFUSED: readonly Column<EvpnRefused>[] = [
  { title: "REASON", of: (row) => row.reason },
  { title: "ROUTES", of: (row) => row.count, right: true },
  { title: "TEXT", of: (row) => row.text, wraps: true },
];
const PEER: readonly Column<Evpn["peers"][number]>[] = [
  { title: "PEER", of: (row) => row.address },
  { title: "AS", of: (row) => row.as, right: true },
  { title: "STATE", of: (row) => row.state },
  { title: "ROUTES", of: (row) => row.routes, right: true },
  { title: "COMPLETE", of: (row) => (row.complete ? "yes" : "no") },
  { title: "UP", of: (row) => (row.upSince === null ? null : shortAge(Date.now() / 1000 - row.upSince)), right: true },
];
const pair = ({ used, out }: { readonly used: number; readonly out: number }) => `${used}/${out}`;
const VSI: readonly Column<Evpn["vsis"][number]>[] = [
  { title: "VSI", of: (row) => row.vsi },
  { title: "VNI", of: (row) => row.vni, right: true },
  { title: "RD", of: (row) => row.rd },
  { title: "IMPORT", of: (row) => row.import.join(",") },
  { title: "EXPORT", of: (row) => row.export.join(","), rank: 2 },
  { title: "VTEPS", of: (row) => row.vteps, right: true },
  { title: "MACS-IN/OUT", of: (row) => pair(row.macs), right: true },
  { title: "IPS-IN/OUT", of: (row) => pair(row.ips), right: true },
  { title: "DUPLICATES", of: (row) => row.duplicates, right: true, rank: 1 },
];

const VRF: readonly Column<Evpn["vrfs"][number]>[] = [
  { title: "VRF", of: (row) => row.vrf },
  { title: "L3VNI", of: (row) => row.l3vni, right: true },
  { title: "RD", of: (row) => row.rd },
  { title: "IMPORT", of: (row) => row.import.join(",") },
  { title: "EXPORT", of: (row) => row.export.join(","), rank: 2 },
  { title: "ROUTER-MAC", of: (row) => row.routerMac },
  { title: "VTEPS", of: (row) => row.vteps, right: true },
  { title: "PREFIXES-IN/OUT", of: ({ prefixes }) => `${prefixes.in}/${prefixes.out}`, right: true },
];

function engineText({ engine, state, stateSeconds, as, routerId }: Evpn): string {
  const api = engine.api === null ? "" : `, API ${engine.api}`;
  const problem = engine.problem === null ? "" : `: ${engine.problem}`;
  return `engine   ${engine.socket}${api}, AS ${as}, router id ${routerId}: ${ENGINE_STATES[state]} since ${shortAge(stateSeconds)}${problem}\n`;
}

function sharedText({ routerId, isOurs, vteps }: NonNullable<Evpn["sharedRouterIds"]>[number]): string {
  const whose = isOurs ? `is ours, and that of ${vteps.join(", ")}` : `is that of ${vteps.join(", ")}`;
  return `problem  router id ${routerId} ${whose}: give each its own evpn.routerId\n`;
}

function addShowEvpn(show: Command, session: Session): void {
  const evpn = tabular(show.command("evpn").description("BGP EVPN: engine, sessions, VSIs; or one of its tables"));
  evpn
    .addHelpText(
      "after",
      examples("vtepctl show evpn", "vtepctl show evpn routes 10.1.1.21", "vtepctl show evpn vteps"),
    )
    .action(async (options: Options) => {
      const read = () => ask<Evpn>(session.socket, "/v1/evpn");
      await refresh(session, watchOf(options.watch), read, async (output, view) => {
        if (output.form !== "table") return await printValue(output, view);
        const { in: heard, out, stale, pending } = view.routes;
        const rest = `${stale > 0 ? `, ${stale} of them stale` : ""}${pending > 0 ? `; ${pending} changes wait` : ""}`;
        await write(`${engineText(view)}routes   ${heard} in, ${out} out${rest}\n`);
        for (const shared of view.sharedRouterIds ?? []) await write(sharedText(shared));
        await write("\n");
        const isWide = options.wide === true;
        const none = view.engine.up
          ? "there is no peer: add evpn.peers"
          : "its peers are not known: the engine does not answer";
        await printList(output, view.peers, PEER, { isWide, none });
        await write("\n");
        await printList(output, view.vsis, VSI, { isWide, none: "there is no VSI with evpn" });
        if (view.vrfs.length === 0) return;
        await write("\n");
        await printList(output, view.vrfs, VRF, { isWide });
      });
    });
  const table = <T>(name: string, says: string, path: string, columns: readonly Column<T>[], none: string) => {
    tabular(evpn.command(name).description(says))
      .argument("[words...]", "only rows in which all these words stand")
      .addHelpText("after", examples(`vtepctl show evpn ${name}`))
      .action(async (words: string[], options: Options) => {
        const has = (row: T) => words.every((word) => columns.some(({ of }) => String(of(row)).includes(word)));
        const { limit } = limitOf(path, words, options.lines);
        const asked = limit === undefined ? path : `${path}?limit=${limit}`;
        const read = async () => (await ask<T[]>(session.socket, asked)).filter(has).slice(0, options.lines);
        await refresh(session, watchOf(options.watch), read, (output, rows) =>
          printList(output, rows, columns, { isWide: options.wide === true, none }),
        );
      });
  };
  addRoutes(evpn.command("routes").alias("route"), "show evpn routes", session);
  const bgp = show.command("bgp").description("the same in H3C's words: l2vpn evpn");
  addRoutes(bgp.command("l2vpn").command("evpn"), "display bgp l2vpn evpn", session);
  table("vteps", "VTEPs that routes name", "/v1/evpn/vteps", VTEP, "no route names a VTEP");
  table("duplicates", "MACs that move too often", "/v1/evpn/duplicates", DUPLICATE, "no MAC moves too often");
  table("refused", "routes not used, by reason", "/v1/evpn/refused", REFUSED, "no route was refused");
}

/** `show evpn routes`, and in H3C's words `display evpn route mac`, `display bgp l2vpn evpn`. */
function addRoutes(command: Command, typed: string, session: Session): void {
  tabular(command.description("routes as they came, and what became of each"))
    .argument("[words...]", "mac, arp, nd, imet or prefix: one kind; and only rows in which all these words stand")
    .addHelpText("after", examples(`vtepctl ${typed}`, `vtepctl ${typed} mac`, `vtepctl ${typed} 10.1.1.21`))
    .action(async (said: string[], options: Options) => {
      const { isMeant, words } = evpnRoutes(said);
      const has = (row: EvpnRoute) => words.every((word) => ROUTE.some(({ of }) => String(of(row)).includes(word)));
      const read = async () => {
        const rows = await ask<EvpnRoute[]>(session.socket, "/v1/evpn/routes");
        return rows.filter((row) => isMeant(row.route) && has(row)).slice(0, options.lines);
      };
      await refresh(session, watchOf(options.watch), read, (output, rows) =>
        printList(output, rows, routeColumns(rows), { isWide: options.wide === true, none: "there is no such route" }),
      );
    });
}

export function addEvpn(program: Command, session: Session): void {
  addShowEvpn(program.commands.find((command) => command.name() === "show")!, session);
  const evpn = program.command("evpn").description("do something about BGP EVPN");
  evpn
    .command("resync")
    .description("ask the engine for all routes once more")
    .addHelpText("after", examples("vtepctl evpn resync"))
    .action(async () => {
      await ask(session.socket, "/v1/evpn/resync", "POST");
      if (session.output.form === "table") await write("all routes are being listed once more\n");
    });
  evpn
    .command("withdraw")
    .description("take everything back that a gateway announced which is gone for good; no daemon is needed")
    .requiredOption("--engine <socket>", "gobgpd's Unix socket")
    .option("--vtep <address>", "only routes of that VTEP; absent: all that came by no session")
    .addHelpText("after", examples("vtepctl evpn withdraw --engine /run/vtepd/bgp.sock"))
    .action(async ({ engine, vtep }: { engine: string; vtep?: string }) => {
      const { reasonOf, retire } = await import("../bgp/retire.ts");
      const said = await retire(engine, "auto", vtep ?? null).catch((error: Error) => {
        throw new Refusal(
          "unreachable",
          `no engine answers at ${engine}: ${reasonOf(error)}`,
          "is gobgpd running, and may you use its socket?",
          EXIT.unreachable,
        );
      });
      if (session.output.form !== "table") return await printValue(session.output, said);
      const { hosts, prefixes, flooding } = said;
      await write(`withdrawn: ${hosts} of hosts, ${prefixes} of prefixes, ${flooding} of flooding\n`);
    });
  evpn
    .command("clear-duplicate")
    .description("believe a MAC again that moved too often")
    .argument("[mac]", "the MAC; absent: all of them")
    .addHelpText("after", examples("vtepctl evpn clear-duplicate 02:00:00:00:01:11"))
    .action(async (mac: string | undefined) => {
      const query = mac === undefined ? "" : `?mac=${encodeURIComponent(mac)}`;
      const answer = await ask<Flushed>(session.socket, `/v1/evpn/duplicates${query}`, "DELETE");
      if (session.output.form !== "table") return await printValue(session.output, answer);
      await write(`${answer.removed} cleared\n`);
    });
}
