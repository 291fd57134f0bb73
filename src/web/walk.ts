/**
 * From what all gateways recorded to one walk: hops, the article's steps, what each frame taught, and the first thing that went
 * wrong. Pure: a recording in, a walk out, so that the three walkthroughs can be kept as files and compared.
 */
import { type Cast as Names, type ScenarioNumber, sentencesOf } from "./article.ts";
import type { Judged, JudgedRow, SchemeName } from "./driver.ts";
import { Cast, type Drawn, drawnOf, hopOf, parentOf, sentenceOf } from "./hops.ts";
import { isEcho, type Ping, pingIn, type Sight, sightsOf, storyOf } from "./join.ts";
import type { RecordedGateway, Recording } from "./recording.ts";
import type { Actor, Hop, Learned, Row, Trouble, Walk } from "./said-walk.ts";

export interface Telling {
  readonly id: string;
  readonly at: string;
  readonly scheme: SchemeName;
  /** The driver's scenario; absent: a ping of the user's own. */
  readonly scenario?: {
    readonly number: number;
    readonly title: string;
    readonly from: string;
    readonly steps: Readonly<Record<number, string>>;
  };
  readonly judged?: Judged | null;
  /** What the gateways' configurations say against each other. */
  readonly causes?: readonly string[];
}

const sightOf = ({ out, into }: Drawn): Sight => (out ?? into)!;

export function walkOf(recording: Recording, telling: Telling): Walk {
  const { id, at, scheme, scenario, judged = null, causes = [] } = telling;
  const all = sightsOf(recording);
  const ping = pingIn(all, scenario?.from ?? null);
  const cast = new Cast(recording);
  const drawn = drawnOf(storyOf(all, ping), cast);
  const names = namesOf(recording, drawn, judged);
  const nameOf = (mac: string) => names[mac] ?? mac;
  const start = drawn[0] === undefined ? 0n : sightOf(drawn[0]).at;
  const number = scheme === "centralized" ? null : (scenario?.number ?? scenarioIn(drawn, ping));
  const back = ping === null ? -1 : drawn.findIndex((each) => isEcho(sightOf(each), ping, "echo reply"));
  const hops = drawn.map((each, i): Hop => {
    const before = drawn.slice(0, i);
    const parent = parentOf(each, before, drawn);
    const isBack = back >= 0 && i >= back;
    return {
      ...hopOf(each, start, parent === null ? null : drawn.indexOf(parent)),
      text: sentenceOf(each, nameOf, ping),
      step: number === null || isBack ? null : stepOf(each, number),
      rows: [],
      learned: learnedBy(each, before, cast),
    };
  });
  const arrived =
    ping !== null && drawn.some((each) => each.to.kind === "machine" && isBackHome(each, ping) && each.out !== null);
  const story = judged === null ? hops : withRows(hops, drawn, judged, scenario?.number ?? null, cast, recording);
  const first =
    ping === null ? null : (drawn.find((each) => isEcho(sightOf(each), ping, "echo request"))?.to.id ?? null);
  const steps = number === null ? {} : (scenario?.steps ?? ownSteps(number, drawn, ping));
  return {
    id,
    at,
    beganNs: String(start),
    title: scenario?.title ?? (ping === null ? "no ping was seen" : `${ping.source} → ${ping.destination}`),
    scenario: number,
    scheme,
    pair: ping === null ? null : [ping.source, ping.destination],
    actors: cast.inOrder(first),
    hops: story,
    steps: Object.entries(steps).map(([step, text]) => ({
      step: Number(step),
      text,
      holds: holdsAt(Number(step), judged),
    })),
    entries: (judged?.rows ?? []).flatMap((row) =>
      row.table === null ? [] : [{ ...rowOf(row), table: row.table, step: row.step }],
    ),
    names,
    arrived,
    isJudged: judged !== null,
    trouble: troubleIn(story, arrived, ping, causes, cast),
    lost: recording.gateways.reduce((sum, { lost }) => sum + lost, 0),
  };
}

const isBackHome = (each: Drawn, ping: Ping): boolean =>
  isEcho(sightOf(each), ping, "echo reply") && sightOf(each).packet.ip!.destination === ping.source;

// ---- names -------------------------------------------------------------------------------------------------------

