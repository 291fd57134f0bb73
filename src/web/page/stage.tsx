/**
 * The picture of a walk: who takes part stands in a row, the frame travels below them, and under that the ladder tells all hops.
 *
 * A question is dashed, an answer dotted, a packet solid; what runs inside a tunnel is drawn inside of one. The same in words is
 * beside it.
 */
import { useEffect, useRef } from "preact/hooks";
import type { Actor, Hop, Walk } from "../said-walk.ts";
import { messageOf, resolutionOf, senderMacOf, targetOf, toldOf, ttlOf } from "./hop-field.ts";
import { name } from "./shown.ts";
import { colourOf } from "./vxlans.tsx";

const GUTTER = 62;
const COLUMN = 132;
/** For VNIs, at the right. */
const MARGIN = 58;
const HEADS = 58;
const RAIL = 66;
const ROW = 33;
const TRAVEL_MS = 900;

interface Props {
  readonly walk: Walk;
  readonly done: number;
  readonly goTo: (number: number) => void;
  /** What has not happened yet is not told. */
  readonly isVeiled?: boolean;
  /** Without the travelling frame. */
  readonly isSmall?: boolean;
}

export function Stage({ walk, done, goTo, isVeiled = false, isSmall = false }: Props) {
  const { actors, hops } = walk;
  const width = GUTTER + COLUMN * actors.length + MARGIN;
  const top = HEADS + (isSmall ? 12 : RAIL);
  const height = top + ROW * hops.length + 14;
  const xOf = (id: string) => GUTTER + COLUMN * (actors.findIndex((actor) => actor.id === id) + 0.5);
  const current = hops[done - 1];
  return (
    <svg
      class="stage"
      viewBox={`0 0 ${width} ${height}`}
      aria-label={`Ladder of ${hops.length} hops; in words beside it`}
    >
      {actors.map((actor) => (
        <line
          key={actor.id}
          class={`lifeline ${actor.kind}`}
          x1={xOf(actor.id)}
          x2={xOf(actor.id)}
          y1={HEADS - 6}
          y2={height}
        />
      ))}
      {!isSmall && <rect class="rail" x={GUTTER} y={HEADS} width={COLUMN * actors.length} height={RAIL - 8} rx="10" />}
      {actors.map((actor) => (
        <Head
          key={actor.id}
          actor={actor}
          x={xOf(actor.id)}
          isActive={!isSmall && (current?.from === actor.id || current?.to === actor.id)}
        />
      ))}
      {hops.map((hop, i) => {
        const number = i + 1;
        const state = number === done ? "now" : number < done ? "past" : "next";
        if (isVeiled && state === "next") return null;
        return (
          // biome-ignore lint/a11y/noStaticElementInteractions: by keys, the list in words goes to each hop
          <g
            key={i}
            class={`hop ${hop.kind} ${hop.state} ${state}`}
            data-hop={number}
            data-state={hop.state}
            onClick={() => goTo(number)}
          >
            <rect class="row" x="0" y={top + ROW * i} width={width} height={ROW} rx="6" />
            <text class="step" x="10" y={top + ROW * (i + 0.5) + 4}>
              {stepText(walk, hop)}
            </text>
            {hop.tunnel !== null && (
              <text class={`vni-at ${colourOf(hop.tunnel.vni)}`} x={width - 8} y={top + ROW * (i + 0.5) + 4}>
                {`VNI ${hop.tunnel.vni ?? "?"}`}
              </text>
            )}
            <Arrow hop={hop} names={walk.names} from={xOf(hop.from)} to={xOf(hop.to)} y={top + ROW * (i + 0.5) + 5} />
          </g>
        );
      })}
      {!isSmall && current !== undefined && (
        <Envelope key={done} hop={current} from={xOf(current.from)} to={xOf(current.to)} y={HEADS + RAIL / 2 - 5} />
      )}
    </svg>
  );
}

export function stepText({ scenario }: Walk, { step }: Hop): string {
  return step === null || scenario === null ? "" : `S${scenario}.${step}`;
}

