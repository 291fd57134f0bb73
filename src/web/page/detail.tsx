/** What the picture's chosen thing is: facts in words, and five minutes of its traffic. */
import type { ComponentChildren } from "preact";
import type { Fabric, GatewaySaid, Link } from "../said.ts";
import { RateChart } from "./chart.tsx";
import { isDiscovered } from "./evpn.tsx";
import { isBorder } from "./layout.ts";
import { bits, count, duration, name, sentence } from "./shown.ts";
import { type Chosen, healthText, loadOf, stateOf } from "./topology.tsx";
import { Vni } from "./vxlans.tsx";

type Watched = Pick<GatewaySaid["tunnels"][number], "draining" | "watchedBy" | "bfd">;

interface Props {
  readonly fabric: Fabric;
  readonly chosen: Chosen | null;
  readonly choose: (chosen: Chosen) => void;
}

export function Detail({ fabric, chosen }: Props) {
  const content = chosen === null ? null : contentOf(fabric, chosen);
  return (
    <section class="card detail" aria-label="What is chosen">
      {content ?? <FirstGateway fabric={fabric} />}
    </section>
  );
}

function FirstGateway({ fabric }: { readonly fabric: Fabric }) {
  const first = fabric.gateways.find((gateway) => !isBorder(gateway)) ?? fabric.gateways[0];
  if (first === undefined) return <p class="quiet">There is no gateway.</p>;
  return <GatewayDetail gateway={first} hint="Choose a gateway, a tunnel or a VM in the picture." />;
}

function contentOf(fabric: Fabric, chosen: Chosen) {
  if (chosen.kind === "link") {
    const link = fabric.links.find(({ a, b }) => a.address === chosen.a && b.address === chosen.b);
    return link === undefined ? null : <LinkDetail fabric={fabric} link={link} />;
  }
  const gateway = fabric.gateways.find(({ node }) => node === chosen.node);
  if (gateway === undefined) return null;
  if (chosen.kind === "gateway") return <GatewayDetail key={gateway.node} gateway={gateway} />;
  return <AcDetail gateway={gateway} of={chosen.name} />;
}

