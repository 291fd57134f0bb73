/** EVPN in words and numbers: the engine and its sessions, each VSI's routes, and MACs that move too often. As `vtepctl show evpn`. */
import { computed } from "@preact/signals";
import type { EvpnGateway, EvpnSaid } from "../said-evpn.ts";
import { polled } from "./poll.ts";
import { Heads, Scroll } from "./scroll.tsx";
import { count, duration, name, sentence } from "./shown.ts";
import { Sign } from "./sign.tsx";
import { Vni } from "./vxlans.tsx";

const AGAIN_MS = 5000;
export const evpn = polled<EvpnSaid>("/api/evpn", AGAIN_MS);

const taking = computed(() => (evpn.said.value?.gateways ?? []).filter((gateway) => gateway.evpn !== null));
/** Does any gateway? */
export const takesPart = computed(() => taking.value.length > 0);

/** A tunnel that no configuration names: routes brought it. */
export const isDiscovered = (tunnel: string): boolean => tunnel.startsWith("evpn:");

const HEADS = [
  "gateway",
  "engine",
  "sessions",
  "VSI",
  "VTEPs",
  "MACs in/out",
  "IPs in/out",
  "moves in/out",
  "duplicates",
];
const TEXTS = ["gateway", "engine", "sessions", "VSI"];

export function EvpnCard() {
  evpn.use();
  const { value } = evpn.failure;
  if (!takesPart.value && value === null) return null;
  return (
    <section class="card wide evpn" aria-labelledby="evpn-title">
      <h2 id="evpn-title">EVPN</h2>
      {value !== null && <p class="bad">{sentence(value.message)}</p>}
      <Scroll label="EVPN by gateway and VSI">
        <table>
          <Heads titles={HEADS} texts={TEXTS} />
          <tbody>
            {taking.value.map((gateway) => (
              <GatewayRows key={gateway.node} gateway={gateway} />
            ))}
          </tbody>
        </table>
      </Scroll>
      <Trouble />
    </section>
  );
}

function GatewayRows({ gateway: { node, evpn: said } }: { readonly gateway: EvpnGateway }) {
  const { engine, state, stateText, stateSeconds, peers, routes, vsis } = said!;
  const rows = Math.max(vsis.length, 1);
  const pair = ({ used, out }: { readonly used: number; readonly out: number }) => `${count(used)}/${count(out)}`;
  return (
    <>
      {Array.from({ length: rows }, (_, i) => {
        const vsi = vsis[i];
        return (
          <tr key={vsi?.vsi ?? ""} data-evpn={node} data-vsi={vsi?.vsi}>
            {i === 0 && (
              <>
                <th scope="row" rowSpan={rows}>
                  {name(node)}
                </th>
                <td rowSpan={rows}>
                  <Sign kind={state === "synced" ? "ok" : state === "deaf" || state === "stale" ? "bad" : "warn"} />{" "}
                  {`${sentence(stateText)} since ${duration(stateSeconds)}`}
                  {engine.problem !== null && <p class="bad">{sentence(engine.problem)}</p>}
                  <p class="quiet">
                    <span data-count="in">{count(routes.in)}</span> routes in,{" "}
                    <span data-count="out">{count(routes.out)}</span> out
                    {routes.stale > 0 && `, ${count(routes.stale)} stale`}
                    {routes.pending > 0 && `; ${count(routes.pending)} changes wait`}
                  </p>
                </td>
                <td rowSpan={rows}>
                  {peers.map((peer) => (
                    <p key={peer.address} data-peer={peer.address}>
                      <Sign kind={peer.state === "established" ? "ok" : "bad"} />{" "}
                      <span class="mono">{name(peer.address)}</span> {name(peer.state)}
                      <span class="quiet">{`, ${count(peer.routes)} routes${peer.complete ? "" : ", not complete"}`}</span>
                    </p>
                  ))}
                </td>
              </>
            )}
            {vsi === undefined ? (
              <td colSpan={6} class="quiet">
                no VSI takes part
              </td>
            ) : (
              <>
                <td>
                  <Vni vni={vsi.vni} /> {name(vsi.vsi)}
                </td>
                <td class="number" data-count="vteps">
                  {count(vsi.vteps)}
                </td>
                <td class="number" data-count="macs">
                  {pair(vsi.macs)}
                </td>
                <td class="number" data-count="ips">
                  {pair(vsi.ips)}
                </td>
                <td class="number" data-count="moves">{`${count(vsi.moves.in)}/${count(vsi.moves.out)}`}</td>
                <td class={vsi.duplicates > 0 ? "number bad" : "number"} data-count="duplicates">
                  {count(vsi.duplicates)}
                </td>
              </>
            )}
          </tr>
        );
      })}
    </>
  );
}

/** MACs that are frozen, VTEPs without a tunnel, routes that were refused, gateways that gave no answer. */
function Trouble() {
  const all = evpn.said.value?.gateways ?? [];
  const lines = all.flatMap(({ node, error, duplicates, vteps, refused }) => [
    ...(error === null ? [] : [{ node, text: error, fix: null }]),
    ...duplicates.map(({ vsi, mac, moves, recoversInSeconds }) => ({
      node,
      text: `${mac} in ${vsi} moved ${moves} times: a duplicate; it recovers in ${duration(recoversInSeconds)}`,
      fix: `vtepctl evpn clear-duplicate ${mac}`,
    })),
    ...vteps.flatMap(({ vtep, refused: why }) =>
      why === null ? [] : [{ node, text: `no tunnel to VTEP ${vtep}: ${why}`, fix: null }],
    ),
    ...refused.map(({ reason, count: many, text }) => ({
      node,
      text: `${many} refused, ${reason}: ${text}`,
      fix: null,
    })),
  ]);
  if (lines.length === 0) return null;
  return (
    <ul class="findings">
      {lines.slice(0, 40).map(({ node, text, fix }) => (
        <li key={node + text}>
          <Sign kind="warn" />
          <div>
            <strong>{name(node)}</strong>
            <p>{sentence(text)}</p>
            {fix !== null && <p class="fix mono">{sentence(fix)}</p>}
          </div>
        </li>
      ))}
    </ul>
  );
}
