/**
 * The thread of the engine's client: gRPC and protobuf are decoded here, since a hundred thousand routes cost seconds of
 * processor time, and on the main thread ARP would wait for them.
 *
 * Routes go to main in batches, of which WINDOW may be on their way: main acknowledges each when it has applied it. What comes
 * faster waits here (backlog.ts), as rows: a list is read no further than MANY of them, so it costs no memory that it is long. What the
 * engine tells by itself cannot be put off; where that is too much it is dropped, and everything is asked for again, since a table can
 * always be listed and a backlog only grows.
 */
import { setFlagsFromString } from "node:v8";
import { parentPort, workerData } from "node:worker_threads";
import type { EvpnRoute } from "../evpn/route.ts";
import { Backlog } from "./backlog.ts";
import type { EngineEvent, EngineRequest } from "./engine.ts";
import { Gobgp } from "./gobgp.ts";
import { type PackedRows, pack } from "./packed.ts";

const WINDOW = 4;
/** So many rows wait while a list is read; and with so few it is read on. */
const MANY = 4096;
const FEW = 1024;

/** From main. */
export type Order =
  | { readonly kind: "announce" | "withdraw"; readonly routes: readonly EvpnRoute[] }
  | { readonly kind: "peers"; readonly request: EngineRequest }
  | { readonly kind: "resync" | "applied" | "close" };

/** To main: an event, with the milliseconds since the epoch at which it came, and how many rows wait behind it. */
export interface Report {
  readonly event:
    | Exclude<EngineEvent, { readonly kind: "rows" }>
    | { readonly kind: "rows"; readonly rows: PackedRows };
  readonly atMs: number;
  readonly backlog: number;
}

// Routes live long: a young generation of 16 MB is copied whole when V8 clears up, which holds main for 10 to 30 ms. The factor by
// which it grows is one of the process, and each new thread sets it to 2 again (io/young-generation.ts), this one too.
setFlagsFromString("--semi-space-growth-factor=1");

const port = parentPort!;
const backlog = new Backlog();
let onTheirWay = 0;

const engine = new Gobgp(workerData as EngineRequest, (event) => {
  const isComplete = backlog.add(event, Date.now());
  if (backlog.rows > MANY) engine.pause();
  if (!isComplete) engine.resync();
  send();
});

function send(): void {
  while (onTheirWay < WINDOW && backlog.size > 0) {
    const { event, atMs } = backlog.take()!;
    onTheirWay++;
    const told = event.kind === "rows" ? { kind: event.kind, rows: pack(event.rows) } : event;
    port.postMessage({ event: told, atMs, backlog: backlog.rows } satisfies Report);
  }
}

port.on("message", (order: Order) => {
  switch (order.kind) {
    case "announce":
    case "withdraw":
      engine[order.kind](order.routes);
      break;
    case "peers":
      engine.setPeers(order.request);
      break;
    case "resync":
      engine.resync();
      break;
    case "applied":
      onTheirWay--;
      send();
      if (backlog.rows < FEW) engine.readOn();
      break;
    case "close":
      engine.close();
      port.close();
  }
});
