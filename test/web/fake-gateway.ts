/**
 * A gateway that is only an API: it answers the paths it is given, on a Unix socket of its own, and counts what it is asked.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export class FakeGateway {
  readonly asked: Asked[] = [];
  readonly answers: Record<string, unknown>;
  private readonly server: Server;
  private readonly folder = mkdtempSync(join(tmpdir(), "vtepd-web-"));
  readonly socket: string;

  constructor(node: string, answers: Record<string, unknown>) {
    this.answers = answers;
    this.socket = join(this.folder, `${node}.sock`);
    this.server = createServer((incoming, outgoing) => {
      let body = "";
      incoming.on("data", (part) => (body += part));
      incoming.on("end", () => {
        const path = incoming.url!;
        this.asked.push({ method: incoming.method!, path, headers: incoming.headers, body });
        const known =
          path.startsWith("/v1/snapshot") && this.answers["/v1/snapshot"] === undefined
            ? this.snapshot(path)
            : (this.answers[`${incoming.method} ${path}`] ?? this.answers[path.split("?")[0]!]);
        outgoing.writeHead(known === undefined ? 404 : 200, { "content-type": "application/json" });
        // A string is a stream's text: it stays open.
        if (typeof known === "string") outgoing.write(known);
        else outgoing.end(JSON.stringify(known ?? { error: { code: "not_found", message: "nothing", hint: "" } }));
      });
    });
  }

  private snapshot(path: string): object {
    const parts = new URL(path, "http://x").searchParams.get("parts")!.split(",");
    const at = { mono: String(process.hrtime.bigint()), wall: new Date().toISOString() };
    return { at, truncated: [], ...Object.fromEntries(parts.map((part) => [part, this.answers[`/v1/${part}`]])) };
  }

  start(): Promise<this> {
    return new Promise((resolve) => this.server.listen(this.socket, () => resolve(this)));
  }

  /** Connections that are open now. */
  open(): Promise<number> {
    return new Promise((resolve) => this.server.getConnections((_, count) => resolve(count)));
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A gateway that leans on what is down: a track, a next hop, a session; `name` stands wherever a name may. */
export const leaning = (name: string): Record<string, unknown> => ({
  "/v1/tracks": [
    {
      ...{ name, kind: "overlay", target: "203.0.113.1 via 50.1.1.1 on outside", state: "down", blind: null },
      ...{ seconds: 65, rttMs: null, answered: 1, missed: 9, uses: ["route 0.0.0.0/0"] },
    },
  ],
  "/v1/next-hops": [
    { ip: "10.1.1.2", tunnel: "b1", interface: name, alive: false, deadSeconds: 4, uses: ["route 0.0.0.0/0"] },
  ],
  "/v1/bfd": {
    problem: null,
    sessions: [
      {
        ...{ tunnel: name, remote: "192.0.2.2", mode: "vxlan", state: "down", verdict: "down" },
        ...{ diagnosis: "detectionTimeExpired", transmitMs: 1000, detectionMs: 0, longestGapMs: 66 },
        peer: { state: "down", diagnosis: "none" },
      },
    ],
    refused: [],
    lastRefused: null,
  },
});

const none = { packets: 0, bytes: 0 };
export const idle = { receive: none, transmit: none };

/** Answers of a small gateway: one VSI for each VNI, one AC in the first, a tunnel to each peer. */
export function answersOf(
  node: string,
  address: string,
  peers: readonly { readonly name: string; readonly remote: string }[],
  vnis: readonly number[] = [10, 20],
  ac = "vm1",
): Record<string, unknown> {
  const vsis = vnis.map((vni) => ({
    name: `vsi${vni}`,
    vni,
    interface: `if${vni}`,
    arp: "localProxy",
    acs: vni === vnis[0] ? [ac] : [],
    tunnels: peers.map(({ name }) => name),
    macs: 0,
    ...idle,
  }));
  const counts = { vsis: 2, acs: 1, acsUp: 1, tunnels: peers.length, interfaces: 2, macs: 3, neighbors: 1, routes: 4 };
  return {
    "/v1/status": {
      ready: true,
      missing: [],
      node,
      version: "0.0.0",
      nodeVersion: "v20",
      pid: 1,
      uptimeSeconds: 61,
      underlay: { address, port: 4789, mtu: 1500 },
      workers: 1,
      stuckWorkers: [],
      counts: { ...counts, policies: 0 },
    },
    "/v1/vsis": vsis,
    "/v1/acs": [
      { name: ac, vsi: `vsi${vnis[0]}`, device: "eth0", netns: null, vlan: null, mtu: 1450, up: true, ...idle },
    ],
    "/v1/tunnels": peers.map(({ name, remote }) => ({
      name,
      remote,
      up: true,
      state: "up",
      mtu: 1450,
      vsis: vsis.map((vsi) => vsi.name),
      probe: { rttMs: 0.1 },
      ...{ watchedBy: "bfd", bfd: { verdict: "up", transmitMs: 50, detectionMs: 150 } },
      ...idle,
    })),
    "/v1/interfaces": vnis.map((vni) => ({
      name: `if${vni}`,
      vsis: [`vsi${vni}`],
      addresses: [`${vni}.1.1.1/24`],
      mac: `02:00:00:00:${address.split(".")[3]!.padStart(2, "0")}:${vni}`,
      vrf: "default",
      distributed: true,
      mtu: 1450,
      policy: null,
      neighbors: 1,
    })),
    "/v1/drops": [{ reason: "no_route", count: 3, text: "no route", last: null, ports: [] }],
    "/v1/doctor": { checks: [{ name: "host", result: "ok", text: "well", fix: null }] },
    "/v1/neighbors": [],
    "/v1/macs": [],
    "/v1/routes": [],
    "/v1/events/recent": [],
    "/v1/events": ": \n\n",
  };
}
