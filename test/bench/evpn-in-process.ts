/**
 * EVPN with a hundred thousand routes and no gobgpd: an engine of tests here tells them, and a process with control and the engine's
 * thread (evpn-child.ts) takes them. What remains is ours alone: processor time, memory, and how long main is held.
 */
import { fileURLToPath } from "node:url";
import { pathOf } from "../../src/bgp/codec.ts";
import type { Fields } from "../../src/bgp/dialect.ts";
import { gobgp3 } from "../../src/bgp/gobgp3.ts";
import { must } from "../../src/lab/process.ts";
import { fakeEngine } from "../bgp/fake-engine.ts";
import { AS, MANY, REFLECTOR, routeOf } from "./evpn-routes.ts";
import { type Figures, note } from "./figures.ts";
import { say } from "./screen.ts";

const CHILD = fileURLToPath(new URL("./evpn-child.js", import.meta.url));
const DEADLINE_MS = 180_000;
const SESSION = { neighborAddress: REFLECTOR, peerAsn: AS, sessionState: 6 };

interface Taken {
  readonly addedMb: number;
  readonly seconds: number;
  readonly cpu: number;
  readonly main: number;
  readonly longestMs: number;
  readonly longestCpuMs: number;
}

export async function evpnInProcess(figures: Figures): Promise<void> {
  const dialect = gobgp3();
  const answer = dialect.type("ListPathResponse");
  const list = Array.from({ length: MANY }, (_, n) => {
    const path: Fields = { ...pathOf(routeOf(n), dialect), neighborIp: REFLECTOR };
    return Buffer.from(answer.encode(answer.fromObject({ destination: { paths: [path] } })).finish());
  });
  let lists = 0;
  const engine = await fakeEngine(dialect, {
    unary: {
      GetBgp: () => ({ global: { asn: AS, routerId: "192.0.2.1" } }),
      AddPath: () => ({}),
      DeletePath: () => ({}),
    },
    streams: {
      ListPeer: (_write, end) => end(),
      ListPath: (write, end) => {
        // None the first time: what an engine takes without routes is not theirs.
        for (const each of lists++ === 0 ? [] : list) write(each);
        end();
      },
      WatchEvent: (write) => {
        write({ peer: { type: 1, peer: { state: SESSION } } });
        write({ peer: { type: 2 } });
        write({ table: { paths: [{ neighborIp: REFLECTOR }] } });
      },
    },
  });
  try {
    const lines = (await must(process.execPath, [CHILD, engine.socket], DEADLINE_MS)).trim().split("\n");
    for (const [n, when] of ["all routes", "all again"].entries()) {
      const { addedMb, seconds, cpu, main, longestMs, longestCpuMs } = JSON.parse(lines[n]!) as Taken;
      const tell = (what: string, value: number, unit: string) => {
        note(figures, `EVPN in process: ${when}, ${what}, ${unit}`, "vtepd", value);
        say(`in process: ${when}: ${what} ${value.toFixed(2)} ${unit}`);
      };
      tell("in the tables after", seconds, "s");
      tell("processor time", cpu, "s");
      tell("of it main's", main, "s");
      tell("main's longest round", longestMs, "ms");
      tell("most processor time of main between two looks at the clock", longestCpuMs, "ms");
      tell("resident memory added", addedMb, "MB");
    }
  } finally {
    engine.remove();
  }
}
