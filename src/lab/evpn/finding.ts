/**
 * How the fabric finds itself, and then its hosts: for each route the place at the other end where it was seen, the entry that it made
 * there, and the ping that goes by it.
 */
import type { Family } from "../../web/article.ts";
import { namespaceOf } from "../bed.ts";
import { until } from "../deadline.ts";
import { ping } from "../measure.ts";
import { say } from "../paint.ts";
import type { LabState } from "../state.ts";
import { addressOf, type Vtep } from "../topology.ts";
import {
  evpnOf,
  fdbOfLeaf,
  is,
  lostRouterMacs,
  macAt,
  neighborAt,
  neighborOfLeaf,
  prefixAt,
  prefixOfLeaf,
  routeAtFrr,
  routeAtGateway,
  routeText,
  tunnelAt,
} from "./eyes.ts";
import { BORDER, GATEWAYS, hostOf, L3VNI, LEAF, OURS, REFLECTORS, SPEAKERS, VXLANS } from "./fabric.ts";
import { askFrr, resetSessions } from "./frr.ts";
import { type FabricPart, type FabricRow, type FabricStep, type Observed, see } from "./rows.ts";

/** A session begins some seconds after an engine, and is worth nothing before it has sent all. */
const SESSION_MS = 60_000;
const PINGS = 5;
const PING_MS = 45_000;
const MEND_MS = 25_000;
const FLOOD = "00:00:00:00:00:00";

export const vtepOf = (name: string) => SPEAKERS.find((each) => each.name === name)!.underlay;
export const tunnelName = (vtep: string) => `evpn:${vtep}`;
/** Routes as FRR and vtepctl write them: no Ethernet tag, no ESI. */
export const floodRoute = (vtep: string) => `[3]:[0]:[32]:[${vtep}]`;
export const macRoute = (mac: string) => `[2]:[0]:[48]:[${mac}]`;
export const hostRoute = (mac: string, address: string) =>
  `${macRoute(mac)}:[${address.includes(":") ? 128 : 32}]:[${address}]`;

export async function findEachOther(state: LabState): Promise<FabricPart> {
  return {
    title: "The fabric finds itself",
    steps: [
      {
        number: 1,
        text: "every gateway, by its gobgpd, and the leaf have a session with both reflectors",
        rows: [...(await Promise.all(OURS.map((each) => sessionsOf(state, each)))), await sessionsOfLeaf(state)],
      },
      {
        number: 2,
        text: "type 3: each tells that it takes part in VXLAN 10 and 20; no tunnel is configured, here they come into being",
        rows: await floodRows(state),
      },
    ],
  };
}

async function sessionsOf(state: LabState, { name }: Vtep): Promise<FabricRow> {
  const expected = REFLECTORS.map((each) => `${each.name} established`).join(", ");
  return await see(
    `sessions of ${name}`,
    `${expected}, in sync`,
    async () => {
      const { peers, state: sync } = await evpnOf(state, name);
      const states = REFLECTORS.map((each) => {
        const peer = peers.find(({ address }) => address === each.underlay);
        return `${each.name} ${peer?.state ?? "unknown"}`;
      });
      const text = `${states.join(", ")}, ${sync === "synced" ? "in sync" : sync}`;
      return { text, holds: text === `${expected}, in sync` };
    },
    SESSION_MS,
  );
}

async function sessionsOfLeaf(state: LabState): Promise<FabricRow> {
  const expected = REFLECTORS.map((each) => `${each.name} established`).join(", ");
  return await see(
    `sessions of ${LEAF.name}`,
    expected,
    async () => {
      const { peers } = await askFrr<{ peers: Record<string, { state: string }> }>(
        state,
        LEAF.name,
        "show bgp l2vpn evpn summary",
      );
      const text = REFLECTORS.map((each) => `${each.name} ${peers[each.underlay]?.state.toLowerCase() ?? "unknown"}`);
      return is(text.join(", "), expected);
    },
    SESSION_MS,
  );
}

async function floodRows(state: LabState): Promise<FabricRow[]> {
  const rows: FabricRow[] = [];
  for (const { name, underlay } of GATEWAYS) {
    rows.push(await routeOnFrr(state, floodRoute(underlay), underlay, `of ${name}`));
    for (const vni of VXLANS)
      rows.push(
        await see(`FDB of ${LEAF.name}, VXLAN ${vni}`, `flooding to ${underlay}`, async () => {
          const vteps = await fdbOfLeaf(state, vni, FLOOD);
          return { text: `flooding to ${vteps.join(", ") || "none"}`, holds: vteps.includes(underlay) };
        }),
      );
  }
  rows.push(await routeOnGateway(state, "gw1", floodRoute(LEAF.underlay), LEAF.underlay, `of ${LEAF.name}`));
  for (const [at, to] of [
    ["gw1", LEAF.name],
    ["gw1", "gw2"],
    ["gw2", LEAF.name],
  ] as const) {
    const vtep = vtepOf(to);
    const expected = `tunnel ${tunnelName(vtep)}, VNIs ${[...VXLANS, L3VNI].join(", ")}`;
    rows.push(
      await see(`tunnels of ${at}`, expected, async () => {
        const found = await tunnelAt(state, at, vtep);
        return found === undefined ? null : is(`tunnel ${found.tunnel}, VNIs ${found.vnis.join(", ")}`, expected);
      }),
    );
  }
  return rows;
}

