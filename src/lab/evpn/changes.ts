/**
 * What is lost when something changes: a host that moves, an engine that dies, reflectors that go. A hundred frames a second run in
 * both directions meanwhile.
 */
import { until } from "../deadline.ts";
import type { LabState } from "../state.ts";
import { killEngine, moveRoamer, startEngine } from "./bed.ts";
import { evpnOf, routeAtGateway } from "./eyes.ts";
import { GATEWAYS, LEAF, ROAMER, ROAMER_PORTS } from "./fabric.ts";
import { fdbRow, hostRoute, macRoute, macRow, routeOnFrr, routeOnGateway, tunnelName, vtepOf } from "./finding.ts";
import { killDaemon, startDaemon } from "./frr.ts";
import { type FabricPart, type FabricRow, type FabricStep, see } from "./rows.ts";
import { type Lost, type Stream, startStream } from "./stream.ts";

/** A host that moves is found again within that. */
const MOVE_MS = 1000;
/** Sessions begin anew 5 to 7 s after an engine or a reflector; a busy machine takes longer. */
const RETURN_MS = 30_000;
const CALM_MS = 1500;
const FLOWING_MS = 250;
const SETTLE_MS = 60_000;
/** How long both reflectors are away. */
const AWAY_MS = 3000;

/** A figure of the report, for programs too. */
export interface Loss extends Lost {
  readonly event: string;
}

export interface Changes {
  readonly part: FabricPart;
  readonly losses: readonly Loss[];
}

/** Run `event` under streams between these pairs, which end when all have flowed again for a while. */
async function under(
  state: LabState,
  pairs: readonly (readonly [string, string])[],
  event: () => Promise<void>,
): Promise<Lost[]> {
  const streams = await Promise.all(pairs.map(([from, to]) => startStream(state, from, to)));
  try {
    await event();
    await calm(streams);
  } catch {
    // What does not flow any more shows in what is lost.
  }
  return await Promise.all(streams.map((each) => each.end()));
}

async function calm(streams: readonly Stream[]): Promise<void> {
  let since = performance.now();
  await until("frames flow again", RETURN_MS, () => {
    if (!streams.every((each) => each.isFlowing(FLOWING_MS))) since = performance.now();
    return performance.now() - since > CALM_MS;
  });
}

/** @param most milliseconds without an answer */
function lossRow(lost: Lost, most: number): FabricRow {
  const { from, to, sent, there, back, silentMs } = lost;
  const sum = there + back;
  const ways =
    sum === 0 ? "" : `: ${there} on the way there, ${back} on the way back, ${silentMs} ms without an answer`;
  return {
    place: `frames ${from} → ${to}`,
    expected: most === 0 ? "none lost" : `at most ${most} ms without an answer`,
    observed: `${sum} of ${sent} lost${ways}`,
    holds: sent > 0 && (most === 0 ? sum === 0 : silentMs <= most),
  };
}

/** Only what went there must be whole; what came back is told. */
function sentRow(lost: Lost, most: number): FabricRow {
  const row = lossRow(lost, most);
  return { ...row, expected: `none lost on the way there, ${row.expected}`, holds: row.holds && lost.there === 0 };
}