/** Symbols of MAC addresses: the driver's, else "gw1.10" for a VSI-interface and a machine's own name. */
function namesOf({ gateways }: Recording, drawn: readonly Drawn[], judged: Judged | null): Record<string, string> {
  const names: Record<string, string> = { "ff:ff:ff:ff:ff:ff": "everybody", "00:00:00:00:00:00": "not known" };
  const add = (mac: string, name: string) => {
    names[mac] = names[mac] === undefined || names[mac] === name ? name : `${names[mac]}=${name}`;
  };
  for (const [name, mac] of Object.entries(judged?.names ?? {})) if (name !== "ff" && name !== "0") add(mac, name);
  if (judged !== null) return names;
  for (const { node, interfaces, vsis } of gateways)
    for (const { mac, vsis: on } of interfaces) {
      const vsi = vsis.find(({ name }) => on.includes(name));
      add(mac, `${node}.${vsi?.vni ?? vsi?.name ?? "?"}`);
    }
  for (const { from, into } of drawn)
    if (from.kind === "machine" && into !== null && names[into.packet.source] === undefined)
      add(into.packet.source, from.label);
  return names;
}

// ---- steps -------------------------------------------------------------------------------------------------------

const stepsIn = (each: Drawn): readonly string[] =>
  [each.out?.line.step, each.into?.line.step].flatMap((step) => (step == null ? [] : step.split("/")));

/** The step that a gateway gave the frame, of this scenario. */
function stepOf(each: Drawn, scenario: number): number | null {
  const own = stepsIn(each).find((step) => step.startsWith(`S${scenario}.`));
  return own === undefined ? null : Number(own.split(".")[1]);
}

