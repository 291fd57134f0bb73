/**
 * gobgpd as the engine: connect, set it up, watch it, bring its routes; and when it is gone, try again until it is back.
 *
 * A connection begins with the watch, and only when that stands (gobgpd tells the state of all sessions, and that this was all)
 * the table is listed: what changes meanwhile waits behind the list, so nothing is missed between the two. A list and a watch
 * together are a `snapshot`; `resync` asks for another list. When a peer has sent everything: end-of-rib.ts.
 *
 * Routes of ours go out one call each, WIDTH at a time, so that the answer belongs to one route. gobgpd keeps them when we go.
 */
import type { ClientReadableStream } from "@grpc/grpc-js";
import { type EvpnRoute, keyOf } from "../evpn/route.ts";
import { ANSWER_MS, Calls, reasonOf } from "./calls.ts";
import { FAMILY_EVPN, pathOf } from "./codec.ts";
import type { Fields } from "./dialect.ts";
import { END_OF_RIB_TIMES, EndOfRib, type EndOfRibTimes } from "./end-of-rib.ts";
import {
  type Engine,
  type EngineEvent,
  type EngineRequest,
  MOST_WAITING,
  type PeerView,
  ROWS_PER_BATCH,
  type RouteRow,
} from "./engine.ts";
import { isMark, rowOf, withoutMobility } from "./rows.ts";
import { listSessions, settleSessions, viewOf } from "./sessions.ts";

const RETRY_FIRST_MS = 100;
const RETRY_MOST_MS = 2000;
const INIT_MS = 1000;
const WIDTH = 32;
const BATCH = 1000;
const PEER_END_OF_INIT = 2;
/** The engine's port for sessions that others begin: none, we begin them all. */
const NO_PORT = -1;

/** Filters of the watch, counted from the dialect's first value. */
const FILTER_BEST = 0;
const FILTER_END_OF_RIB = 3;
const TABLE_GLOBAL = 0;

/** How long it is waited for one answer, and for the next message of a list, before the engine is given up. */
export interface Patience extends EndOfRibTimes {
  readonly answerMs: number;
  readonly listMs: number;
}

const PATIENCE: Patience = { answerMs: ANSWER_MS, listMs: 30_000, ...END_OF_RIB_TIMES };

interface Task {
  readonly method: "AddPath" | "DeletePath";
  readonly route: EvpnRoute;
}

export class Gobgp implements Engine {
  private request: EngineRequest;
  private readonly emit: (event: EngineEvent) => void;
  private readonly patience: Patience;
  private calls: Calls | null = null;
  private watch: ClientReadableStream<Fields> | null = null;
  private list: ClientReadableStream<Fields> | null = null;
  private isClosed = false;
  private isListing = false;
  private retryMs = RETRY_FIRST_MS;
  /** Nothing more of a list is read for now. */
  private isPaused = false;
  /** What the watch told while a list was under way; null: too much. */
  private held: RouteRow[] | null = [];
  private rows: RouteRow[] = [];
  private readonly peers = new Map<string, PeerView>();
  private readonly ends: EndOfRib;
  /** What has to be asked, by key: of two wishes about one route the later one counts. */
  private readonly tasks = new Map<string, Task>();
  private readonly underWay = new Set<string>();
  private settling: Promise<void> = Promise.resolve();

  constructor(request: EngineRequest, emit: (event: EngineEvent) => void, patience = PATIENCE) {
    this.request = request;
    this.emit = emit;
    this.patience = patience;
    this.ends = new EndOfRib(patience, (peer) => this.endOfRib(peer), request.isAgain);
    void this.connect();
  }

  announce(routes: readonly EvpnRoute[]): void {
    this.enqueue("AddPath", routes);
  }

  withdraw(routes: readonly EvpnRoute[]): void {
    this.enqueue("DeletePath", routes.map(withoutMobility));
  }

  resync(): void {
    if (this.calls !== null && !this.isListing) this.snapshot(this.calls);
  }

  /** Read no further in the list until `readOn`. */
  pause(): void {
    this.isPaused = true;
    this.list?.pause();
  }

  readOn(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.list?.resume();
  }

  setPeers(request: EngineRequest): void {
    this.request = request;
    if (this.calls !== null) this.settlePeers(this.calls).catch((error) => this.lose(error));
  }

  close(): void {
    this.isClosed = true;
    this.drop();
  }

  // ---- the connection --------------------------------------------------------------------------------------------------