export async function changeThings(state: LabState, firstStep: number, say: (text: string) => void): Promise<Changes> {
  const steps: FabricStep[] = [];
  const losses: Loss[] = [];
  const add = (text: string, event: string, lost: readonly Lost[], rows: readonly FabricRow[]) => {
    steps.push({ number: firstStep + steps.length, text, rows });
    losses.push(...lost.map((each) => ({ event, ...each })));
  };
  const places = Object.keys(ROAMER_PORTS);
  for (const [n, to] of [...places.slice(1), places[0]!].entries()) {
    const from = places[n]!;
    say(`vm7 moves from ${from} to ${to}`);
    const lost = await under(state, [["h20", "vm7"]], () => moveRoamer(state, from, to));
    const rows = [lossRow(lost[0]!, MOVE_MS), ...(await moveRows(state, from, to, n + 1))];
    add(`vm7 moves from ${from} to ${to}, while h20 pings it`, `move ${from} → ${to}`, lost, rows);
  }
  say("gw1's gobgpd is killed, and starts again");
  {
    const pairs = [
      ["vm1", "vm4"],
      ["vm2", "h20"],
      ["vm5", "h10"],
    ] as const;
    const lost = await under(state, pairs, async () => {
      await killEngine(state, "gw1");
      await startEngine(state, "gw1");
      await untilSynced(state);
    });
    const [gateway, leaf, witness] = lost as [Lost, Lost, Lost];
    const rows = [lossRow(gateway, 0), sentRow(leaf, RETURN_MS), lossRow(witness, 0), await syncRow(state, "gw1")];
    add("the engine of gw1 dies (kill -9), and is started again at once", "engine of gw1 killed", lost, rows);
  }
  const pairs = [
    ["vm1", "vm4"],
    ["vm2", "h20"],
  ] as const;
  say("rr1 is killed");
  {
    const lost = await under(state, pairs, () => killDaemon(state, "rr1", "bgpd"));
    add(
      "one of the two reflectors dies: rr1",
      "rr1 killed",
      lost,
      lost.map((each) => lossRow(each, 0)),
    );
  }
  say("rr2 is killed too; both come back");
  {
    const lost = await under(state, pairs, async () => {
      await killDaemon(state, "rr2", "bgpd");
      await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
      for (const each of ["rr1", "rr2"]) await startDaemon(state, each, "bgpd");
      await untilSynced(state);
    });
    const rows = [
      lossRow(lost[0]!, 0),
      lossRow(lost[1]!, AWAY_MS + RETURN_MS),
      ...(await Promise.all(GATEWAYS.map(({ name }) => syncRow(state, name)))),
    ];
    add(
      `the other one too: no session is left for ${AWAY_MS / 1000} s and what it takes to begin them anew`,
      "both reflectors killed",
      lost,
      rows,
    );
  }
  return { part: { title: "What is lost when things change", steps }, losses };
}

const isSynced = async (state: LabState, node: string) => {
  const { state: sync, routes } = await evpnOf(state, node);
  return sync === "synced" && routes.stale === 0;
};
async function untilSynced(state: LabState): Promise<void> {
  await until(
    "all in sync",
    SETTLE_MS,
    async () => {
      for (const { name } of GATEWAYS) if (!(await isSynced(state, name))) return false;
      return true;
    },
    200,
  );
}

const syncRow = (state: LabState, node: string) =>
  see(`table of ${node}`, "in sync, no stale route", async () => {
    const { state: sync, routes } = await evpnOf(state, node);
    const text = `${sync === "synced" ? "in sync" : sync}, ${routes.stale === 0 ? "no stale route" : `${routes.stale} stale routes`}`;
    return { text, holds: sync === "synced" && routes.stale === 0 };
  });

/** The new place's route with its sequence, the entries that follow it, and the end of the old place's. */
async function moveRows(state: LabState, from: string, to: string, sequence: number): Promise<FabricRow[]> {
  const { mac, address, vxlan, name } = ROAMER;
  const route = hostRoute(mac, address);
  const vtep = vtepOf(to);
  // FRR learns the MAC from the announcement, and the address when the host speaks to its gateway.
  const rows =
    to === LEAF.name
      ? [await routeOnGateway(state, "gw1", macRoute(mac), vtep, `of ${name}`, sequence)]
      : [await routeOnFrr(state, route, vtep, `of ${name}`, sequence), await fdbRow(state, vxlan!, mac, vtep)];
  for (const each of GATEWAYS)
    rows.push(await macRow(state, each.name, mac, each.name === to ? name : tunnelName(vtep)));
  const watcher = GATEWAYS.find((each) => each.name !== from)!.name;
  rows.push(
    await see(`route of ${name} by ${from}, seen at ${watcher}`, "withdrawn", async () => {
      const texts = [route, macRoute(mac)];
      const left = await Promise.all(texts.map((text) => routeAtGateway(state, watcher, text, vtepOf(from))));
      const isGone = left.every((each) => each === null);
      return { text: isGone ? "withdrawn" : "still there", holds: isGone };
    }),
  );
  return rows;
}
