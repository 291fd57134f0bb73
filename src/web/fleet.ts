/**
 * The gateways, asked on behalf of the page: only when somebody looks, and at most once a second however many do.
 *
 * There is no timer here. A page that asks gets an answer that is younger than a second, and the first question after that
 * asks the gateways again. A gateway that does not answer keeps its place and its name, with the reason.
 */
import type { Ac, DropCount, Tunnel } from "../api/schema.ts";
import type { Check, Diagnosis } from "../api/schema-doctor.ts";
import type { Snapshot } from "../api/schema-snapshot.ts";
import { Refusal } from "../ctl/client.ts";
import { askAll } from "../ctl/fleet.ts";
import { fleetChecks, type Site } from "../ctl/fleet-check.ts";
import { askGateway, MOST_ROWS, nonsense } from "./answers.ts";
import { evpnOf, evpnRoutesOf } from "./evpn.ts";
import { linksOf } from "./links.ts";
import { RateBook } from "./rates.ts";
import { redundancyOf } from "./redundancy.ts";
import type { Examined, Fabric, GatewaySaid, History, TablesSaid } from "./said.ts";
import type { EvpnRoutesSaid, EvpnSaid } from "./said-evpn.ts";
import type { RedundancySaid } from "./said-redundancy.ts";

const FRESH_MS = 900;
const FRESH_CHECKS_MS = 5000;
const DOCTOR_MS = 15_000;
/** More are counted, and not drawn. */
const MOST_ACS = 512;
/** What one look at a gateway reads, at one moment. */
const SEEN = ["status", "vsis", "acs", "tunnels", "interfaces", "drops"] as const;
const LISTED = ["status", "neighbors", "macs", "routes"] as const;

interface Silent {
  readonly node: string;
  readonly address: string | null;
}

/** The last answer, while it is fresh; those who ask at once share one question. */
class Shared<T> {
  private readonly make: () => Promise<T>;
  private readonly freshMs: number;
  private readonly now: () => number;
  private last: { readonly atMs: number; readonly value: Promise<T> } | null = null;

  constructor(make: () => Promise<T>, freshMs: number, now: () => number) {
    this.make = make;
    this.freshMs = freshMs;
    this.now = now;
  }

  get(): Promise<T> {
    const atMs = this.now();
    if (this.last === null || atMs - this.last.atMs > this.freshMs) this.last = { atMs, value: this.make() };
    return this.last.value;
  }
}

export class Fleet {
  /** What is asked: sockets may come and go while the page is open. */
  readonly sockets: () => readonly string[];
  private readonly book = new RateBook();
  private readonly drops = new Map<string, { readonly atMs: number; readonly counts: ReadonlyMap<string, number> }>();
  private readonly known = new Map<string, Silent>();
  private readonly seen: Shared<Fabric>;
  private readonly examined: Shared<Examined>;
  private readonly listed: Shared<TablesSaid>;
  private readonly evpnSaid: Shared<EvpnSaid>;
  private readonly evpnListed: Shared<EvpnRoutesSaid>;
  private readonly redundancySaid: Shared<RedundancySaid>;

  /** @param now milliseconds, of a clock that does not jump. */
  constructor(sockets: () => readonly string[], now: () => number) {
    this.sockets = sockets;
    this.seen = new Shared(() => this.look(), FRESH_MS, now);
    this.examined = new Shared(() => this.examine(), FRESH_CHECKS_MS, now);
    this.listed = new Shared(() => this.list(), FRESH_MS, now);
    const nodeOf = (socket: string) => this.known.get(socket)?.node ?? nameOf(socket);
    this.evpnSaid = new Shared(() => evpnOf(this.sockets(), nodeOf), FRESH_MS, now);
    this.evpnListed = new Shared(() => evpnRoutesOf(this.sockets(), nodeOf), FRESH_MS, now);
    this.redundancySaid = new Shared(() => redundancyOf(this.sockets(), nodeOf), FRESH_MS, now);
  }

  fabric(): Promise<Fabric> {
    return this.seen.get();
  }

  doctor(): Promise<Examined> {
    return this.examined.get();
  }

  tables(): Promise<TablesSaid> {
    return this.listed.get();
  }

  evpn(): Promise<EvpnSaid> {
    return this.evpnSaid.get();
  }

  evpnRoutes(): Promise<EvpnRoutesSaid> {
    return this.evpnListed.get();
  }

  redundancy(): Promise<RedundancySaid> {
    return this.redundancySaid.get();
  }

  history(node: string, kind: string, name: string): History {
    return this.book.history(keyOf(node, kind, name));
  }

  private async look(): Promise<Fabric> {
    const gateways = await Promise.all(this.sockets().map((socket) => this.gateway(socket)));
    return { at: new Date().toISOString(), gateways, links: linksOf(gateways) };
  }