export async function routeOnFrr(
  state: LabState,
  text: string,
  nextHop: string,
  whose: string,
  sequence: number | null = null,
): Promise<FabricRow> {
  const expected = `${text} by ${nextHop}${sequence === null ? "" : `, sequence ${sequence}`}`;
  return await see(`route ${whose}, seen at ${LEAF.name}`, expected, async () => {
    const found = await routeAtFrr(state, LEAF.name, text, nextHop);
    return found === null ? null : { text: routeText(found), holds: found.sequence === sequence };
  });
}

export async function routeOnGateway(
  state: LabState,
  at: string,
  text: string,
  nextHop: string,
  whose: string,
  sequence: number | null = null,
): Promise<FabricRow> {
  const expected = `${text} by ${nextHop}${sequence === null ? "" : `, sequence ${sequence}`}, used`;
  return await see(`route ${whose}, seen at ${at}`, expected, async () => {
    const found = await routeAtGateway(state, at, text, nextHop);
    if (found === null) return null;
    const isRight = found.isUsed && found.sequence === sequence;
    return { text: `${routeText(found)}, ${found.isUsed ? "used" : "not used"}`, holds: isRight };
  });
}

/** The route of a host at the other end, and the entries it made there. */
export async function hostRows(
  state: LabState,
  name: string,
  seenAt: string,
  family: Family = 4,
): Promise<FabricRow[]> {
  const { mac, behind, vxlan } = hostOf(name);
  const address = addressOf(hostOf(name), family);
  const vtep = vtepOf(behind);
  const route = hostRoute(mac, address);
  if (seenAt === LEAF.name)
    return [
      await routeOnFrr(state, route, vtep, `of ${name}`),
      await fdbRow(state, vxlan!, mac, vtep),
      await see(`neighbours of ${LEAF.name}`, `${address} is ${mac}`, async () => {
        const found = await neighborOfLeaf(state, vxlan!, address);
        return is(found && `${address} is ${found}`, `${address} is ${mac}`);
      }),
    ];
  return [
    await routeOnGateway(state, seenAt, route, vtep, `of ${name}`),
    await macRow(state, seenAt, mac, tunnelName(vtep)),
    await see(`${family === 4 ? "ARP" : "ND"} table of ${seenAt}`, `${address} is ${mac}, from evpn`, async () => {
      const found = await neighborAt(state, seenAt, address);
      if (found === undefined) return null;
      return is(`${address} is ${found.mac}, from ${found.from}`, `${address} is ${mac}, from evpn`);
    }),
  ];
}

/** The leaf's kernel sends a MAC to this VTEP, and to no other. */
export function fdbRow(state: LabState, vni: number, mac: string, vtep: string): Promise<FabricRow> {
  return see(`FDB of ${LEAF.name}`, `${mac} at ${vtep}`, async () => {
    const vteps = await fdbOfLeaf(state, vni, mac);
    return is(vteps.length === 0 ? null : `${mac} at ${vteps.join(", ")}`, `${mac} at ${vtep}`);
  });
}

export function macRow(state: LabState, at: string, mac: string, port: string): Promise<FabricRow> {
  return see(`MAC table of ${at}`, `${mac} at ${port}`, async () => {
    const found = await macAt(state, at, mac);
    return is(found && `${mac} at ${found}`, `${mac} at ${port}`);
  });
}

export async function pingRow(
  state: LabState,
  from: string,
  to: string,
  ttl: number,
  family: Family = 4,
): Promise<FabricRow> {
  let first: string | null = null;
  const row = await see(
    `ping ${from} → ${to}${family === 6 ? " by IPv6" : ""}`,
    `ttl ${ttl}, ${PINGS} of ${PINGS}`,
    async () => {
      const seen = await pinged(state, from, addressOf(hostOf(to), family), ttl);
      first ??= seen.text;
      if (!seen.holds) await mendLeaf(state);
      return seen;
    },
    PING_MS,
  );
  return row.observed === first || first === null ? row : { ...row, note: `at the first try: ${first}` };
}

/** FRR's fault is none of the fabric: it is told of, and mended as an operator would (docs/evpn.md). */
async function mendLeaf(state: LabState): Promise<void> {
  const lost = await lostRouterMacs(state);
  if (lost.length === 0) return;
  say(`FRR at ${LEAF.name} has routes by ${lost.join(", ")} without the router's MAC: its sessions are reset`);
  await resetSessions(state, LEAF.name);
  const isWhole = async () =>
    (await prefixOfLeaf(state, "0.0.0.0/0")) !== null && (await lostRouterMacs(state)).length === 0;
  await until("router's MACs at the leaf", MEND_MS, isWhole, 200).catch(() => undefined);
}

