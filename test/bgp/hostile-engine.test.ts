/** What is at the engine's socket may be anything: nothing of it ends the thread, and each problem is told in words. */

import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { pathOf } from "../../src/bgp/codec.ts";
import type { EngineEvent, EngineRequest, RouteRow } from "../../src/bgp/engine.ts";
import { Gobgp, type Patience } from "../../src/bgp/gobgp.ts";
import { gobgp3 } from "../../src/bgp/gobgp3.ts";
import { gobgp4 } from "../../src/bgp/gobgp4.ts";
import { type MacRoute, plainOf } from "../../src/evpn/route.ts";
import { until } from "../../src/lab/deadline.ts";
import { type Answers, type FakeEngine, fakeEngine } from "./fake-engine.ts";

const PATIENCE: Patience = { answerMs: 400, listMs: 400, quietMs: 200, firstMs: 700, longestMs: 5000 };
const DIALECTS = [gobgp3(), gobgp4()];
const ended: (() => void)[] = [];
afterEach(() => {
  for (const end of ended.splice(0)) end();
});

const route: MacRoute = {
  ...{ type: 2, rd: "192.0.2.2:10", tag: 0, nextHop: "192.0.2.2", targets: ["65000:10"], encap: 8 },
  ...{ mac: 0x020000000111, ip: null, labels: [10], segment: null, sequence: null },
  ...{ isSticky: false, isGateway: false, routerMac: null },
};

function listen(socket: string, api: EngineRequest["api"] = "auto", patience = PATIENCE) {
  const events: EngineEvent[] = [];
  const request = { socket, api, as: 65000, routerId: "192.0.2.1", localAddress: "192.0.2.1", peers: null };
  const engine = new Gobgp(
    { ...request, holdSeconds: 9, connectRetrySeconds: 1 },
    (event) => events.push(event),
    patience,
  );
  ended.push(() => engine.close());
  const lost = () => events.flatMap((event) => (event.kind === "lost" ? [event.reason] : []));
  const rows = () => events.flatMap((event): readonly RouteRow[] => (event.kind === "rows" ? event.rows : []));
  return { events, lost, rows, has: (kind: EngineEvent["kind"]) => events.some((event) => event.kind === kind) };
}

const PEER = "192.0.2.251";
const session = (sessionState: number) => ({
  peer: { type: 1, peer: { state: { neighborAddress: PEER, peerAsn: 65000, sessionState } } },
});
const ESTABLISHED = session(6);
/** A session that was there before, and may have brought routes; it is up again. */
const AGAIN = [ESTABLISHED, session(1), ESTABLISHED];

const GLOBAL = { global: { asn: 65000, routerId: "192.0.2.1" } };

async function serve(
  dialect: (typeof DIALECTS)[number],
  change: Partial<Answers["streams"]>,
  unary = {},
): Promise<FakeEngine> {
  const engine = await fakeEngine(dialect, {
    unary: { GetBgp: () => GLOBAL, AddPath: () => ({}), ...unary },
    streams: {
      WatchEvent: (write) => write({ peer: { type: 2 } }),
      ListPeer: (_write, end) => end(),
      ListPath: (_write, end) => end(),
      ...(change as Answers["streams"]),
    },
  });
  ended.push(() => engine.remove());
  return engine;
}