  private async connect(): Promise<void> {
    try {
      const { socket, api } = this.request;
      const calls = await Calls.open(socket, api, this.patience.answerMs);
      if (this.isClosed) return calls.close();
      this.calls = calls;
      const global = await this.start(calls);
      await this.settlePeers(calls);
      await this.openWatch(calls);
      if (this.calls !== calls) return;
      this.retryMs = RETRY_FIRST_MS;
      this.emit({ kind: "ready", api: calls.dialect.name, ...global });
      this.tellPeers();
      this.snapshot(calls);
      this.askUptimes(calls);
    } catch (error) {
      this.lose(error);
    }
  }

  /** BGP with our AS and router id: begun if it was not, refused if it is another. */
  private async start(calls: Calls): Promise<{ as: number; routerId: string }> {
    const { as, routerId } = this.request;
    const answer = await calls.ask("GetBgp", {}).catch(() => ({}) as Fields);
    const global = (answer.global ?? {}) as Fields;
    const found = Number(global.asn ?? 0);
    if (found === 0) {
      await calls.ask("StartBgp", { global: { asn: as, routerId, listenPort: NO_PORT } });
      return { as, routerId };
    }
    if (found !== as) throw new Error(`the engine is of AS ${found}, evpn.as is ${as}`);
    if (global.routerId !== routerId)
      throw new Error(`the engine has router id ${global.routerId}, evpn.routerId is ${routerId}`);
    return { as: found, routerId };
  }

  /** One after the other: a change that comes while another is under way is settled behind it. */
  private settlePeers(calls: Calls): Promise<void> {
    this.settling = this.settling
      .catch(() => undefined)
      .then(async () => {
        if (this.calls !== calls) return;
        const ended = await settleSessions(calls, this.request, this.patience.answerMs);
        for (const address of ended) if (this.peers.delete(address)) this.ends.forget(address);
        if (ended.length > 0 && this.watch !== null) this.tellPeers();
      });
    return this.settling;
  }

