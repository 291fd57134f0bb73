/** The picture of the fabric: gateways, what hangs on them, and the tunnels between them as cables with a strand for each VXLAN. */
import type { SVGAttributes, TargetedKeyboardEvent } from "preact";
import type { Fabric, GatewaySaid, Link, LinkEnd } from "../said.ts";
import { isDiscovered } from "./evpn.tsx";
import { type Cable, type Leaf, type Node, pictureOf } from "./layout.ts";
import { Scroll } from "./scroll.tsx";
import { bits, count, name } from "./shown.ts";
import { colourOf, hidden } from "./vxlans.tsx";

/** What the panel beside the picture tells about. */
export type Chosen =
  | { readonly kind: "gateway"; readonly node: string }
  | { readonly kind: "ac"; readonly node: string; readonly name: string }
  | { readonly kind: "link"; readonly a: string; readonly b: string };

export type Colouring = "vxlan" | "load" | "drops";

interface Props {
  readonly fabric: Fabric;
  readonly colouring: Colouring;
  readonly chosen: Chosen | null;
  readonly choose: (chosen: Chosen) => void;
}

const STRAND = 4;
/** More are one strand, with their number. */
const MOST_STRANDS = 6;
const BUSY = 1000;

export function Topology({ fabric, colouring, chosen, choose }: Props) {
  const picture = pictureOf(fabric);
  if (picture === null) return <Matrix fabric={fabric} choose={choose} />;
  const more = picture.moreStrangers;
  const isChosen = (other: Chosen) => JSON.stringify(other) === JSON.stringify(chosen);
  const pick = (what: Chosen, label: string): SVGAttributes<SVGGElement> => ({
    role: "button",
    tabIndex: 0,
    "aria-label": label,
    "aria-pressed": isChosen(what),
    onClick: () => choose(what),
    onKeyDown: (event: TargetedKeyboardEvent<SVGGElement>) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose(what);
    },
  });
  return (
    <svg class="topology" viewBox={`0 0 ${picture.width} ${picture.height}`} aria-label="The fabric; as a table below">
      {picture.cables.map((cable) => {
        const { a, b } = cable.link;
        const what: Chosen = { kind: "link", a: a.address, b: b.address };
        return (
          <g key={`${a.address} ${b.address}`} class="cable" {...pick(what, linkText(fabric, cable.link))}>
            <CableDrawn cable={cable} fabric={fabric} colouring={colouring} />
          </g>
        );
      })}
      {[
        ...picture.strangers.map(({ address, ...at }) => ({ label: name(address), ...at })),
        ...(more === null
          ? []
          : [{ label: `${count(more.count)} more ${more.count === 1 ? "VTEP" : "VTEPs"}`, ...more }]),
      ].map(({ label, x, y }) => (
        <g key={label} class="stranger">
          <rect x={x - 58} y={y - 18} width="116" height="36" rx="8" />
          <text x={x} y={y - 2}>
            {label}
          </text>{" "}
          <text x={x} y={y + 12} class="small">
            not asked
          </text>
        </g>
      ))}
      {picture.nodes.map((node) => (
        <NodeDrawn key={node.gateway.node} node={node} colouring={colouring} pick={pick} />
      ))}
    </svg>
  );
}

const endOf = ({ gateways }: Fabric, { node, tunnel }: LinkEnd) =>
  gateways.find((each) => each.node === node)?.tunnels.find((each) => each.name === tunnel);

/** What A sends to B, bits each second; null: not known. */
export function loadOf(fabric: Fabric, { a, b }: Link): readonly [there: number | null, back: number | null] {
  const [near, far] = [endOf(fabric, a), endOf(fabric, b)];
  const there = near?.rates.transmit ?? far?.rates.receive ?? null;
  const back = near?.rates.receive ?? far?.rates.transmit ?? null;
  return [there?.bitsPerSecond ?? null, back?.bitsPerSecond ?? null];
}

/** No configuration names it at either end. */
const isFound = ({ a, b }: Link): boolean =>
  [a.tunnel, b.tunnel].every((tunnel) => tunnel === null || isDiscovered(tunnel));

export type LinkState = "up" | "down" | "unwatched" | "one-sided";

