/**
 * A packet followed from gateway to gateway: what one sends into a tunnel is traced on the gateway at its other end, frame and
 * VNI as they are, until it leaves by an AC or is dropped, punted, or sent to a gateway that was not asked.
 *
 * Each gateway answers from its own tables; this only carries the frame between them. Bounded, since tables may hold a loop. A
 * gateway that does not answer ends nothing but what would have gone there.
 */
import type { Ac, Status, Tunnel } from "../api/schema.ts";
import type { Trace } from "../api/schema-trace.ts";
import { type Ask, ask, EXIT, Refusal } from "./client.ts";
import { type Answer, eachOf, silentText } from "./fleet.ts";

/** More gateways in a row are a loop: no packet crosses more than two tunnels. */
const MOST_LEGS = 32;

interface Gateway {
  readonly socket: string;
  readonly node: string;
  readonly address: string;
  readonly acs: readonly string[];
  /** Addresses of the VTEPs that it has tunnels to. */
  readonly remotes: readonly string[];
}

/** A trace, or with `inject` in its description the packet itself. */
export function askTrace(socket: string, body: Readonly<Record<string, unknown>>, asking: Ask = ask): Promise<Trace> {
  const { inject, ...request } = body;
  return asking<Trace>(socket, inject === true ? "/v1/inject" : "/v1/trace", "POST", { body: request });
}

/** What one gateway does with the packet. */
export interface Leg {
  readonly node: string;
  /** Index of the leg whose frame this is; null: the first. */
  readonly from: number | null;
  readonly trace: Trace;
  /** Frames that go to a gateway that was not asked. */
  readonly beyond: readonly string[];
}

export interface Followed {
  readonly legs: readonly Leg[];
  /** Gateways that did not answer. */
  readonly silent: readonly Answer<unknown>[];
}

export async function followAll(
  sockets: readonly string[],
  body: Readonly<Record<string, unknown>>,
  start: string | undefined,
  asking: Ask = ask,
): Promise<Followed> {
  const answers = await eachOf(sockets, asking, (socket, status) => gatewayAt(socket, status, asking));
  const gateways = answers.flatMap(({ value }) => value ?? []);
  const silent = answers.filter(({ refusal }) => refusal !== null);
  const first = startOf(gateways, silent, body, start);
  const unasked = silent.length === 0 ? "was not asked" : "was not asked or did not answer";
  const legs: Leg[] = [];
  const todo = [{ gateway: first, body, from: null as number | null }];
  for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
    const { gateway, from } = next;
    const trace = await askTrace(gateway.socket, next.body, asking);
    const beyond: string[] = [];
    for (const { tunnel, remote, local, vni, hex } of trace.next ?? []) {
      const peer = gateways.find(({ address }) => address === remote);
      if (peer === undefined) beyond.push(`tunnel ${tunnel} leads to ${remote}, which ${unasked}`);
      else if (!peer.remotes.includes(local))
        beyond.push(`${peer.node} has no tunnel to ${gateway.node} and drops it: unknown_vtep`);
      else if (legs.length + todo.length + 1 >= MOST_LEGS) beyond.push(`to ${peer.node}: not followed, that is enough`);
      else todo.push({ gateway: peer, body: { peer: local, vni, hex }, from: legs.length });
    }
    legs.push({ node: gateway.node, from, trace, beyond });
  }
  return { legs, silent };
}

async function gatewayAt(socket: string, { node, underlay }: Status, asking: Ask): Promise<Gateway> {
  const [acs, tunnels] = await Promise.all([asking<Ac[]>(socket, "/v1/acs"), asking<Tunnel[]>(socket, "/v1/tunnels")]);
  const [names, remotes] = [acs.map(({ name }) => name), tunnels.map(({ remote }) => remote)];
  return { socket, node, address: underlay.address, acs: names, remotes };
}

/** Where the packet arrives: the gateway that is named, or the only one with that AC. */
function startOf(
  gateways: readonly Gateway[],
  silent: Followed["silent"],
  body: Readonly<Record<string, unknown>>,
  start: string | undefined,
): Gateway {
  const mute = silent.find(({ node }) => gateways.length === 0 || node === start);
  if (mute !== undefined) throw mute.refusal!;
  const nodes = gateways.map(({ node }) => node).join(", ");
  if (start !== undefined) {
    const named = gateways.find(({ node }) => node === start);
    if (named !== undefined) return named;
    throw new Refusal("not_found", `there is no gateway ${start}`, `there are ${nodes}`, EXIT.notFound);
  }
  const ac = body.ac as string | undefined;
  if (ac === undefined)
    throw new Refusal("usage", "at which gateway does it arrive?", `add --gateway, one of ${nodes}`, EXIT.usage);
  const [only, second] = gateways.filter(({ acs }) => acs.includes(ac));
  if (only === undefined)
    throw new Refusal(
      "not_found",
      `no gateway has an AC ${ac}`,
      `asked: ${[nodes, ...silent.map(silentText)].join("; ")}`,
      EXIT.notFound,
    );
  if (second === undefined) return only;
  const message = `${only.node} and ${second.node} both have an AC ${ac}`;
  throw new Refusal("usage", message, "say which with --gateway NAME", EXIT.usage);
}

/** The last word on a traced packet: everywhere it ends. */
export function endText(legs: readonly Leg[]): string {
  const ends = legs.flatMap(({ node, trace, beyond }) => [
    ...trace.sends.filter(({ via }) => via.kind === "ac").map(({ via }) => `leaves ${node} by ac ${via.name}`),
    ...beyond.map((text) => `${node}: ${text}`),
    ...(trace.sends.length === 0 ? [`ends at ${node}: ${trace.fate.text}`] : []),
  ]);
  return ends.join("\n     ");
}
