/** What-if: a described packet, followed from gateway to gateway through the live tables. Nothing is sent. */
import { signal } from "@preact/signals";
import type { TargetedSubmitEvent } from "preact";
import { useEffect } from "preact/hooks";
import type { GatewaySaid, Journey, JourneyAsked, TablesSaid } from "../said.ts";
import { get, post, type Unanswered } from "./api.ts";
import { isBorder } from "./layout.ts";
import { name, sentence } from "./shown.ts";
import { Sign } from "./sign.tsx";
import { fabric, unanswered } from "./state.ts";

const PROTOCOLS = ["icmp", "tcp", "udp", "arp", "nd"] as const;
/** Resolution has no TTL, size or ports. */
const isQuestion = (protocol: string) => protocol === "arp" || protocol === "nd";

const asked = signal({
  from: "",
  source: "",
  destination: "20.1.1.12",
  protocol: "icmp",
  ttl: "64",
  size: "84",
  df: false,
  port: "80",
});
const journey = signal<Journey | null>(null);
const failure = signal<Unanswered | null>(null);
const isAsking = signal(false);

async function follow(body: JourneyAsked): Promise<void> {
  isAsking.value = true;
  try {
    journey.value = await post<Journey>("/api/trace", body);
    failure.value = null;
  } catch (error) {
    journey.value = null;
    failure.value = unanswered(error);
  }
  isAsking.value = false;
}

/** What an address there looks like: the VSI-interface's own. */
function subnetOf(gateways: readonly GatewaySaid[], node: string, ac: string): string {
  const gateway = gateways.find((each) => each.node === node);
  const vsi = gateway?.acs.find((each) => each.name === ac)?.vsi;
  const on = gateway?.interfaces.find(({ vsis }) => vsi !== undefined && vsis.includes(vsi));
  return on?.addresses[0] ?? "";
}

/** The address of the host behind an AC, where the gateway has heard of it. */
async function suggestSource(from: string): Promise<void> {
  const [node, ac] = JSON.parse(from) as [string, string];
  const { gateways } = await get<TablesSaid>("/api/tables");
  const known = gateways
    .find((each) => each.node === node)
    ?.neighbors.find(({ via, kind }) => via?.kind === "ac" && via.name === ac && kind !== "gateway");
  // What has been typed meanwhile stays.
  const isAwaited = asked.value.source === "" && (asked.value.from === from || asked.value.from === "");
  if (isAwaited) asked.value = { ...asked.value, source: known?.ip ?? "" };
}

function submit(event: TargetedSubmitEvent<HTMLFormElement>, from: string): void {
  event.preventDefault();
  const [gateway, ac] = JSON.parse(from) as [string, string];
  const { destination, source, protocol, ttl, size, df, port } = asked.value;
  const hasPorts = protocol === "tcp" || protocol === "udp";
  void follow({
    gateway,
    ac,
    protocol: protocol as JourneyAsked["protocol"],
    source,
    destination,
    ...(!isQuestion(protocol) && { ttl: Number(ttl), size: Number(size), df }),
    ...(hasPorts && { destinationPort: Number(port) }),
  });
}

