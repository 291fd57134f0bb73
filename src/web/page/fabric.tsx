/** The view of the whole: picture, what is chosen in it, what the doctor says, and everything as a table. */
import { signal } from "@preact/signals";
import type { Examined, Fabric } from "../said.ts";
import { Detail } from "./detail.tsx";
import { EvpnCard } from "./evpn.tsx";
import { savePicture } from "./keep.ts";
import { polled } from "./poll.ts";
import { RedundancyCard } from "./redundancy.tsx";
import { Heads, Scroll } from "./scroll.tsx";
import { bits, count, duration, name, sentence } from "./shown.ts";
import { Sign } from "./sign.tsx";
import { fabric } from "./state.ts";
import { type Chosen, type Colouring, healthOf, healthText, Topology } from "./topology.tsx";
import { VniChoice } from "./vxlans.tsx";

const chosen = signal<Chosen | null>(null);
const colouring = signal<Colouring>("vxlan");
const COLOURINGS: readonly (readonly [Colouring, string])[] = [
  ["vxlan", "VXLAN"],
  ["load", "load"],
  ["drops", "drops"],
];

/** Columns of the gateways; those of numbers are all but TEXTS. */
const TEXTS = ["gateway", "state", "VTEP", "version"];
const COLUMNS = [
  "gateway",
  "state",
  "VTEP",
  "received",
  "sent",
  "drops/s",
  "ACs up",
  "tunnels",
  "VSIs",
  "MACs",
  "ARP, ND",
  "routes",
  "version",
  "up for",
];

export function FabricView() {
  const { value } = fabric;
  if (value === null) return <p class="card quiet">No gateway has answered yet.</p>;
  return (
    <div class="fabric">
      <section class="card picture" aria-labelledby="fabric-title">
        <div class="bar">
          <h2 id="fabric-title">Fabric</h2>
          <VniChoice />
          <fieldset class="choice">
            <legend>colour</legend>
            {COLOURINGS.map(([kind, text]) => (
              <label key={kind} class="pick">
                <input
                  type="radio"
                  name="colouring"
                  checked={colouring.value === kind}
                  onChange={() => (colouring.value = kind)}
                />
                {text}
              </label>
            ))}
          </fieldset>
          <span class="live">
            <Sign kind="ok" /> live, each second
          </span>
        </div>
        <Topology
          fabric={value}
          colouring={colouring.value}
          chosen={chosen.value}
          choose={(next) => (chosen.value = next)}
        />
        {value.gateways.length > 0 && (
          <button
            type="button"
            class="corner"
            title="keep the picture as SVG"
            onClick={() => savePicture("svg.topology", "fabric.svg")}
          >
            picture
          </button>
        )}
      </section>
      <Detail fabric={value} chosen={chosen.value} choose={(next) => (chosen.value = next)} />
      <Doctor />
      <Gateways value={value} />
      <RedundancyCard />
      <EvpnCard />
    </div>
  );
}

function Gateways({ value }: { readonly value: Fabric }) {
  return (
    <section class="card wide" aria-labelledby="gateways-title">
      <h2 id="gateways-title">Gateways</h2>
      <Scroll label="Gateways">
        <table>
          <Heads titles={COLUMNS} texts={TEXTS} />
          <tbody>
            {value.gateways.map((gateway) => {
              const { node, address, status, error, tunnels, acs, dropsPerSecond } = gateway;
              const sum = (side: "receive" | "transmit") =>
                [...tunnels, ...acs].reduce((total, { rates }) => total + (rates[side]?.bitsPerSecond ?? 0), 0);
              return (
                <tr key={node} data-gateway={node}>
                  <th scope="row">
                    <button type="button" class="link" onClick={() => (chosen.value = { kind: "gateway", node })}>
                      {name(node)}
                    </button>
                  </th>
                  <td>
                    <Sign kind={healthOf(gateway)} /> {healthText(gateway)}
                  </td>
                  <td class="mono">{name(address)}</td>
                  {status === null ? (
                    <td colSpan={11} class="quiet">
                      {sentence(error?.message)} {sentence(error?.hint)}
                    </td>
                  ) : (
                    <>
                      <td class="number">{bits(sum("receive"))}</td>
                      <td class="number">{bits(sum("transmit"))}</td>
                      <td class="number">{dropsPerSecond === null ? "–" : count(dropsPerSecond)}</td>
                      <td class="number" data-count="acs">{`${status.counts.acsUp}/${status.counts.acs}`}</td>
                      <td class="number" data-count="tunnels">
                        {status.counts.tunnels}
                      </td>
                      <td class="number" data-count="vsis">
                        {status.counts.vsis}
                      </td>
                      <td class="number" data-count="macs">
                        {status.counts.macs}
                      </td>
                      <td class="number" data-count="neighbors">
                        {status.counts.neighbors}
                      </td>
                      <td class="number" data-count="routes">
                        {status.counts.routes}
                      </td>
                      <td>{name(status.version)}</td>
                      <td class="number">{duration(status.uptimeSeconds)}</td>
                    </>
                  )}
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

const CHECKED_MS = 15_000;
const examined = polled<Examined>("/api/doctor", CHECKED_MS);

/** What is wrong, first between the gateways, then of each. */
function Doctor() {
  examined.use();
  const { value } = examined.said;
  const all =
    value === null
      ? []
      : [
          ...value.between.map((check) => ({ node: null as string | null, check })),
          ...value.gateways.flatMap(({ node, checks }) => checks.map((check) => ({ node, check }))),
        ];
  const wrong = all.filter(({ check }) => check.result !== "ok");
  const order = { fail: 0, warn: 1, ok: 2 } as const;
  wrong.sort((a, b) => order[a.check.result] - order[b.check.result]);
  return (
    <section class="card doctor" aria-labelledby="doctor-title">
      <div class="bar">
        <h2 id="doctor-title">Doctor, whole fabric</h2>
        <button type="button" onClick={() => void examined.ask()}>
          examine again
        </button>
      </div>
      {examined.failure.value !== null && <p class="bad">{sentence(examined.failure.value.message)}</p>}
      {value !== null && (
        <p class="quiet">{`${count(all.length - wrong.length)} of ${count(all.length)} checks are well.`}</p>
      )}
      <ul class="findings">
        {wrong.slice(0, 40).map(({ node, check }) => (
          <li key={`${node} ${check.name} ${check.text}`}>
            <Sign kind={check.result === "fail" ? "bad" : "warn"} />
            <div>
              <strong>{node === null ? "between gateways" : name(node)}</strong>{" "}
              <span class="quiet">{name(check.name)}</span>
              <p>{sentence(check.text)}</p>
              {check.fix !== null && <p class="fix">{sentence(check.fix)}</p>}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