  private async gateway(socket: string): Promise<GatewaySaid> {
    try {
      const snapshot = await snapshotOf(socket, SEEN);
      const { status, vsis, acs, tunnels, interfaces, drops } = snapshot;
      const { node } = status;
      const { address } = status.underlay;
      this.known.set(socket, { node, address });
      // The gateway's own clock: what lies between two looks is what the counters lie apart.
      const atMs = Number(BigInt(snapshot.at.mono) / 1000n) / 1000;
      const rated = <T extends Ac | Tunnel>(kind: string, list: readonly T[]) =>
        list.map((each) => ({ ...each, rates: this.book.note(keyOf(node, kind, each.name), atMs, each) }));
      this.book.note(keyOf(node, "gateway", node), atMs, sumOf([...acs, ...tunnels]));
      const counted = this.countedDrops(node, atMs, drops);
      const perSecond = counted.map((drop) => drop.perSecond);
      return {
        node,
        address,
        error: null,
        status,
        vsis,
        acs: rated("ac", acs.slice(0, MOST_ACS)),
        tunnels: rated("tunnel", tunnels),
        interfaces,
        drops: counted,
        dropsPerSecond: perSecond.includes(null) ? null : perSecond.reduce<number>((sum, each) => sum + each!, 0),
      };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { message, hint } = error;
      const { node, address } = this.known.get(socket) ?? { node: nameOf(socket), address: null };
      const nothing = { vsis: [], acs: [], tunnels: [], interfaces: [], drops: [], dropsPerSecond: null };
      return { node, address, error: { message, hint }, status: null, ...nothing };
    }
  }

  private countedDrops(node: string, atMs: number, drops: readonly DropCount[]): GatewaySaid["drops"] {
    const last = this.drops.get(node);
    this.drops.set(node, { atMs, counts: new Map(drops.map(({ reason, count }) => [reason, count])) });
    const seconds = last === undefined ? 0 : (atMs - last.atMs) / 1000;
    return drops
      .filter(({ count }) => count > 0)
      .map((drop) => {
        const before = last?.counts.get(drop.reason);
        const isKnown = seconds > 0 && before !== undefined && drop.count >= before;
        return { ...drop, perSecond: isKnown ? (drop.count - before) / seconds : null };
      });
  }

  private async examine(): Promise<Examined> {
    const question = { timeoutMs: DOCTOR_MS };
    const answers = await askAll<Diagnosis>(this.sockets(), "/v1/doctor", "GET", question, askGateway);
    const { gateways } = await this.fabric();
    const own = answers.map(({ node, value, refusal }): { node: string; checks: readonly Check[] } => {
      if (value !== null) return { node, checks: value.checks };
      return { node, checks: [{ name: "daemon", result: "fail", text: refusal!.message, fix: refusal!.hint }] };
    });
    return { gateways: own, between: fleetChecks(sitesOf(gateways, await this.evpn())) };
  }

  /** What the gateways' configurations say against each other, now. */
  async disagreements(): Promise<string[]> {
    const { gateways } = await this.look();
    return fleetChecks(sitesOf(gateways, await this.evpn())).flatMap(({ result, text }) =>
      result === "ok" ? [] : [text],
    );
  }

  private async list(): Promise<TablesSaid> {
    const all = this.sockets().map(async (socket) => {
      try {
        const { status, neighbors, macs, routes, truncated } = await snapshotOf(socket, LISTED);
        const { counts } = status;
        const left = (table: (typeof truncated)[number], all: number, list: readonly unknown[]) =>
          truncated.includes(table) ? Math.max(1, all - list.length) : 0;
        // Hosts that ARP suppression answers for are rows, and in no count.
        const counted = neighbors.filter(({ state }) => state !== "suppressed");
        return {
          node: status.node,
          error: null,
          neighbors,
          macs,
          routes,
          left: {
            neighbors: left("neighbors", counts.neighbors, counted),
            macs: left("macs", counts.macs, macs),
            routes: left("routes", counts.routes, routes),
          },
        };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const { node } = this.known.get(socket) ?? { node: nameOf(socket) };
        const nothing = { neighbors: [], macs: [], routes: [], left: { neighbors: 0, macs: 0, routes: 0 } };
        return { node, error: error.message, ...nothing };
      }
    });
    return { gateways: await Promise.all(all) };
  }
}

/** The parts that were asked for are there. */
type With<P extends keyof Snapshot> = Snapshot & { readonly [K in P]: NonNullable<Snapshot[K]> };

async function snapshotOf<P extends keyof Snapshot>(socket: string, parts: readonly P[]): Promise<With<P>> {
  const path = `/v1/snapshot?parts=${parts.join(",")}&limit=${MOST_ROWS}`;
  const snapshot = await askGateway<With<P>>(socket, path);
  const missing = parts.find((part) => snapshot[part] === undefined);
  if (missing !== undefined) throw nonsense(`what it answered to GET /v1/snapshot lacks ${missing}`);
  return snapshot;
}

function sitesOf(gateways: readonly GatewaySaid[], evpn: EvpnSaid): Site[] {
  const members = new Set(evpn.gateways.flatMap((each) => (each.evpn === null ? [] : each.node)));
  return gateways.flatMap(({ node, status, vsis, interfaces, tunnels }) =>
    // Router ids are in no snapshot: each gateway's doctor says what it hears of them.
    status === null ? [] : [{ node, status, vsis, interfaces, tunnels, hasEvpn: members.has(node), routerId: null }],
  );
}

const keyOf = (node: string, kind: string, name: string): string => JSON.stringify([node, kind, name]);
const nameOf = (socket: string): string =>
  socket
    .split("/")
    .at(-1)!
    .replace(/\.sock$/, "");

type Counted = Pick<Ac, "receive" | "transmit">;

/** What went through all ports: each frame that is forwarded is in it twice, once a direction. */
function sumOf(all: readonly Counted[]): Counted {
  const sum = (side: "receive" | "transmit") => ({
    packets: all.reduce((total, each) => total + each[side].packets, 0),
    bytes: all.reduce((total, each) => total + each[side].bytes, 0),
  });
  return { receive: sum("receive"), transmit: sum("transmit") };
}
