/**
 * What all gateways saw for a while: their captures, and their neighbour tables before and after. It is data, and can be kept as a file.
 *
 * While nothing is recorded the gateways capture nothing. A capture is bounded in frames, bytes and seconds by the gateway itself,
 * so one that is forgotten here ends all the same.
 */
import type { Ac, Interface, Neighbor, Status, Tunnel, Vsi } from "../api/schema.ts";
import { EXIT, Refusal } from "../ctl/client.ts";
import { follow, type Lines } from "../ctl/stream.ts";
import { askGateway, believedLine, CaptureLine, type FrameLine } from "./answers.ts";

export type { FrameLine } from "./answers.ts";

export interface RecordedGateway {
  readonly node: string;
  readonly address: string;
  readonly acs: readonly Pick<Ac, "name" | "vsi">[];
  readonly tunnels: readonly Pick<Tunnel, "name" | "remote">[];
  readonly vsis: readonly Pick<Vsi, "name" | "vni">[];
  readonly interfaces: readonly Pick<Interface, "name" | "addresses" | "mac" | "vsis" | "distributed">[];
  readonly before: readonly Neighbor[];
  readonly after: readonly Neighbor[];
  readonly frames: readonly FrameLine[];
  readonly lost: number;
}

export interface Recording {
  readonly gateways: readonly RecordedGateway[];
}

const MOST_FRAMES = 2000;
/** Bytes of each frame that are kept. */
export const SNAPLEN = 256;

interface Armed {
  readonly gateway: Omit<RecordedGateway, "after" | "frames" | "lost">;
  readonly socket: string;
  readonly frames: FrameLine[];
  readonly lines: Lines;
  readonly tally: { lost: number; fault: Error | null };
}

export class Recorder {
  private readonly armed: readonly Armed[];
  private lastMs = 0;

  private constructor(armed: readonly Armed[]) {
    this.armed = armed;
  }

  /** Open a capture on every gateway; when it resolves, no frame can be missed. Throws a Refusal. */
  static async arm(sockets: readonly string[], seconds: number): Promise<Recorder> {
    const armed: Armed[] = [];
    const recorder = new Recorder(armed);
    // All have said yes or no before one no ends the others.
    const opened = await Promise.allSettled(
      sockets.map(async (socket) => armed.push(await recorder.open(socket, seconds))),
    );
    const refused = opened.find(({ status }) => status === "rejected") as PromiseRejectedResult | undefined;
    if (refused !== undefined) {
      recorder.disarm();
      throw refused.reason;
    }
    const places = new Map(sockets.map((socket, i) => [socket, i]));
    armed.sort((a, b) => places.get(a.socket)! - places.get(b.socket)!);
    return recorder;
  }

  private async open(socket: string, seconds: number): Promise<Armed> {
    const [status, acs, tunnels, vsis, interfaces, before] = await Promise.all([
      askGateway<Status>(socket, "/v1/status"),
      askGateway<Ac[]>(socket, "/v1/acs"),
      askGateway<Tunnel[]>(socket, "/v1/tunnels"),
      askGateway<Vsi[]>(socket, "/v1/vsis"),
      askGateway<Interface[]>(socket, "/v1/interfaces"),
      askGateway<Neighbor[]>(socket, "/v1/neighbors"),
    ]);
    const gateway = {
      node: status.node,
      address: status.underlay.address,
      acs: acs.map(({ name, vsi }) => ({ name, vsi })),
      tunnels: tunnels.map(({ name, remote }) => ({ name, remote })),
      vsis: vsis.map(({ name, vni }) => ({ name, vni })),
      interfaces: interfaces.map(({ name, addresses, mac, vsis: on, distributed }) => {
        return { name, addresses, mac, vsis: on, distributed };
      }),
      before,
    };
    const frames: FrameLine[] = [];
    const query = new URLSearchParams({
      protocol: "arp,nd,icmp",
      snaplen: String(SNAPLEN),
      count: String(MOST_FRAMES),
      seconds: String(seconds),
    });
    const tally: Armed["tally"] = { lost: 0, fault: null };
    let started = (): void => undefined;
    const isOpen = new Promise<void>((resolve) => {
      started = resolve;
    });
    const lines = await follow(socket, `/v1/capture?${query}`, (text) => {
      const line = believedLine<CaptureLine>(CaptureLine, text, "GET /v1/capture");
      if (line.kind === "start") started();
      if (line.kind === "end") tally.fault = overTooSoon(gateway.node, line.reason);
      if (line.kind === "lost") tally.lost += line.frames;
      if (line.kind !== "frame") return;
      frames.push(line);
      this.lastMs = performance.now();
    });
    lines.ended.then(
      (byUs) => {
        if (byUs || tally.fault !== null) return;
        const message = `${gateway.node} has ended while it was watched`;
        tally.fault = new Refusal("gone", message, "has it started again? walk once more", EXIT.unreachable);
      },
      (error: Error) => {
        tally.fault = error;
      },
    );
    await Promise.race([isOpen, lines.ended]);
    return { gateway, socket, frames, lines, tally };
  }

  /** Since the last frame of any gateway. */
  get quietMs(): number {
    return performance.now() - this.lastMs;
  }

  /** What was seen so far; the tables are those before. */
  seen(): Recording {
    return {
      gateways: this.armed.map(({ gateway, frames, tally }) => {
        return { ...gateway, after: gateway.before, frames, lost: tally.lost };
      }),
    };
  }

  /** Throws a Refusal when a gateway sees no frames any more, or tells nonsense. */
  check(): void {
    const fault = this.armed.find(({ tally }) => tally.fault !== null)?.tally.fault;
    if (fault !== undefined && fault !== null) throw fault;
  }

  /** The captures end. */
  disarm(): void {
    for (const { lines } of this.armed) lines.stop();
  }

  /** Captures end; what they saw, with the tables as they are now. Throws a Refusal. */
  async finish(): Promise<Recording> {
    this.disarm();
    this.check();
    const gateways = this.armed.map(async ({ gateway, socket, frames, tally }): Promise<RecordedGateway> => {
      return { ...gateway, after: await askGateway<Neighbor[]>(socket, "/v1/neighbors"), frames, lost: tally.lost };
    });
    return { gateways: await Promise.all(gateways) };
  }
}

/** The gateway has ended its capture before we did: what came after that was not seen there, and is not lost for that. */
function overTooSoon(node: string, reason: string): Refusal {
  const [what, hint] =
    reason === "count"
      ? [`saw ${MOST_FRAMES} frames`, "ping sooner, or where there is less traffic"]
      : ["ended its capture", "walk once more"];
  return new Refusal("over", `${node} ${what} before the ping was over`, hint, EXIT.failure);
}
