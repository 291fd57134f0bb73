/**
 * Where things are drawn, by rule and not by force: the same fabric has the same picture every time, and people learn places.
 *
 * Up to four gateways stand in a row; up to sixteen on a ring; more are a matrix, and drawn elsewhere. The Border, which has a VSI
 * without VNI, stands below. What hangs on a gateway stands beside it: outside where there are two, above where there are more.
 */
import type { Fabric, GatewaySaid, Link, LinkEnd } from "../said.ts";

const WIDTH = 1000;
const LEAVES_SHOWN = 6;
/** On a ring there is less room between neighbours. */
const LEAVES_ON_RING = 3;
/** From the middle of one gateway to that of the next. */
const RING_STEP = 190;
/** What hangs on a gateway needs so much beside it. */
const MARGIN = 300;
const LEAF_STEP = 50;
/** So many places in a line have far ends that are none of the gateways asked. */
const STRANGER_PLACES = 7;

export interface Leaf {
  readonly name: string;
  readonly vni: number | null;
  readonly up: boolean;
  readonly x: number;
  readonly y: number;
}

export interface Node {
  readonly gateway: GatewaySaid;
  readonly x: number;
  readonly y: number;
  readonly leaves: readonly Leaf[];
  /** ACs that are not drawn, and where their number stands. */
  readonly more: { readonly count: number; readonly x: number; readonly y: number } | null;
}

export interface Cable {
  readonly link: Link;
  readonly from: { readonly x: number; readonly y: number };
  readonly to: { readonly x: number; readonly y: number };
}

interface Stranger {
  readonly address: string;
  readonly x: number;
  readonly y: number;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly Node[];
  readonly cables: readonly Cable[];
  /** Far ends that are none of the gateways asked. */
  readonly strangers: readonly Stranger[];
  /** Those that are not drawn, nor their cables, and where their number stands. */
  readonly moreStrangers: { readonly count: number; readonly x: number; readonly y: number } | null;
}

/** Does it lead to the outside? It has a VSI that is no VXLAN, with an address in it. */
export const isBorder = (gateway: GatewaySaid): boolean =>
  gateway.vsis.some(({ vni, interface: name }) => vni === null && name !== null);

type Place = readonly [x: number, y: number, side: "left" | "right" | "up" | "down"];

/** null: too many for a picture. */
export function pictureOf({ gateways, links }: Fabric): Picture | null {
  if (gateways.length > 16) return null;
  const borders = gateways.filter(isBorder);
  const row = gateways.filter((gateway) => !isBorder(gateway));
  const ring = gateways.length > 6 || row.length > 4 ? ringOf(gateways) : null;
  const lower = Math.max(...row.map(({ acs }) => Math.min(acs.length, LEAVES_SHOWN)), 3) * LEAF_STEP;
  const places = ring ?? new Map([...rowOf(row, lower), ...borderOf(borders, lower)]);
  const most = ring === null ? LEAVES_SHOWN : LEAVES_ON_RING;
  const nodes = gateways.map((gateway) => nodeOf(gateway, places.get(gateway)!, most));
  const { strangers, moreStrangers } = strangersOf(links, nodes);
  const at = ({ node, address }: LinkEnd) =>
    nodes.find(({ gateway }) => gateway.node === node) ?? strangers.find((each) => each.address === address);
  const cables = links.flatMap((link): Cable[] => {
    const [from, to] = [at(link.a), at(link.b)];
    return from === undefined || to === undefined ? [] : [{ link, from, to }];
  });
  const lowest = Math.max(...nodes.map(({ y }) => y), ...nodes.flatMap(({ leaves }) => leaves.map(({ y }) => y)), 200);
  const width = ring === null ? WIDTH : 2 * (radiusOf(gateways.length) + MARGIN);
  return { width, height: lowest + 70, nodes, cables, strangers, moreStrangers };
}

function rowOf(row: readonly GatewaySaid[], lower: number): [GatewaySaid, Place][] {
  if (row.length <= 2) {
    const y = lower / 2 + 34;
    const sides =
      row.length === 1
        ? ([[330, "left"]] as const)
        : ([
            [300, "left"],
            [700, "right"],
          ] as const);
    return row.map((gateway, i) => [gateway, [sides[i]![0], y, sides[i]![1]]]);
  }
  const step = WIDTH / row.length;
  return row.map((gateway, i) => [gateway, [step * (i + 0.5), lower + 90, "up"]]);
}

function borderOf(borders: readonly GatewaySaid[], lower: number): [GatewaySaid, Place][] {
  const step = WIDTH / (borders.length + 1);
  return borders.map((gateway, i) => [gateway, [step * (i + 1), lower + 180, "right"]]);
}

const radiusOf = (gateways: number): number => Math.max(260, RING_STEP / (2 * Math.sin(Math.PI / gateways)));

function ringOf(gateways: readonly GatewaySaid[]): Map<GatewaySaid, Place> {
  const radius = radiusOf(gateways.length);
  return new Map(
    gateways.map((gateway, i) => {
      const angle = (2 * Math.PI * i) / gateways.length - Math.PI / 2;
      const place: Place = [
        MARGIN + radius * (1 + Math.cos(angle)),
        90 + radius * (1 + Math.sin(angle)),
        Math.cos(angle) < -0.01 ? "left" : "right",
      ];
      return [gateway, place];
    }),
  );
}

function nodeOf(gateway: GatewaySaid, [x, y, side]: Place, most: number): Node {
  const vniOf = new Map(gateway.vsis.map(({ name, vni }) => [name, vni]));
  const all = gateway.status?.counts.acs ?? gateway.acs.length;
  // A number below a cut list says what is not drawn.
  const shown = gateway.acs.slice(0, all > most ? most - 1 : most);
  const slots = shown.length + (all > shown.length ? 1 : 0);
  const placeOf = (i: number): readonly [number, number] => {
    if (side === "up") return [x, y - 70 - (slots - 1 - i) * 36];
    const dx = side === "left" ? -210 : 210;
    return [x + dx, y + (i - (slots - 1) / 2) * LEAF_STEP];
  };
  const leaves = shown.map(({ name, vsi, up }, i) => {
    const [leafX, leafY] = placeOf(i);
    return { name, vni: vniOf.get(vsi) ?? null, up, x: leafX, y: leafY };
  });
  const [moreX, moreY] = placeOf(slots - 1);
  return { gateway, x, y, leaves, more: all > shown.length ? { count: all - shown.length, x: moreX, y: moreY } : null };
}

function strangersOf(links: readonly Link[], nodes: readonly Node[]): Pick<Picture, "strangers" | "moreStrangers"> {
  const addresses = [...new Set(links.filter(({ b }) => b.node === null).map(({ b }) => b.address))];
  const y = Math.max(...nodes.map((node) => node.y), 200) + 20;
  const shown = addresses.slice(0, addresses.length > STRANGER_PLACES ? STRANGER_PLACES - 1 : STRANGER_PLACES);
  const placeOf = (i: number) => ({ x: 110 + i * 130, y });
  const strangers = shown.map((address, i) => ({ address, ...placeOf(i) }));
  const count = addresses.length - shown.length;
  return { strangers, moreStrangers: count > 0 ? { count, ...placeOf(shown.length) } : null };
}