function Facts({ children }: { readonly children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}

function Fact({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function GatewayDetail({ gateway, hint }: { readonly gateway: GatewaySaid; readonly hint?: string }) {
  const { node, status, interfaces, drops } = gateway;
  return (
    <>
      <h2>
        {name(node)} <span class="quiet mono">{name(gateway.address)}</span>
      </h2>
      {hint !== undefined && <p class="quiet">{hint}</p>}
      {status !== null && (
        <Facts>
          <Fact title="state">{healthText(gateway)}</Fact>
          <Fact title="up for">{duration(status.uptimeSeconds)}</Fact>
          <Fact title="workers">{status.workers}</Fact>
          <Fact title="underlay MTU">{status.underlay.mtu}</Fact>
          {status.missing.length > 0 && <Fact title="waits for">{status.missing.map(sentence).join("; ")}</Fact>}
        </Facts>
      )}
      <RateChart key={node} node={node} kind="gateway" of={node} />
      {interfaces.length > 0 && (
        <ul class="rows">
          {interfaces.map((each) => {
            const vni = gateway.vsis.find((vsi) => each.vsis.includes(vsi.name))?.vni ?? null;
            return (
              <li key={each.name}>
                <Vni vni={vni} /> <span class="mono">{each.addresses.map(name).join(" ")}</span>
                <span class="quiet mono">{name(each.mac)}</span>
              </li>
            );
          })}
        </ul>
      )}
      <Drops drops={drops} />
    </>
  );
}

function Drops({ drops }: Pick<GatewaySaid, "drops">) {
  if (drops.length === 0) return <p class="quiet">It has dropped nothing.</p>;
  const worst = [...drops].sort((a, b) => (b.perSecond ?? 0) - (a.perSecond ?? 0) || b.count - a.count).slice(0, 6);
  return (
    <details class="drops" open={worst.some(({ perSecond }) => (perSecond ?? 0) > 0)}>
      <summary>{`dropped, ${drops.length} reasons`}</summary>
      <ul class="rows">
        {worst.map(({ reason, count: number, perSecond, text, last }) => (
          <li key={reason}>
            <strong class="mono">{name(reason)}</strong> {count(number)}
            {perSecond !== null && perSecond > 0 && <span class="bad">{` ${count(perSecond)}/s`}</span>}
            <p class="quiet">{sentence(text)}</p>
            {last !== null && <p class="quiet mono">{sentence(`${last.secondsAgo} s ago: ${last.frame}`)}</p>}
          </li>
        ))}
      </ul>
    </details>
  );
}

function LinkDetail({ fabric, link }: { readonly fabric: Fabric; readonly link: Link }) {
  const { a, b, vnis, oneSided } = link;
  const [there, back] = loadOf(fabric, link);
  const tunnelOf = ({ node, tunnel }: Link["a"]) =>
    fabric.gateways.find((each) => each.node === node)?.tunnels.find((each) => each.name === tunnel);
  const sides = [
    { end: a, other: b, tunnel: tunnelOf(a) },
    { end: b, other: a, tunnel: tunnelOf(b) },
  ];
  return (
    <>
      <h2>
        {name(a.node)} ⇄ {name(b.node ?? b.address)} <span class="quiet">tunnel, {stateOf(fabric, link)}</span>
      </h2>
      <Facts>
        <Fact title={`${name(a.node)} → ${name(b.node ?? b.address)}`}>{bits(there)}</Fact>
        <Fact title={`${name(b.node ?? b.address)} → ${name(a.node)}`}>{bits(back)}</Fact>
        <Fact title="VXLANs">
          {vnis.map((vni) => (
            <Vni key={vni} vni={vni} />
          ))}
        </Fact>
        {oneSided.length > 0 && (
          <Fact title="at one end only">
            <span class="bad">✖ {oneSided.join(", ")}</span>
          </Fact>
        )}
      </Facts>
      {a.node !== null && a.tunnel !== null && (
        <RateChart key={a.address + b.address} node={a.node} kind="tunnel" of={a.tunnel} />
      )}
      <ul class="rows">
        {sides.map(({ end, other, tunnel }) => (
          <li key={end.address}>
            <strong>{name(end.node ?? end.address)}</strong>{" "}
            {tunnel === undefined ? (
              <span class={end.node === null ? "quiet" : "bad"}>
                {end.node === null ? "was not asked" : `✖ has no tunnel to ${other.address}`}
              </span>
            ) : (
              <span class="quiet">
                {name(tunnel.name)}: {tunnel.state}
                {isDiscovered(tunnel.name) && ", discovered (EVPN)"}, packets up to {tunnel.mtu} bytes
                {tunnel.probe.rttMs !== null && `, ${tunnel.probe.rttMs.toFixed(2)} ms`}
                {watchText(tunnel)}
              </span>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

/** Who says whether the peer is there; BFD (RFC 5880) says how soon it would notice. */
function watchText({ draining, watchedBy, bfd }: Watched): string {
  const leaves = draining === true ? "; the peer leaves" : "";
  if (bfd != null && watchedBy === "bfd")
    return `${leaves}; BFD ${bfd.verdict}, asked every ${bfd.transmitMs} ms, down after ${bfd.detectionMs} ms of silence`;
  return watchedBy == null ? leaves : `${leaves}; watched by ${watchedBy}`;
}

function AcDetail({ gateway, of }: { readonly gateway: GatewaySaid; readonly of: string }) {
  const ac = gateway.acs.find((each) => each.name === of);
  if (ac === undefined) return <p class="quiet">{`${name(of)} is gone.`}</p>;
  const vni = gateway.vsis.find((vsi) => vsi.name === ac.vsi)?.vni ?? null;
  return (
    <>
      <h2>
        {name(ac.name)} <span class="quiet">AC of {name(gateway.node)}</span>
      </h2>
      <Facts>
        <Fact title="state">{ac.up ? "up" : ac.linkDown === true ? "down: the VM's interface is down" : "down"}</Fact>
        <Fact title="VSI">
          {name(ac.vsi)} <Vni vni={vni} />
        </Fact>
        <Fact title="device">{name(ac.device)}</Fact>
        <Fact title="MTU">{ac.mtu}</Fact>
        <Fact title="received">{`${bits(ac.rates.receive?.bitsPerSecond)}, ${count(ac.receive.packets)} packets`}</Fact>
        <Fact title="sent">{`${bits(ac.rates.transmit?.bitsPerSecond)}, ${count(ac.transmit.packets)} packets`}</Fact>
      </Facts>
      <RateChart key={gateway.node + of} node={gateway.node} kind="ac" of={of} />
    </>
  );
}