export function TraceView() {
  const gateways = [...(fabric.value?.gateways ?? [])].sort((a, b) => Number(isBorder(a)) - Number(isBorder(b)));
  const places = gateways.flatMap(({ node, acs }) => acs.map((ac) => ({ node, ac: ac.name })));
  const [first] = places;
  const from = asked.value.from || (first === undefined ? "" : JSON.stringify([first.node, first.ac]));
  useEffect(() => {
    // What is not known is asked of the reader.
    if (from !== "" && asked.value.source === "") void suggestSource(from).catch(() => undefined);
  }, [from]);
  const set = (part: Partial<typeof asked.value>) => (asked.value = { ...asked.value, ...part });
  const subnet = from === "" ? "" : subnetOf(gateways, ...(JSON.parse(from) as [string, string]));
  const isResolution = isQuestion(asked.value.protocol);
  return (
    <section class="card" aria-labelledby="trace-title">
      <h2 id="trace-title">
        Trace <span class="quiet">what would happen; nothing is sent</span>
      </h2>
      <form class="ask" onSubmit={(event) => submit(event, from)}>
        <label>
          from
          <select
            value={from}
            onChange={({ currentTarget }) => {
              set({ from: currentTarget.value, source: "" });
              void suggestSource(currentTarget.value).catch(() => undefined);
            }}
          >
            {places.map(({ node, ac }) => (
              <option key={`${node} ${ac}`} value={JSON.stringify([node, ac])}>{`${name(ac)} (${name(node)})`}</option>
            ))}
          </select>
        </label>
        <label>
          its address
          <input
            required
            pattern="[\dA-Fa-f:.]+"
            placeholder={subnet}
            value={asked.value.source}
            onInput={({ currentTarget }) => set({ source: currentTarget.value })}
          />
        </label>
        <label>
          protocol
          <select value={asked.value.protocol} onChange={({ currentTarget }) => set({ protocol: currentTarget.value })}>
            {PROTOCOLS.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
        <label>
          to
          <input
            required
            pattern="[\dA-Fa-f:.]+"
            value={asked.value.destination}
            onInput={({ currentTarget }) => set({ destination: currentTarget.value })}
          />
        </label>
        <label>
          TTL
          <input
            type="number"
            min="0"
            max="255"
            disabled={isResolution}
            value={asked.value.ttl}
            onInput={({ currentTarget }) => set({ ttl: currentTarget.value })}
          />
        </label>
        <label>
          bytes
          <input
            type="number"
            min="28"
            max="65535"
            disabled={isResolution}
            value={asked.value.size}
            onInput={({ currentTarget }) => set({ size: currentTarget.value })}
          />
        </label>
        {(asked.value.protocol === "tcp" || asked.value.protocol === "udp") && (
          <label>
            port
            <input
              type="number"
              min="0"
              max="65535"
              value={asked.value.port}
              onInput={({ currentTarget }) => set({ port: currentTarget.value })}
            />
          </label>
        )}
        <label class="pick">
          <input
            type="checkbox"
            disabled={isResolution}
            checked={asked.value.df}
            onChange={({ currentTarget }) => set({ df: currentTarget.checked })}
          />
          do not fragment
        </label>
        <button type="submit" class="primary" disabled={isAsking.value || from === ""}>
          follow it
        </button>
      </form>
      {failure.value !== null && (
        <p class="bad" role="alert">
          ✖ {sentence(failure.value.message)} {sentence(failure.value.hint)}
        </p>
      )}
      {journey.value !== null && <Way journey={journey.value} />}
    </section>
  );
}

function Way({ journey }: { readonly journey: Journey }) {
  return (
    <>
      <ol class="way">
        {journey.legs.map(({ node, from, trace, beyond }, i) => (
          <li key={i}>
            <h3>
              {name(node)}{" "}
              <span class="quiet">{from === null ? "it arrives here" : `from ${name(journey.legs[from]!.node)}`}</span>
            </h3>
            <p class="mono quiet">{sentence(trace.packet)}</p>
            <ol class="stages">
              {trace.steps.map(({ stage, text, result }, at) => (
                <li key={at}>
                  <strong>{name(stage)}</strong> {sentence(text)} <span class="quiet">{sentence(result)}</span>
                </li>
              ))}
            </ol>
            <p class={trace.fate.kind === "dropped" ? "bad" : ""}>
              <Sign kind={trace.fate.kind === "dropped" ? "bad" : trace.fate.kind === "sent" ? "ok" : "warn"} />{" "}
              {sentence(trace.fate.text)}
              {trace.fate.next !== null && <span class="quiet"> {sentence(trace.fate.next)}</span>}
            </p>
            {beyond.map((text) => (
              <p key={text} class="bad">
                ✖ {sentence(text)}
              </p>
            ))}
          </li>
        ))}
      </ol>
      {journey.silent.map((text) => (
        <p key={text} class="bad">
          ✖ {sentence(text)}
        </p>
      ))}
      <p class="end" role="status">
        <strong>end:</strong> {journey.end.split("\n").map(sentence).join("; ")}
      </p>
    </>
  );
}
