/** The scenes of `lab -- borders`: what happens, who shall notice it, and what it may cost. */
import { until } from "../deadline.ts";
import type { LabState } from "../state.ts";
import {
  freeze,
  kill,
  nextHopsOf,
  PLAIN,
  probe,
  reload,
  restart,
  setCable,
  setLine,
  setUnderlay,
  stop,
  untilSessions,
  untilWell,
} from "./bed.ts";
import { BFD, MEMBERS, ROUTERS } from "./plan.ts";
import { type Loss, streamDuring } from "./stream.ts";

/** Of 6,400 packets a second, and 10,000. */
const FLOWS = 64;
const MANY_FLOWS = 100;
const NOTICED_MS = 15_000;
/** Addresses that are asked for in the scene of the members. */
const ADDRESSES = 128;
const TRIES = 5;

export interface Scene {
  readonly what: string;
  readonly notices: string;
  readonly loss: Loss;
  /** Either is the measure. */
  readonly most: { readonly gapMs: number } | { readonly share: number };
  readonly holds: boolean;
}

export interface MemberScene {
  readonly what: string;
  readonly flows: number;
  /** Flows that another member has now, which should not. */
  readonly moved: number;
  readonly share: number;
  readonly most: number;
  readonly holds: boolean;
}

interface Act {
  readonly what: string;
  readonly notices: string;
  readonly most: Scene["most"];
  readonly event: (state: LabState) => Promise<unknown>;
  readonly mend: (state: LabState) => Promise<unknown>;
}

const B1 = "b1";
const probed = { notices: "next-hop probing, 3 × 1 s", most: { gapMs: 3200 } };
const tracked = { notices: "the track of its line, 3 × 500 ms", most: { gapMs: 2000 } };
const cabled = { notices: "the AC's carrier", most: { gapMs: 2000 } };
const watched = { notices: `BFD, ${BFD.multiplier} × ${BFD.intervalMs} ms`, most: { gapMs: 200 } };
const drained = { notices: "the Border itself, which drains", most: { share: 0.001 } };

const killed = { what: "kill -9 of a Border", event: (state: LabState) => kill(state, B1), mend: again };
const frozen = {
  what: "SIGSTOP of a Border: it hangs",
  event: async (state: LabState) => freeze(state, B1, true),
  mend: again,
};
const cut = {
  what: "the underlay of a Border is cut",
  event: (state: LabState) => setUnderlay(state, B1, false),
  mend: (state: LabState) => setUnderlay(state, B1, true),
};
const ended = { what: "SIGTERM of a Border", event: (state: LabState) => stop(state, B1), mend: again };
const line = {
  what: "the line behind a Border's router dies",
  event: (state: LabState) => setLine(state, ROUTERS[0]!.name, false),
  mend: (state: LabState) => setLine(state, ROUTERS[0]!.name, true),
};
const cable = {
  what: "a Border's uplink loses its carrier",
  event: (state: LabState) => setCable(state, ROUTERS[0]!, false),
  mend: (state: LabState) => setCable(state, ROUTERS[0]!, true),
};

function again(state: LabState): Promise<void> {
  return restart(state, B1);
}

const BY_PROBING: readonly Act[] = [
  { ...killed, ...probed },
  { ...frozen, ...probed },
  { ...cut, ...probed },
  { ...line, ...tracked },
  { ...cable, ...cabled },
  { ...ended, ...drained },
];
const BY_BFD: readonly Act[] = [
  { ...killed, ...watched },
  { ...frozen, ...watched },
  { ...cut, ...watched },
  { ...ended, notices: "the Border itself, by BFD", most: drained.most },
];

/** Play all scenes with two Borders, each from a network that is well. */
export async function playBorders(
  state: LabState,
  say: (text: string) => void,
  tell: (scene: Scene) => void,
): Promise<Scene[]> {
  const scenes: Scene[] = [];
  const play = async (acts: readonly Act[]) => {
    for (const act of acts) {
      say(`${act.what} (${act.notices})`);
      const isShare = "share" in act.most;
      // The whole of what it may take, and then some: a flow that does not come back shows in the figure.
      const afterMs = isShare ? 1000 : act.most.gapMs + 5000;
      const loss = await streamDuring(state, isShare ? MANY_FLOWS : FLOWS, () => act.event(state), afterMs);
      const scene = { what: act.what, notices: act.notices, most: act.most, loss, holds: judge(act.most, loss) };
      scenes.push(scene);
      tell(scene);
      await act.mend(state);
      await untilWell(state);
    }
  };
  await play(BY_PROBING);
  await reload(state, { ...PLAIN, bfd: true });
  await untilSessions(state);
  for (const act of BY_BFD) {
    await play([act]);
    await untilSessions(state);
  }
  await reload(state, PLAIN);
  return scenes;
}

/** What the receiver had no room for is no gateway's loss. */
function judge(most: Scene["most"], { sent, lost, refused, gapMs }: Loss): boolean {
  if ("gapMs" in most) return sent > 0 && gapMs <= most.gapMs;
  return sent > 0 && lost - refused <= most.share * sent;
}

/** One of four members of a set dies, and a fifth one comes: who keeps which flow. */
export async function playMembers(state: LabState): Promise<MemberScene[]> {
  const look = async () => {
    let found = new Map<string, number>();
    // An answer may be one of the first, which wait for ARP, or later than a busy machine waits: asked again.
    for (let n = 0; n < TRIES && found.size < ADDRESSES; n++)
      found = new Map([...(await probe(state, "70.1.1.1", ADDRESSES)), ...found]);
    return found;
  };
  const before = await look();
  const dead = MEMBERS[1]!;
  await setCable(state, dead, false);
  const isDead = async () => (await nextHopsOf(state, "70.0.0.0/8")).get(dead.address) === false;
  await until("the death of a member to be noticed", NOTICED_MS, isDead);
  const without = await look();
  const owner = [...new Set(before.values())].sort()[1]!;
  const kept = [...before].filter(([, ttl]) => ttl !== owner);
  const lost = kept.filter(([ip, ttl]) => without.get(ip) !== ttl).length;
  await setCable(state, dead, true);
  await until("its return", NOTICED_MS, async () => {
    await look();
    return (await nextHopsOf(state, "70.0.0.0/8")).get(dead.address) === true;
  });
  await reload(state, { ...PLAIN, members: 5 });
  const after = await look();
  const changed = [...before].filter(([ip, ttl]) => after.get(ip) !== ttl).length;
  return [
    memberScene("one of four next hops dies: flows of the other three that moved", kept.length, lost, 0),
    memberScene("a fifth next hop comes: flows that moved", before.size, changed, 0.25),
  ];
}

function memberScene(what: string, flows: number, moved: number, most: number): MemberScene {
  const share = moved / Math.max(1, flows);
  return { what, flows, moved, share, most, holds: flows > 0 && share <= most };
}