  /** Resolves when the engine has told of all sessions: from then on no route is missed. */
  private openWatch(calls: Calls): Promise<void> {
    const { enumBase } = calls.dialect;
    // Of marks also those that came before us; routes come by the list.
    const filters = [
      { type: FILTER_BEST + enumBase, init: false },
      { type: FILTER_END_OF_RIB + enumBase, init: true },
    ];
    const watch = calls.listen("WatchEvent", { peer: {}, table: { filters }, batchSize: BATCH });
    this.watch = watch;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, INIT_MS);
      watch.on("data", (answer: Fields) => {
        if (this.watch !== watch) return;
        const peer = answer.peer as Fields | null;
        if (peer?.type === PEER_END_OF_INIT) {
          clearTimeout(timer);
          resolve();
        } else if (peer != null) this.notePeer(peer.peer as Fields | null);
        else this.notePaths(calls, ((answer.table as Fields | null)?.paths ?? []) as Fields[]);
      });
      watch.on("error", (error) => this.watch === watch && this.lose(error));
      watch.on("end", () => this.watch === watch && this.lose(new Error("the engine closed the connection")));
    });
  }

  private lose(error: unknown): void {
    if (this.isClosed) return;
    this.drop();
    this.emit({ kind: "lost", reason: reasonOf(error) });
    setTimeout(() => !this.isClosed && void this.connect(), this.retryMs).unref();
    this.retryMs = Math.min(RETRY_MOST_MS, this.retryMs * 2);
  }

  private drop(): void {
    const { calls, watch, list } = this;
    this.calls = null;
    this.watch = null;
    this.list = null;
    for (const stream of [watch, list]) {
      stream?.on("error", () => undefined);
      stream?.cancel();
    }
    calls?.close();
    this.isListing = false;
    this.isPaused = false;
    this.held = [];
    this.rows = [];
    this.tasks.clear();
    this.underWay.clear();
    this.peers.clear();
    this.ends.clear();
  }

  // ---- routes in -------------------------------------------------------------------------------------------------------

  private snapshot(calls: Calls): void {
    this.isListing = true;
    this.emit({ kind: "snapshot" });
    const list = calls.listen("ListPath", {
      tableType: TABLE_GLOBAL + calls.dialect.enumBase,
      family: FAMILY_EVPN,
      batchSize: BATCH,
    });
    this.list = list;
    // A list that stands still would hold back what the watch tells, for ever.
    const timer = setTimeout(() => {
      if (this.list !== list) return;
      if (this.isPaused) timer.refresh();
      else this.lose(new Error(`the engine's list of routes stands still for ${this.patience.listMs / 1000} s`));
    }, this.patience.listMs);
    list.on("close", () => clearTimeout(timer));
    list.on("data", (answer: Fields) => {
      if (this.list !== list) return;
      timer.refresh();
      const destination = answer.destination as Fields | null;
      // The first path is the best one of its key, and the only one that stands.
      const first = ((destination?.paths ?? []) as Fields[])[0];
      const row = first === undefined ? null : rowOf(first, calls);
      if (row !== null) this.add(row);
    });
    list.on("error", (error) => this.list === list && this.lose(error));
    list.on("end", () => {
      if (this.list !== list) return;
      this.isListing = false;
      this.flush();
      const { held } = this;
      this.held = [];
      // What is not known any more is in another list.
      if (held === null) return this.snapshot(calls);
      for (const row of held) this.add(row);
      this.flush();
      // Too much waited, and there is another list by now: that one will be complete.
      if (this.list === list) this.emit({ kind: "complete" });
    });
    if (this.isPaused) list.pause();
  }

  private notePaths(calls: Calls, paths: readonly Fields[]): void {
    for (const path of paths) {
      const row = rowOf(path, calls);
      if (row === null) {
        const peer = String(path.neighborIp);
        if (isMark(path) && this.peers.has(peer)) this.ends.mark(peer);
        continue;
      }
      if (row.peer !== null) this.ends.busy(row.peer);
      if (!this.isListing) this.add(row);
      else if (this.held !== null && this.held.push(row) > MOST_WAITING) this.held = null;
    }
    if (!this.isListing) this.flush();
  }

  private add(row: RouteRow): void {
    this.rows.push(row);
    if (this.rows.length >= ROWS_PER_BATCH) this.flush();
  }

  private flush(): void {
    if (this.rows.length === 0) return;
    this.emit({ kind: "rows", rows: this.rows });
    this.rows = [];
  }

  // ---- sessions --------------------------------------------------------------------------------------------------------

  private notePeer(fields: Fields | null): void {
    const peer = fields === null ? null : viewOf(fields);
    if (peer === null) return;
    const was = this.peers.get(peer.address);
    const isUp = peer.state === "established";
    const hasBegun = isUp && was !== undefined && was.state !== "established";
    const upSince = peer.upSince ?? (hasBegun ? Math.floor(Date.now() / 1000) : (was?.upSince ?? null));
    this.peers.set(peer.address, { ...peer, upSince: isUp ? upSince : null });
    if (isUp && was?.state !== "established") this.ends.begin(peer.address, hasBegun ? 0 : ageOf(upSince));
    if (!isUp) this.ends.forget(peer.address);
    this.tellPeers();
  }

  /** The watch of 3.10 does not tell since when a session is up; of those that were up before us its list does. */
  private askUptimes(calls: Calls): void {
    const isTold = [...this.peers.values()].every(({ state, upSince }) => state !== "established" || upSince !== null);
    if (isTold) return;
    const note = (sessions: ReadonlyMap<string, Fields>) => {
      if (this.calls !== calls) return;
      for (const session of sessions.values()) {
        const { address, upSince } = viewOf(session)!;
        const peer = this.peers.get(address);
        if (peer?.state !== "established" || peer.upSince !== null) continue;
        this.peers.set(address, { ...peer, upSince });
        this.ends.age(address, ageOf(upSince));
      }
      this.tellPeers();
    };
    listSessions(calls, this.patience.answerMs).then(note, () => undefined);
  }

  private tellPeers(): void {
    this.emit({ kind: "peers", peers: [...this.peers.values()] });
  }

  private endOfRib(peer: string): void {
    this.flush();
    this.emit({ kind: "endOfRib", peer });
  }

  // ---- routes out ------------------------------------------------------------------------------------------------------

  private enqueue(method: Task["method"], routes: readonly EvpnRoute[]): void {
    if (this.calls === null) return;
    for (const route of routes) this.tasks.set(keyOf(route), { method, route });
    this.work();
  }

  /** As many calls as may be under way; two of one key would overtake each other. */
  private work(): void {
    const { calls } = this;
    if (calls === null) return;
    for (const [key, task] of this.tasks) {
      if (this.underWay.size >= WIDTH) return;
      if (this.underWay.has(key)) continue;
      this.tasks.delete(key);
      this.underWay.add(key);
      this.ask(calls, key, task);
    }
  }

  private ask(calls: Calls, key: string, { method, route }: Task): void {
    const tableType = TABLE_GLOBAL + calls.dialect.enumBase;
    const path = pathOf(route, calls.dialect);
    calls
      .ask(method, method === "AddPath" ? { tableType, path } : { tableType, family: FAMILY_EVPN, path })
      .catch((error) => {
        // Without a connection there is no answer; what shall stand is told again when there is one.
        if (this.calls === calls) this.emit({ kind: "refused", key, reason: reasonOf(error) });
      })
      .finally(() => {
        if (this.calls !== calls) return;
        this.underWay.delete(key);
        this.work();
      });
  }
}

/** How long a session is up, which began at this second; null: it may have begun just now. */
function ageOf(upSince: number | null): number {
  return upSince === null ? 0 : Math.max(0, Date.now() - upSince * 1000);
}