/** Which of the article's scenarios it is: the one that most of the frames of the way there belong to. */
function scenarioIn(drawn: readonly Drawn[], ping: Ping | null): number | null {
  if (ping === null) return null;
  const votes = new Map<number, number>();
  for (const each of drawn) {
    if (isEcho(sightOf(each), ping, "echo reply")) break;
    for (const step of new Set(stepsIn(each))) {
      const scenario = Number(step[1]);
      votes.set(scenario, (votes.get(scenario) ?? 0) + 1);
    }
  }
  return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

/** The article's sentences with the names of this ping; none where who takes part is not known. */
function ownSteps(scenario: number, drawn: readonly Drawn[], ping: Ping | null): Record<number, string> {
  if (ping === null) return {};
  const asks = drawn.find((each) => each.into !== null && isEcho(each.into, ping, "echo request"));
  const answers = drawn.find(
    (each) => each.into !== null && each.from.kind === "machine" && isEcho(each.into, ping, "echo reply"),
  );
  const near = asks?.into?.gateway;
  if (asks === undefined || near === undefined) return {};
  const far = answers?.into?.gateway ?? near;
  const inFar = far.interfaces.find(({ vsis }) => vsis.includes(answers?.into?.line.vsi ?? ""));
  const inNear = near.interfaces.find(({ vsis }) => vsis.includes(asks.into!.line.vsi ?? ""));
  const vniOf = ({ vsis }: RecordedGateway, vsi: string | null | undefined) =>
    vsis.find(({ name }) => name === vsi)?.vni ?? 0;
  const sought = drawn.find(({ out, from }) => out?.packet.resolution?.isRequest === true && from.label === near.node);
  const isIpv6 = (address: string) => address.includes(":");
  const own = (on: { readonly addresses: readonly string[] } | undefined) =>
    on?.addresses.find((each) => isIpv6(each) === isIpv6(ping.destination))?.split("/")[0] ?? "its gateway";
  const who: Names = {
    from: asks.from.label,
    to: answers?.from.label ?? ping.destination,
    near: near.node,
    far: far.node,
    border: far.node,
    on: inNear?.name ?? "its VSI-interface",
    onFar: inFar?.name ?? "the other VSI-interface",
    gateway: own(inNear),
    farGateway: own(inFar),
    nextHop: sought?.out?.packet.resolution?.targetIp ?? "the next hop",
    vni: vniOf(near, asks.into!.line.vsi),
    farVni: vniOf(far, answers?.into?.line.vsi),
    family: isIpv6(ping.destination) ? 6 : 4,
  };
  return { ...sentencesOf(scenario as ScenarioNumber, who) };
}

function holdsAt(step: number, judged: Judged | null): boolean | null {
  if (judged === null) return null;
  return judged.rows.every((row) => row.step !== step || row.holds);
}

// ---- what a frame teaches ----------------------------------------------------------------------------------------

function learnedBy(each: Drawn, before: readonly Drawn[], cast: Cast): Learned[] {
  const { out, into, to } = each;
  const { resolution: said } = sightOf(each).packet;
  // Who probes for an address (DAD) has none yet.
  if (said === null || said.senderIp === "::") return [];
  const isSame = (other: Drawn) =>
    other.to === to &&
    sightOf(other).packet.resolution?.senderIp === said.senderIp &&
    sightOf(other).packet.resolution?.senderMac === said.senderMac;
  if (before.some(isSame)) return [];
  const { senderIp: ip, senderMac: mac } = said;
  if (into !== null) {
    const { gateway } = into;
    const isThere = (entry: { ip: string; mac: string | null }) => entry.ip === ip && entry.mac === mac;
    const entry = gateway.after.find(isThere);
    if (entry === undefined || gateway.before.some(isThere)) return [];
    const via = entry.via === null ? null : `${entry.via.kind} ${entry.via.name}`;
    return [
      {
        table: cast.gateway(gateway).id,
        ip,
        mac,
        via: entry.kind === "gateway" ? `${via}, a gateway` : via,
        isRead: true,
      },
    ];
  }
  // A machine takes the answer, and whom a question to itself came from.
  const isItsOwn = said.isRequest && before.some((other) => other.from === to && addressOf(other) === said.targetIp);
  return out !== null && to.kind === "machine" && (!said.isRequest || isItsOwn || answersLater(said.targetIp, to, out))
    ? [{ table: to.id, ip, mac, via: null, isRead: false }]
    : [];
}

const addressOf = (each: Drawn): string | undefined =>
  sightOf(each).packet.resolution?.senderIp ?? sightOf(each).packet.ip?.source;

/** Is `ip` the machine's own? Its gateway believes so. */
function answersLater(ip: string, machine: Actor, { gateway }: Sight): boolean {
  return gateway.after.some(
    (entry) => entry.ip === ip && entry.via?.kind === "ac" && machine.id.endsWith(` ${entry.via.name}`),
  );
}

// ---- what the article demands ------------------------------------------------------------------------------------

const rowOf = ({ row, expected, observed, holds, note }: JudgedRow): Row => ({ row, expected, observed, holds, note });

/** Each row of the article at the hop that is its frame; a frame that never came is a hop of its own. */
function withRows(
  hops: readonly Hop[],
  drawn: readonly Drawn[],
  judged: Judged,
  scenario: number | null,
  cast: Cast,
  recording: Recording,
): Hop[] {
  const rows = new Map<number, JudgedRow[]>();
  const missing: { readonly after: number; readonly row: JudgedRow }[] = [];
  let last = -1;
  for (const row of judged.rows) {
    if (row.place === null) continue;
    const at =
      row.hex === null
        ? -1
        : drawn.findIndex(
            (each, i) => !(rows.get(i) ?? []).some(({ place }) => place === row.place) && isAt(each, row),
          );
    if (at >= 0) {
      rows.set(at, [...(rows.get(at) ?? []), row]);
      last = Math.max(last, at);
    } else if (!row.holds) missing.push({ after: last, row });
  }
  const isFirstFault = missing[0]?.row.step;
  const shown = missing.filter(({ row }) => row.step === isFirstFault);
  const told = hops.map((hop, i): Hop => {
    const own = rows.get(i) ?? [];
    const step = own.length === 0 || scenario === null ? hop.step : own[0]!.step;
    return { ...hop, step, rows: own.map(rowOf) };
  });
  return inserted(
    told,
    shown.map(({ after, row }) => ({ after, hop: missingHop(row, told[after] ?? null, cast, recording) })),
  );
}

function isAt({ from, to, out, into }: Drawn, { place, hex, vni }: JudgedRow): boolean {
  const sight = (out ?? into)!;
  const [ac] = /^ac (.+)$/.exec(place!)?.slice(1) ?? [];
  const isPlace =
    ac !== undefined
      ? [from, to].some(({ kind, label }) => kind === "machine" && label === ac)
      : place === `${from.label}>${to.label}`;
  if (!isPlace || (vni !== null && ac === undefined && sight.line.outer !== null && sight.line.outer.vni !== vni))
    return false;
  // A capture keeps the beginning of a long frame.
  return Buffer.from(sight.bytes).equals(Buffer.from(hex!, "hex").subarray(0, sight.bytes.length));
}

function missingHop(row: JudgedRow, before: Hop | null, cast: Cast, { gateways }: Recording): Hop {
  const nodeOf = (name: string) => gateways.find(({ node }) => node === name);
  const [one = "", other = ""] = row.place!.replace(/^ac /, "").split(">");
  const holder = gateways.find(({ acs }) => acs.some(({ name }) => name === one)) ?? gateways[0]!;
  const machine = cast.machine(holder, one);
  // "M5 < G2.20": what a machine sends has a machine's MAC as its source.
  const isSent = /< M/.test(row.expected);
  const ends =
    other === ""
      ? isSent
        ? [machine, cast.gateway(holder)]
        : [cast.gateway(holder), machine]
      : [nodeOf(one), nodeOf(other)].map((each) => cast.gateway(each!));
  const [from, to] = ends as [Actor, Actor];
  const text = `${from.label} → ${to.label}: the article has a frame here that was not seen`;
  return {
    ...{ atMs: before?.atMs ?? 0, from: from.id, to: to.id, kind: "other", state: "missing", text },
    tunnel: row.vni === null ? null : { vni: row.vni, source: null, destination: null, sourcePort: null },
    ...{ length: 0, hex: "", fields: [], parent: null, step: row.step, fate: null, isLate: false, learned: [] },
    reason: { name: "missing", text: row.note ?? "no such frame was seen" },
    rows: [rowOf(row)],
  };
}

/** With hops put in; `parent` is a place, and moves. */
function inserted(hops: readonly Hop[], more: readonly { readonly after: number; readonly hop: Hop }[]): Hop[] {
  const places: number[] = [];
  const all: Hop[] = [];
  for (let i = -1; i < hops.length; i++) {
    if (i >= 0) places[i] = all.push(hops[i]!) - 1;
    for (const { after, hop } of more) if (after === i) all.push(hop);
  }
  return all.map((hop) => ({ ...hop, parent: hop.parent === null ? null : places[hop.parent]! }));
}

// ---- the first thing that went wrong -----------------------------------------------------------------------------

function troubleIn(
  hops: readonly Hop[],
  arrived: boolean,
  ping: Ping | null,
  causes: readonly string[],
  cast: Cast,
): Trouble | null {
  const labels = new Map(cast.inOrder(null).map(({ id, label }) => [id, label]));
  const label = (id: string) => labels.get(id) ?? id;
  const isRed = (hop: Hop) =>
    (hop.state !== "passed" && !hop.isLate && !isSpare(hop, hops)) || hop.rows.some(({ holds }) => !holds);
  const at = hops.findIndex(isRed);
  if (at >= 0) return { hop: at, text: textOf(hops[at]!, label), causes };
  if (arrived || ping === null) return null;
  const asked = hops.findIndex(
    (hop, i) => hop.kind === "request" && label(hop.from) !== hop.from && isUnanswered(hop, hops.slice(i)),
  );
  if (asked >= 0) {
    const ip = toldOf(hops[asked]!);
    const same = hops.filter((hop) => hop.kind === "request" && hop.from === hops[asked]!.from && toldOf(hop) === ip);
    const whom = [...new Set(same.map(({ to }) => label(to)))].join(", ");
    return { hop: asked, text: `no answer for ${ip}: ${label(hops[asked]!.from)} asked ${whom}`, causes };
  }
  const refused = hops.findIndex((hop) => isError(hop, ping));
  if (refused >= 0) {
    const mtu = fieldOf(hops[refused]!, "next-hop MTU");
    const most = mtu === undefined ? "" : `, at most ${mtu} bytes`;
    const text = `${label(hops[refused]!.from)} gave it up and says so: ICMP ${fieldOf(hops[refused]!, "message")}${most}`;
    return { hop: refused, text, causes };
  }
  const late = hops.findIndex(({ isLate }) => isLate);
  if (late >= 0) return { hop: late, text: textOf(hops[late]!, label), causes };
  return { hop: hops.length - 1, text: "this is the last frame that was seen; no answer came back", causes };
}

/**
 * A flooded copy that reached a gateway behind which the frame's destination is not, while another copy went on: what flooding
 * is. A unicast frame is flooded too, until its MAC is learned, which is a moment after its owner's answer.
 */
const isSpare = ({ reason, from, hex }: Hop, hops: readonly Hop[]): boolean =>
  reason?.name === "split_horizon" &&
  hops.some((other) => other.from === from && other.hex === hex && other.state === "passed");

const fieldOf = (hop: Hop, name: string) => hop.fields.find((field) => field.name === name)?.text;

/** The address that a question asks for, or that an answer tells of. */
const toldOf = (hop: Hop) =>
  fieldOf(hop, "target address") ?? fieldOf(hop, hop.kind === "request" ? "target IP" : "sender IP");

/** An error in place of the answer. */
function isError(hop: Hop, { source }: Ping): boolean {
  const message = fieldOf(hop, "message");
  if (hop.kind !== "ip" || message === undefined || message.startsWith("echo")) return false;
  const isIp = (layer: string) => layer === "IPv4" || layer === "IPv6";
  return hop.fields.some(({ layer, name, text }) => isIp(layer) && name === "destination" && text === source);
}

function isUnanswered(hop: Hop, later: readonly Hop[]): boolean {
  const ip = toldOf(hop);
  return !later.some((other) => other.kind === "reply" && other.to === hop.from && toldOf(other) === ip);
}

function textOf(hop: Hop, label: (id: string) => string): string {
  const { state, reason, rows, to, isLate } = hop;
  if (state === "dropped")
    return `${label(to)} ${isLate ? "kept it waiting, and then " : ""}ended it: ${reason!.name}, ${reason!.text}`;
  if (state === "lost") return reason!.text;
  const row = rows.find(({ holds }) => !holds);
  return row === undefined
    ? (reason?.text ?? "")
    : `expected ${row.expected}; ${row.note ?? row.observed ?? "nothing was seen"}`;
}