function Head({ actor, x, isActive }: { readonly actor: Actor; readonly x: number; readonly isActive: boolean }) {
  const isGateway = actor.kind === "gateway";
  return (
    <g class={`head ${actor.kind} ${isActive ? "active" : ""}`}>
      <rect x={x - 56} y="4" width="112" height={HEADS - 14} rx={isGateway ? 10 : 22} />
      <text x={x} y={isGateway ? 22 : 31} class="name">
        {name(actor.label).slice(0, 14)}
      </text>{" "}
      {isGateway && (
        <text x={x} y="38" class="small">
          {name(actor.address)}
        </text>
      )}
    </g>
  );
}

function Arrow({
  hop,
  names,
  from,
  to,
  y,
}: {
  readonly hop: Hop;
  readonly names: Walk["names"];
  readonly from: number;
  readonly to: number;
  readonly y: number;
}) {
  const way = Math.sign(to - from) || 1;
  const isShort = hop.state === "lost";
  const end = isShort ? from + (to - from) * 0.6 : to - way * 2;
  const cross = isShort ? end + way * 8 : to - way * 14;
  return (
    <>
      {hop.tunnel !== null && (
        <line class={`pipe ${colourOf(hop.tunnel.vni)}`} x1={from} x2={isShort ? end : to} y1={y} y2={y} />
      )}
      <line class="shaft" x1={from} x2={end - way * 7} y1={y} y2={y} />
      {hop.state === "passed" ? (
        <path class="tip" d={`M${end} ${y}l${-way * 9} -4.5v9z`} />
      ) : (
        <text class="cross" x={cross} y={y + 5}>
          ✖
        </text>
      )}
      <text class="label" x={(from + to) / 2} y={y - 6}>
        {labelOf(hop, names)}
      </text>
    </>
  );
}

/** The frame in a few words. */
function labelOf(hop: Hop, names: Walk["names"]): string {
  const { kind, state } = hop;
  if (state === "missing") return "missing";
  if (kind === "request") return `who has ${targetOf(hop)}?`;
  if (kind === "reply") return `${toldOf(hop)} is at ${names[senderMacOf(hop)] ?? "…"}`;
  if (kind === "other") return "frame";
  return `${messageOf(hop).replace("echo request", "ping").replace("echo reply", "pong") || "packet"}, ttl ${ttlOf(hop)}`;
}

/** The same in one word. */
function wordOf(hop: Hop): string {
  if (hop.kind === "ip") return "packet";
  if (hop.kind === "other") return "frame";
  return `${resolutionOf(hop)} ${hop.kind === "request" ? "?" : "!"}`;
}

/** The frame on its way: in a tunnel it lies inside another one. */
function Envelope({
  hop,
  from,
  to,
  y,
}: {
  readonly hop: Hop;
  readonly from: number;
  readonly to: number;
  readonly y: number;
}) {
  const place = useRef<SVGGElement>(null);
  useEffect(() => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (still || hop.state === "missing") return;
    const stop = hop.state === "lost" ? from + (to - from) * 0.6 : to;
    place.current?.animate(
      [{ transform: `translate(${from}px, ${y}px)` }, { transform: `translate(${stop}px, ${y}px)` }],
      {
        duration: TRAVEL_MS,
        easing: "cubic-bezier(.45,.05,.35,1)",
      },
    );
  }, [hop, from, to, y]);
  const stop = hop.state === "lost" ? from + (to - from) * 0.6 : to;
  return (
    <g ref={place} class={`envelope ${hop.kind} ${hop.state}`} transform={`translate(${stop} ${y})`}>
      {hop.tunnel !== null && (
        <g class={colourOf(hop.tunnel.vni)}>
          <rect class="outer" x="-44" y="-22" width="88" height="44" rx="9" />
          <text class="tiny" y="-11">{`VXLAN ${hop.tunnel.vni ?? "?"}`}</text>
        </g>
      )}
      <rect class="inner" x="-32" y={hop.tunnel === null ? -13 : -7} width="64" height="25" rx="5" />
      <text class="tiny ink" y={hop.tunnel === null ? 4 : 10}>
        {wordOf(hop)}
      </text>
    </g>
  );
}
