/** The frames of a story as hops from one who takes part to the next, in the order in which they follow from each other. Pure. */
import { fieldsOf } from "./fields.ts";
import { farEnd, type Ping, type Sight, vniOf } from "./join.ts";
import type { Packet } from "./packet.ts";
import type { RecordedGateway, Recording } from "./recording.ts";
import type { Actor, Hop, Reason } from "./said-walk.ts";

/** A hop, and the frames it was made of. */
export interface Drawn {
  readonly from: Actor;
  readonly to: Actor;
  /** As it left. */
  readonly out: Sight | null;
  /** As it came in. */
  readonly into: Sight | null;
}

const sightOf = ({ out, into }: Drawn): Sight => (out ?? into)!;

/** Who takes part: gateways in the order in which a reader looks for them, what hangs on each beside it. */
export class Cast {
  private readonly known = new Map<string, Actor>();
  private readonly gateways: readonly RecordedGateway[];
  private readonly isOnce: (ac: string) => boolean;

  constructor({ gateways }: Recording) {
    this.gateways = gateways;
    const names = gateways.flatMap(({ acs }) => acs.map(({ name }) => name));
    this.isOnce = (ac) => names.indexOf(ac) === names.lastIndexOf(ac);
  }

  gateway({ node, address }: RecordedGateway): Actor {
    return this.add({ id: `gateway ${node}`, label: node, kind: "gateway", behind: null, address });
  }

  machine(at: RecordedGateway, ac: string): Actor {
    const label = this.isOnce(ac) ? ac : `${ac} at ${at.node}`;
    return this.add({ id: `ac ${at.node} ${ac}`, label, kind: "machine", behind: `gateway ${at.node}`, address: null });
  }

  /** The far end of a tunnel. */
  end(address: string): Actor {
    const found = this.gateways.find((each) => each.address === address);
    if (found !== undefined) return this.gateway(found);
    return this.add({ id: `stranger ${address}`, label: address, kind: "stranger", behind: null, address });
  }

  private add(actor: Actor): Actor {
    const known = this.known.get(actor.id) ?? actor;
    this.known.set(actor.id, known);
    return known;
  }

  /** Machines stand outside of their gateway: before the first, behind the others. */
  inOrder(first: string | null): Actor[] {
    const all = [...this.known.values()];
    const rank = ({ node, vsis, interfaces }: RecordedGateway) => {
      const isBorder = vsis.some(
        ({ name, vni }) => vni === null && interfaces.some(({ vsis: on }) => on.includes(name)),
      );
      return `gateway ${node}` === first ? 0 : isBorder ? 2 : 1;
    };
    const gateways = [...this.gateways].sort((a, b) => rank(a) - rank(b)).map((each) => `gateway ${each.node}`);
    const ordered = gateways.flatMap((id, i) => {
      const own = all.filter((actor) => actor.id === id);
      const machines = all.filter(({ behind }) => behind === id).sort((a, b) => (a.label < b.label ? -1 : 1));
      return i === 0 ? [...machines, ...own] : [...own, ...machines];
    });
    return [...ordered, ...all.filter(({ kind }) => kind === "stranger")];
  }
}

export function drawnOf(story: readonly Sight[], cast: Cast): Drawn[] {
  const drawn: Drawn[] = [];
  for (const sight of story) {
    const { gateway, line, twin } = sight;
    const own = cast.gateway(gateway);
    const far = farEnd(sight);
    const isOut = line.direction === "out";
    // Told where it left.
    if (!isOut && twin !== null) continue;
    const other = line.via?.kind === "ac" ? cast.machine(gateway, line.via.name) : cast.end(far ?? "an unknown sender");
    drawn.push(
      isOut ? { from: own, to: other, out: sight, into: twin } : { from: other, to: own, out: null, into: sight },
    );
  }
  return inFlow(drawn);
}

/** By time, but nothing before what it follows from: two clocks, or one that is coarse, cannot tell. */
function inFlow(drawn: readonly Drawn[]): Drawn[] {
  const left = [...drawn].sort((a, b) => (sightOf(a).at < sightOf(b).at ? -1 : sightOf(a).at > sightOf(b).at ? 1 : 0));
  const placed: Drawn[] = [];
  while (left.length > 0) {
    const at = left.findIndex((each) => {
      const before = origin(each, drawn);
      return before === null || placed.includes(before) || before === each;
    });
    placed.push(...left.splice(Math.max(at, 0), 1));
  }
  return placed;
}

/** The hop that had to come first: what came in, and left again; or what a machine answers. */
export function origin(each: Drawn, drawn: readonly Drawn[]): Drawn | null {
  const { out, from } = each;
  if (out === null)
    return drawn.find((other) => other.to === from && isAnswered(sightOf(other), sightOf(each))) ?? null;
  const by = out.line.parent ?? out.line.cause;
  const { gateway } = out;
  return drawn.find(({ into }) => into !== null && into.gateway === gateway && into.line.id === by) ?? null;
}