async function speakBytes(answer: (bytes: Buffer) => Buffer | null): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "nobgp-"));
  const socket = join(folder, "api.sock");
  const server: Server = createServer((client) => {
    client.on("error", () => undefined);
    client.on("data", (bytes) => {
      const said = answer(bytes as Buffer);
      if (said !== null) client.write(said);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  ended.push(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return socket;
}

describe("a socket that is no engine's", () => {
  it.each([
    ["speaks something else", () => Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["sends noise", () => Buffer.from(Array.from({ length: 4096 }, (_, n) => (n * 167) & 255))],
    ["says nothing", () => null],
  ])("%s: lost, in words, and tried again", async (_what, answer) => {
    const engine = listen(await speakBytes(answer));
    await until("two losses", 15_000, () => engine.lost().length >= 2);
    expect(engine.has("ready")).toBe(false);
    for (const reason of engine.lost()) expect(reason.length).toBeGreaterThan(5);
  });
});

describe.each(DIALECTS.map((dialect) => [dialect.name, dialect] as const))("a server of API %s", (name, dialect) => {
  const path = () => pathOf(route, dialect);
  const other = name === "v3" ? "v4" : "v3";

  it("is understood by itself, and refused in words where the configuration says the other one", async () => {
    const { socket } = await serve(dialect, {
      ListPath: (write, end) => {
        write({ destination: { paths: [{ ...path(), neighborIp: "192.0.2.251" }] } });
        end();
      },
    });
    const engine = listen(socket);
    await until("a list", 5000, () => engine.has("complete"));
    expect(engine.events[0]).toEqual({ kind: "ready", api: name, as: 65000, routerId: "192.0.2.1" });
    expect(engine.rows().map(({ peer, route: got }) => [peer, plainOf(got)])).toEqual([["192.0.2.251", route]]);
    const wrong = listen(socket, other);
    await until("a refusal", 5000, () => wrong.lost().length > 0);
    expect(wrong.lost()[0]).toContain("UNIMPLEMENTED");
  });

  it("may send paths that make no sense: the others arrive", async () => {
    const good = { ...path(), neighborIp: "192.0.2.251" };
    const broken = structuredClone(good) as unknown as { nlri: Record<string, unknown>; pattrs: unknown[] };
    if (name === "v3") broken.nlri.value = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    else broken.nlri = { evpnMacadv: { macAddress: "no MAC", rd: {} } };
    const { socket } = await serve(dialect, {
      ListPath: (write, end) => {
        for (const each of [broken, { ...good, pattrs: [] }, { neighborIp: "192.0.2.251" }, good])
          write({ destination: { paths: [each as never] } });
        write({ destination: { paths: [] } });
        end();
      },
      WatchEvent: (write) => {
        write({ peer: { type: 2 } });
        setTimeout(() => write({ table: { paths: [broken as never, good] } }), 300);
      },
    });
    const engine = listen(socket);
    await until("both", 5000, () => engine.rows().length >= 2);
    expect(engine.rows().map(({ route: got }) => plainOf(got))).toEqual([route, route]);
    expect(engine.lost()).toEqual([]);
  });

  it("may send bytes that are no message: lost, in words", async () => {
    const { socket } = await serve(dialect, {
      ListPath: (write) => write(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff])),
    });
    const engine = listen(socket);
    await until("a loss", 5000, () => engine.lost().length > 0);
    expect(engine.has("complete")).toBe(false);
  });

  it.each(["ListPeer", "ListPath"])(
    "may begin %s and never go on: lost after its patience, not waited for",
    async (method) => {
      const { socket } = await serve(dialect, { [method]: () => undefined });
      const request = method === "ListPeer" ? [{ address: "192.0.2.251", as: 65000, password: null }] : null;
      const events: EngineEvent[] = [];
      const engine = new Gobgp(
        {
          ...{ socket, api: "auto", as: 65000, routerId: "192.0.2.1", localAddress: "192.0.2.1", peers: request },
          ...{ holdSeconds: 9, connectRetrySeconds: 1 },
        },
        (event) => events.push(event),
        PATIENCE,
      );
      ended.push(() => engine.close());
      await until("a loss", 8000, () => events.some(({ kind }) => kind === "lost"));
      expect(events.some(({ kind }) => kind === "complete")).toBe(false);
    },
  );

  it("is at its peer's end when it says so for EVPN, and by no path of another family", async () => {
    const event = dialect.type("HeardEvent");
    /** Of a path whose NLRI are these bytes: none, or a message that is not known here. */
    const path = (nlri: number[], afi: number, safi: number) => {
      const paths = [{ nlri: Buffer.from(nlri), neighborIp: PEER, family: { afi, safi } }];
      return Buffer.from(event.encode(event.fromObject({ table: { paths } })).finish());
    };
    let mark = (): void => undefined;
    const { socket } = await serve(dialect, {
      WatchEvent: (write) => {
        mark = () => write(path([], 25, 70));
        write({ peer: { type: 2 } });
        for (const each of AGAIN) write(each);
        for (const other of [path([], 1, 1), path([10, 0], 1, 1), path([10, 0], 25, 70)]) write(other);
      },
    });
    const engine = listen(socket, "auto", { ...PATIENCE, firstMs: 20_000 });
    await until("the session", 5000, () => engine.has("peers") && engine.has("complete"));
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(engine.has("endOfRib")).toBe(false);
    mark();
    await until("the end", 5000, () => engine.has("endOfRib"));
  });

  it("says nothing of an end, and its peer sends nothing: it is awaited for so long as a peer may hold its routes back", async () => {
    const { socket } = await serve(dialect, {
      WatchEvent: (write) => {
        write({ peer: { type: 2 } });
        setTimeout(() => AGAIN.forEach(write), 200);
      },
    });
    const engine = listen(socket);
    const isUp = () => engine.events.some((event) => event.kind === "peers" && event.peers.length > 0);
    await until("the session", 5000, isUp);
    const sinceMs = performance.now();
    await until("the end", 5000, () => engine.has("endOfRib"));
    expect(performance.now() - sinceMs).toBeGreaterThan(PATIENCE.quietMs + 200);
  });

  it("whose session is up for long has an end at once when nothing comes", async () => {
    const isEarlier = { timers: { state: { uptime: { seconds: Math.floor(Date.now() / 1000) - 60 } } } };
    const peer = { ...ESTABLISHED.peer.peer, ...isEarlier };
    const { socket } = await serve(dialect, {
      // The watch does not tell since when.
      ListPeer: (write, end) => {
        write({ peer } as never);
        end();
      },
      WatchEvent: (write) => {
        write(ESTABLISHED);
        write({ peer: { type: 2 } });
      },
    });
    const engine = listen(socket);
    await until("the session", 5000, () => engine.has("complete"));
    const sinceMs = performance.now();
    await until("the end", 5000, () => engine.has("endOfRib"));
    expect(performance.now() - sinceMs).toBeLessThan(PATIENCE.firstMs - 100);
  });

  it("may take no route: each is told of, and the connection stays", async () => {
    const { socket } = await serve(dialect, {}, { AddPath: () => new Promise(() => undefined) });
    const events: EngineEvent[] = [];
    const engine = new Gobgp(
      {
        ...{ socket, api: "auto", as: 65000, routerId: "192.0.2.1", localAddress: "192.0.2.1", peers: null },
        ...{ holdSeconds: 9, connectRetrySeconds: 1 },
      },
      (event) => events.push(event),
      PATIENCE,
    );
    ended.push(() => engine.close());
    await until("a list", 5000, () => events.some(({ kind }) => kind === "complete"));
    engine.announce([route]);
    await until("a refusal", 5000, () => events.some(({ kind }) => kind === "refused"));
    expect(events.find(({ kind }) => kind === "refused")).toMatchObject({
      reason: expect.stringContaining("DEADLINE"),
    });
    expect(events.some(({ kind }) => kind === "lost")).toBe(false);
  });
});