export function stateOf(fabric: Fabric, link: Link): LinkState {
  const [near, far] = [endOf(fabric, link.a), endOf(fabric, link.b)];
  const isKnown = link.b.node !== null && fabric.gateways.find(({ node }) => node === link.b.node)?.status !== null;
  if (isKnown && (link.b.tunnel === null || link.oneSided.length > 0)) return "one-sided";
  if (near?.state === "down" || far?.state === "down") return "down";
  return near?.state === "unwatched" ? "unwatched" : "up";
}

function tagText(fabric: Fabric, link: Link): string {
  const state = stateOf(fabric, link);
  const [there, back] = loadOf(fabric, link);
  return state === "up" || state === "unwatched" ? `${bits(there)} ⇄ ${bits(back)}` : state;
}

export function linkText(fabric: Fabric, link: Link): string {
  const [there, back] = loadOf(fabric, link);
  const names = `${name(link.a.node)} – ${name(link.b.node ?? link.b.address)}`;
  const [seen, found] = isFound(link) ? [" EVPN", ", discovered by EVPN"] : ["", ""];
  // What is read begins with what is seen.
  return `${tagText(fabric, link)}${seen}, tunnel ${names}${found}: ${stateOf(fabric, link)}, VNI ${link.vnis.join(", ") || "none"}, ${bits(there)} there, ${bits(back)} back`;
}

function CableDrawn({ cable, fabric, colouring }: { cable: Cable; fabric: Fabric; colouring: Colouring }) {
  const { link, from, to } = cable;
  const state = stateOf(fabric, link);
  const [there, back] = loadOf(fabric, link);
  const load = (there ?? 0) + (back ?? 0);
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [nx, ny] = [-(to.y - from.y) / length, (to.x - from.x) / length];
  const line = (offset: number) => ({
    x1: from.x + nx * offset,
    y1: from.y + ny * offset,
    x2: to.x + nx * offset,
    y2: to.y + ny * offset,
  });
  const vnis = link.vnis.filter((vni) => !hidden.value.has(vni));
  const strands: readonly (number | null)[] = vnis.length > MOST_STRANDS ? [null] : vnis;
  const width = Math.max(strands.length, 1) * STRAND + 8;
  const [x, y] = [(from.x + to.x) / 2, (from.y + to.y) / 2];
  return (
    <>
      <line class="hull" {...line(0)} stroke-width={width + 8} />
      <line
        class={`sheath ${state} ${colouring === "load" ? `load${heatOf(load)}` : ""}`}
        {...line(0)}
        stroke-width={width}
      />
      {colouring !== "load" &&
        strands.map((vni, i) => (
          <line
            key={vni ?? "all"}
            class={`strand ${colourOf(vni)} ${load > BUSY ? "busy" : ""}`}
            {...line((i - (strands.length - 1) / 2) * STRAND)}
          />
        ))}
      <g class={`tag ${state}`} transform={`translate(${x} ${y})`}>
        <rect x="-66" y="-13" width="132" height="26" rx="13" />
        <text y="4.5">{tagText(fabric, link)}</text>{" "}
        {isFound(link) && (
          <text y="26" class="small">
            EVPN
          </text>
        )}
      </g>
    </>
  );
}

/** 0 nothing, 4 a gigabit and more. */
function heatOf(bitsPerSecond: number): number {
  return Math.max(0, Math.min(4, Math.floor(Math.log10(Math.max(bitsPerSecond, 1)) / 2 - 0.5)));
}

type Pick = (what: Chosen, label: string) => SVGAttributes<SVGGElement>;