/** Is the second frame an answer to the first? */
function isAnswered({ packet: asked }: Sight, { packet: said }: Sight): boolean {
  const [question, answer] = [asked.resolution, said.resolution];
  if (question !== null && answer !== null)
    return question.isRequest && !answer.isRequest && question.targetIp === answer.senderIp;
  return asked.icmp?.what === "echo request" && said.icmp?.what === "echo reply" && asked.icmp.echo === said.icmp.echo;
}

/**
 * The hop that this one is set beside: one that brought the same packet or the same question, else the one that caused it. A packet that
 * has waited left because of an answer, but it is the packet that changed.
 */
export function parentOf(each: Drawn, before: readonly Drawn[], drawn: readonly Drawn[]): Drawn | null {
  const sight = sightOf(each);
  const came = before.filter(({ to }) => to === each.from);
  const same = came.findLast((other) => sameness(sightOf(other)) === sameness(sight));
  return same ?? origin(each, drawn) ?? came.at(-1) ?? null;
}

function sameness({ packet: { resolution, icmp, ip } }: Sight): string {
  if (resolution !== null)
    return `${resolution.isRequest} ${resolution.isRequest ? resolution.targetIp : resolution.senderIp}`;
  return `ip ${ip?.source} ${ip?.destination} ${icmp?.what} ${icmp?.echo}`;
}

/** Longer than that is no forwarding, but waiting in vain. */
const LATE_NS = 500_000_000n;

/** What control answers with an error: the frame goes no further. */
const ENDS = /^punted: (ttl|unreachable|mtu), (.*)$/;

export function hopOf(
  each: Drawn,
  startNs: bigint,
  parent: number | null,
): Omit<Hop, "step" | "rows" | "learned" | "text"> {
  const { from, to, out, into } = each;
  const sight = sightOf(each);
  const { line, packet } = sight;
  const received = into?.line ?? null;
  const isTunnel = line.outer !== null || line.via?.kind === "tunnel";
  const isKnown = to.kind !== "stranger";
  const isLost = isTunnel && out !== null && into === null && isKnown;
  const late = into?.late ?? null;
  const ended =
    reasonOf(received?.reason ?? null, received?.fate ?? "") ?? reasonOf(late?.reason ?? null, late?.fate ?? "");
  const refused = ENDS.exec(received?.fate ?? "");
  const reason: Reason | null =
    ended ??
    (refused === null
      ? reasonOf(out?.line.reason ?? null, out?.line.fate ?? "")
      : { name: refused[1]!, text: refused[2]! });
  return {
    atMs: Number(sight.at - startNs) / 1e6,
    from: from.id,
    to: to.id,
    kind: kindOf(packet),
    state: isLost ? "lost" : reason !== null ? "dropped" : "passed",
    tunnel: isTunnel
      ? {
          vni: vniOf(sight),
          source: line.outer?.source ?? from.address,
          destination: line.outer?.destination ?? to.address,
          sourcePort: line.outer?.sourcePort ?? null,
        }
      : null,
    length: line.length,
    hex: Buffer.from(sight.bytes).toString("hex"),
    fields: fieldsOf(sight.bytes),
    parent,
    fate: (received ?? out?.line)?.fate ?? null,
    reason: isLost ? { name: "lost", text: `it left ${from.label} and was never seen at ${to.label}` } : reason,
    isLate: late !== null && BigInt(late.at) - into!.at > LATE_NS,
  };
}

function kindOf({ resolution, ip }: Packet): Hop["kind"] {
  if (resolution === null) return ip === null ? "other" : "ip";
  return resolution.isRequest ? "request" : "reply";
}

function reasonOf(name: string | null, fate: string): Reason | null {
  if (name === null) return null;
  const text = fate.replace(/^dropped: \w+, /, "").replace(/ \(by control, .*\)$/, "");
  return { name, text };
}

/** The hop in words: what the picture shows. */
export function sentenceOf({ from, to, out, into }: Drawn, nameOf: (mac: string) => string, ping: Ping | null): string {
  const sight = (out ?? into)!;
  const { resolution, ip, icmp, source } = sight.packet;
  const vni = vniOf(sight);
  const way =
    sight.line.outer !== null || sight.line.via?.kind === "tunnel" ? `, through the tunnel (VNI ${vni ?? "?"})` : "";
  const head = `${from.label} → ${to.label}${way}`;
  if (resolution?.isRequest === true)
    return `${head}: who has ${resolution.targetIp}? ${resolution.senderIp} asks, from ${nameOf(resolution.senderMac)}`;
  if (resolution !== null) return `${head}: ${resolution.senderIp} is at ${nameOf(resolution.senderMac)}`;
  if (ip === null) return `${head}: ${sight.line.summary}`;
  const isPing = ping !== null && icmp?.echo === ping.echo;
  const what = isPing ? icmp!.what : icmp === null ? "packet" : `ICMP ${icmp.what}`;
  const hops = ip.source.includes(":") ? "hop limit" : "TTL";
  return `${head}: ${what} ${ip.source} → ${ip.destination}, ${hops} ${ip.ttl}, from ${nameOf(source)}`;
}
