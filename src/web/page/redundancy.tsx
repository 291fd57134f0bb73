/** What the gateways lean on: tracks, BFD sessions, next hops that are dead, and who leaves. As `vtepctl show track|bfd|next-hop`. */

import type { RedundancyGateway, RedundancySaid } from "../said-redundancy.ts";
import { polled } from "./poll.ts";
import { Heads, Scroll } from "./scroll.tsx";
import { duration, name, sentence } from "./shown.ts";
import { Sign } from "./sign.tsx";

const AGAIN_MS = 3000;
const MOST_LINES = 40;
const redundancy = polled<RedundancySaid>("/api/redundancy", AGAIN_MS);

const HEADS = ["gateway", "what", "state", "since", "on it depends"];
type Kind = "ok" | "warn" | "bad";

interface Line {
  readonly node: string;
  readonly what: string;
  readonly kind: Kind;
  readonly state: string;
  readonly since: string;
  readonly uses: string;
}

/** Troubles first; each gateway's own in its order. */
function linesOf({ node, error, draining, tracks, dead, problem, sessions }: RedundancyGateway): Line[] {
  const common = { node, since: "", uses: "" };
  const all: Line[] = [];
  if (error !== null) all.push({ ...common, what: "the gateway", kind: "bad", state: error });
  if (draining !== null) all.push({ ...common, what: "the gateway", kind: "warn", state: draining });
  if (problem !== null) all.push({ ...common, what: "BFD", kind: "bad", state: problem });
  for (const { ip, tunnel, interface: on, deadSeconds, uses, useCount } of dead)
    all.push({
      ...{ node, what: `next hop ${ip}${tunnel === null ? "" : ` behind ${tunnel}`} on ${on}`, kind: "bad" },
      ...{ state: "dead", since: duration(deadSeconds ?? 0), uses: named(uses, useCount) },
    });
  for (const { name: track, target, state, blind, seconds, rttMs, uses, useCount } of tracks) {
    const text = blind !== null ? `${state}: it cannot be asked, ${blind}` : state;
    const kind = state === "up" ? "ok" : state === "down" ? "bad" : "warn";
    const far = rttMs === null || state === "down" ? "" : `, ${rttMs.toFixed(2)} ms`;
    all.push({
      ...{ node, what: `track ${track}: ${target}`, kind, state: text + far },
      ...{ since: duration(seconds), uses: named(uses, useCount) },
    });
  }
  for (const { tunnel, state, verdict, diagnosis, detectionMs, longestGapMs, peer } of sessions) {
    const kind = verdict === "up" ? "ok" : verdict === "down" ? "bad" : "warn";
    const pace = `notices in ${detectionMs} ms, longest gap ${Math.round(longestGapMs)} ms`;
    const why = verdict === "up" ? pace : `${diagnosis}; the peer says ${peer.state}, ${peer.diagnosis}`;
    all.push({ ...common, what: `BFD of tunnel ${tunnel}`, kind, state: `${state}, tunnel ${verdict}; ${why}` });
  }
  const rank = ({ kind }: Line) => ["bad", "warn", "ok"].indexOf(kind);
  return all.sort((a, b) => rank(a) - rank(b));
}

export function RedundancyCard() {
  redundancy.use();
  const { value } = redundancy.failure;
  const gateways = redundancy.said.value?.gateways ?? [];
  const lines = gateways.flatMap(linesOf);
  if (lines.length === 0 && value === null) return null;
  return (
    <section class="card wide" aria-labelledby="redundancy-title">
      <h2 id="redundancy-title">Redundancy</h2>
      {value !== null && <p class="bad">{sentence(value.message)}</p>}
      <Scroll label="Tracks, BFD sessions and next hops by gateway">
        <table>
          <Heads titles={HEADS} texts={HEADS} />
          <tbody>
            {lines.slice(0, MOST_LINES).map(({ node, what, kind, state, since, uses }) => (
              <tr key={node + what} data-redundancy={node}>
                <th scope="row">{name(node)}</th>
                <td>{sentence(what)}</td>
                <td class={kind === "bad" ? "bad" : ""}>
                  <Sign kind={kind} /> {sentence(state)}
                </td>
                <td>{since}</td>
                <td>{sentence(uses)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {lines.length > MOST_LINES && <p class="quiet">{`${lines.length - MOST_LINES} more: vtepctl doctor.`}</p>}
    </section>
  );
}

/** Of more uses than were told on, how many there are. */
function named(uses: readonly string[], count: number): string {
  return (count > uses.length ? [...uses, `${count - uses.length} more`] : uses).join("; ");
}