function NodeDrawn({ node, colouring, pick }: { node: Node; colouring: Colouring; pick: Pick }) {
  const { gateway, x, y, leaves, more } = node;
  const kind = healthOf(gateway);
  const drops = gateway.dropsPerSecond ?? 0;
  const heat = colouring === "drops" && drops > 0 ? "dropping" : "";
  const third = kind === "ok" ? `${drops > 0 ? "✖ " : "● "}${count(drops)} drops/s` : `✖ ${healthText(gateway)}`;
  // What is read begins with what is seen.
  const label = `${shortName(gateway.node)} ${name(gateway.address)} ${third}, gateway, ${healthText(gateway)}`;
  return (
    <>
      {leaves
        .filter(({ vni }) => vni === null || !hidden.value.has(vni))
        .map((leaf) => (
          <LeafDrawn key={leaf.name} leaf={leaf} node={node} pick={pick} />
        ))}
      {more !== null && (
        <g class="leaf more">
          <line x1={x} y1={y} x2={more.x} y2={more.y} />
          <rect x={more.x - 56} y={more.y - 16} width="112" height="32" rx="16" />
          <text x={more.x} y={more.y + 4.5}>{`${count(more.count)} more`}</text>
        </g>
      )}
      <g
        class={`gateway ${kind} ${heat}`}
        data-node={gateway.node}
        {...pick({ kind: "gateway", node: gateway.node }, label)}
      >
        <rect x={x - 80} y={y - 36} width="160" height="72" rx="12" />
        <text x={x} y={y - 8} class="name">
          {shortName(gateway.node)}
        </text>{" "}
        <text x={x} y={y + 10} class="small mono">
          {name(gateway.address)}
        </text>{" "}
        <text x={x} y={y + 26} class={`small ${drops > 0 ? "bad" : ""}`}>
          {third}
        </text>
      </g>
    </>
  );
}

const shortName = (node: string): string => name(node).slice(0, 18);

export function healthOf({ status }: GatewaySaid): "ok" | "warn" | "bad" {
  return status === null ? "bad" : status.ready ? "ok" : "warn";
}

export function healthText({ status }: GatewaySaid): string {
  return status === null ? "silent" : status.ready ? "ready" : "not ready";
}

function LeafDrawn({ leaf, node, pick }: { leaf: Leaf; node: Node; pick: Pick }) {
  const { gateway } = node;
  const ac = gateway.acs.find((each) => each.name === leaf.name)!;
  const load = (ac.rates.receive?.bitsPerSecond ?? 0) + (ac.rates.transmit?.bitsPerSecond ?? 0);
  const what: Chosen = { kind: "ac", node: gateway.node, name: leaf.name };
  const where = leaf.vni === null ? "no VXLAN" : `VNI ${leaf.vni}`;
  const shown = name(leaf.name).slice(0, 9);
  const text = leaf.up ? (load > BUSY ? bits(load) : where) : "down";
  return (
    <g
      class={`leaf ${colourOf(leaf.vni)} ${leaf.up ? "" : "down"}`}
      data-ac={leaf.name}
      {...pick(
        what,
        `${shown} ${text}, AC of ${name(gateway.node)}, ${leaf.up ? "up" : "down"}, ${where}, ${bits(load)}`,
      )}
    >
      <line x1={node.x} y1={node.y} x2={leaf.x} y2={leaf.y} />
      <rect x={leaf.x - 68} y={leaf.y - 19} width="136" height="38" rx="19" />
      <circle cx={leaf.x - 52} cy={leaf.y} r="5" />
      <text x={leaf.x - 38} y={leaf.y + 4.5} class="start">
        {shown}
      </text>{" "}
      <text x={leaf.x + 58} y={leaf.y + 4} class="small end">
        {text}
      </text>
    </g>
  );
}

/** Gateway by gateway: what the row sends to the column. */
function Matrix({ fabric, choose }: { readonly fabric: Fabric; readonly choose: (chosen: Chosen) => void }) {
  const { gateways, links } = fabric;
  const between = (from: string, to: string) =>
    links.find(({ a, b }) => (a.node === from && b.node === to) || (a.node === to && b.node === from));
  return (
    <Scroll label="Traffic between gateways">
      <table class="matrix">
        <thead>
          <tr>
            <th scope="col">from \ to</th>
            {gateways.map(({ node }) => (
              <th key={node} scope="col">
                {name(node)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {gateways.map((from) => (
            <tr key={from.node}>
              <th scope="row">
                <button type="button" onClick={() => choose({ kind: "gateway", node: from.node })}>
                  {name(from.node)}
                </button>
              </th>
              {gateways.map((to) => {
                const link = between(from.node, to.node);
                if (link === undefined) return <td key={to.node}>{from === to ? "" : "–"}</td>;
                const [there, back] = loadOf(fabric, link);
                const state = stateOf(fabric, link);
                return (
                  <td key={to.node} class={state === "up" || state === "unwatched" ? "" : "bad"}>
                    {state === "down" || state === "one-sided" ? state : bits(link.a.node === from.node ? there : back)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