async function pinged(state: LabState, from: string, to: string, ttl: number): Promise<Observed> {
  const { echoes, complaint } = await ping(namespaceOf(state, from), to, PINGS);
  const ttls = [...new Set(echoes.map((echo) => echo.ttl))];
  const first = echoes.find(({ sequence }) => sequence === 1);
  const told = `ttl ${ttls.join(", ") || "none"}, ${echoes.length} of ${PINGS}`;
  const times = first === undefined ? "" : `, the first after ${first.rttMs.toFixed(1)} ms`;
  return {
    text: `${told}${times}${complaint === "" ? "" : ` (${complaint})`}`,
    holds: echoes.length === PINGS && ttls.length === 1 && ttls[0] === ttl,
  };
}

const prefixRoute = (network: string, length: number) => `[5]:[0]:[${length}]:[${network}]`;

/** A prefix of one, as others have it: the route, and the entry in the table that packets go by. */
export async function prefixRows(
  state: LabState,
  network: string,
  length: number,
  by: Vtep,
  seenAt: string,
): Promise<FabricRow[]> {
  const text = prefixRoute(network, length);
  const prefix = `${network}/${length}`;
  const whose = `of ${prefix} by ${by.name}`;
  if (seenAt === LEAF.name)
    return [
      await routeOnFrr(state, text, by.underlay, whose),
      await see(`routes of ${LEAF.name}`, `${prefix} by ${by.underlay}`, async () => {
        const via = await prefixOfLeaf(state, prefix);
        return is(via && `${prefix} by ${via}`, `${prefix} by ${by.underlay}`);
      }),
    ];
  return [
    await routeOnGateway(state, seenAt, text, by.underlay, whose),
    await see(`routes of ${seenAt}`, `${prefix} by ${by.underlay}, from evpn`, async () => {
      const found = await prefixAt(state, seenAt, prefix);
      return is(found && `${prefix} by ${found}`, `${prefix} by ${by.underlay}, from evpn`);
    }),
  ];
}

export async function findPrefixes(state: LabState, firstStep: number): Promise<FabricPart> {
  const outside = [
    ...(await prefixRows(state, "0.0.0.0", 0, BORDER, "gw1")),
    ...(await prefixRows(state, "0.0.0.0", 0, BORDER, LEAF.name)),
    await pingRow(state, "vm1", "ext", 62),
    await pingRow(state, "h10", "ext", 62),
    await pingRow(state, "ext", "vm4", 62),
  ];
  const routed = [
    ...(await prefixRows(state, "60.1.1.0", 24, LEAF, "gw1")),
    await pingRow(state, "vm1", "h60", 62),
    await pingRow(state, "h60", "vm5", 62),
    await pingRow(state, "ext", "h60", 62),
  ];
  return {
    title: "Prefixes, by type 5 and the L3VNI",
    steps: [
      {
        number: firstStep,
        text: "the outside: the Border, which has no VNI of a subnet, announces the default route",
        rows: outside,
      },
      { number: firstStep + 1, text: "a subnet that the leaf alone has", rows: routed },
    ],
  };
}

export async function findHosts(state: LabState): Promise<FabricPart> {
  const steps: FabricStep[] = [];
  const step = async (text: string, ...rows: (() => Promise<FabricRow | FabricRow[]>)[]) => {
    const seen: FabricRow[] = [];
    for (const row of rows) seen.push(...[await row()].flat());
    steps.push({ number: steps.length + 3, text, rows: seen });
  };
  await step(
    "the same subnet, across makes: vm1 pings h10, which has never said a word",
    () => pingRow(state, "vm1", "h10", 64),
    () => hostRows(state, "vm1", LEAF.name),
    // Its answer crossed the leaf as a frame: FRR knows its MAC, and not yet its address.
    () => routeOnGateway(state, "gw1", macRoute(hostOf("h10").mac), LEAF.underlay, "of h10"),
    () => macRow(state, "gw1", hostOf("h10").mac, tunnelName(LEAF.underlay)),
  );
  await step(
    "the same subnet, between gateways: vm1 pings vm4",
    () => pingRow(state, "vm1", "vm4", 64),
    () => hostRows(state, "vm1", "gw2"),
    () => hostRows(state, "vm4", "gw1"),
  );
  await step(
    "another subnet: our gateways route into the VXLAN of the destination (asymmetric IRB); FRR prefers the L3VNI, its packets are routed twice",
    () => pingRow(state, "vm1", "h20", 62),
    () => pingRow(state, "h10", "vm2", 63),
    () => pingRow(state, "vm1", "vm5", 63),
    () => hostRows(state, "h20", "gw1"),
    () => hostRows(state, "vm2", LEAF.name),
    // It has spoken to its gateway by now.
    () => hostRows(state, "h10", "gw1"),
  );
  return { title: "Hosts, by type 2", steps };
}
