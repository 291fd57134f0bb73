/** One frame: layer in layer, and beside each field what it was one hop before. What is new is marked by a word as well. */
import type { Field, Hop, Walk } from "../said-walk.ts";
import { name, sentence } from "./shown.ts";
import { Sign } from "./sign.tsx";
import { Vni } from "./vxlans.tsx";

/** Of hex, in one row. */
const PER_ROW = 16;

interface Change {
  readonly field: Field;
  /** Null: it is as it was, or there was nothing before. */
  readonly was: string | null;
}

function changesOf(hop: Hop, before: Hop | null): Change[] {
  return hop.fields.map((field) => {
    const old = before?.fields.find((other) => other.layer === field.layer && other.name === field.name);
    return { field, was: old !== undefined && old.text !== field.text ? old.text : null };
  });
}

export function FrameCard({ walk, hop }: { readonly walk: Walk; readonly hop: Hop }) {
  const before = hop.parent === null ? null : walk.hops[hop.parent]!;
  const changes = changesOf(hop, before);
  const layers = [...new Set(changes.map(({ field }) => field.layer))];
  const label = (id: string) => walk.actors.find((actor) => actor.id === id)?.label ?? id;
  return (
    <section class="card frame" aria-label="This frame">
      <h2>
        This frame <span class="quiet">{`${name(label(hop.from))} → ${name(label(hop.to))}, ${hop.length} bytes`}</span>
      </h2>
      {hop.state === "missing" ? (
        <p class="bad">✖ It was never sent: {sentence(hop.reason?.text)}</p>
      ) : (
        <div class={hop.tunnel === null ? "layers" : "layers tunnelled"}>
          {hop.tunnel !== null && (
            <p class="layer outer">
              <strong>VXLAN</strong> <Vni vni={hop.tunnel.vni} />
              <span class="mono">{`${name(hop.tunnel.source)}${hop.tunnel.sourcePort === null ? "" : `:${hop.tunnel.sourcePort}`} → ${name(hop.tunnel.destination)}:4789`}</span>
            </p>
          )}
          {layers.map((layer) => (
            <Layer
              key={layer}
              layer={layer}
              changes={changes.filter(({ field }) => field.layer === layer)}
              names={walk.names}
            />
          ))}
        </div>
      )}
      {before !== null && hop.state !== "missing" && (
        <p class="quiet">{`Compared with hop ${hop.parent! + 1}, ${name(label(before.from))} → ${name(label(before.to))}: ${changedText(changes, before, hop)}`}</p>
      )}
      {hop.fate !== null && (
        <p>
          <Sign kind={hop.state === "passed" ? "ok" : "bad"} /> {sentence(hop.fate)}
        </p>
      )}
      {hop.hex !== "" && <Bytes hop={hop} changes={changes} before={before} />}
    </section>
  );
}

function changedText(changes: readonly Change[], before: Hop, hop: Hop): string {
  const changed = changes.filter(({ was }) => was !== null);
  if (before.kind !== hop.kind) return "another kind of frame";
  if (changed.length === 0)
    return before.tunnel === null && hop.tunnel !== null ? "unchanged, but wrapped" : "not a byte has changed";
  return `${changed.length} fields are new`;
}

interface LayerProps {
  readonly layer: string;
  readonly changes: readonly Change[];
  readonly names: Walk["names"];
}

/** Fields that are told in a line of their own only when they are new. */
const ASIDE = new Set([
  ...["type", "DSCP and ECN", "length", "identification", "fragments", "protocol", "id and sequence"],
  ...["traffic class", "flow label", "payload length", "next header"],
]);
/** Their checksum covers what is shown already. */
const CHECKED = new Set(["ICMP", "ICMPv6", "ND"]);

function Layer({ layer, changes, names }: LayerProps) {
  const isAside = ({ field, was }: Change) =>
    was === null && (ASIDE.has(field.name) || (CHECKED.has(layer) && field.name === "checksum"));
  const [told, rest] = [changes.filter((each) => !isAside(each)), changes.filter(isAside)];
  return (
    <div class="layer">
      <strong>{layer}</strong>
      <dl>
        {told.map(({ field, was }) => (
          <div key={field.name} class={was === null ? "" : "new"}>
            <dt>{field.name}</dt>
            <dd>
              <Value text={field.text} names={names} />
              {was !== null && (
                <span class="was">
                  <span class="unseen">new, was </span>
                  <span aria-hidden="true">← </span>
                  <Value text={was} names={names} />
                </span>
              )}
            </dd>
          </div>
        ))}
      </dl>
      {rest.length > 0 && (
        <p class="quiet aside">{rest.map(({ field }) => `${field.name} ${name(field.text)}`).join(" · ")}</p>
      )}
    </div>
  );
}

/** A value; a MAC address with its symbol in front. */
export function Value({ text, names }: { readonly text: string; readonly names: Walk["names"] }) {
  const symbol = names[text];
  if (symbol === undefined) return <span class="mono">{name(text)}</span>;
  return (
    <>
      <span class="owner">{name(symbol)}</span> <span class="mono quiet">{name(text)}</span>
    </>
  );
}

function Bytes({
  hop,
  changes,
  before,
}: {
  readonly hop: Hop;
  readonly changes: readonly Change[];
  readonly before: Hop | null;
}) {
  const bytes = hop.hex.match(/../g) ?? [];
  const old = before !== null && before.kind === hop.kind ? (before.hex.match(/../g) ?? []) : bytes;
  const fieldAt = (at: number) => changes.find(({ field }) => at >= field.at && at < field.at + field.length)?.field;
  const rows = Array.from({ length: Math.ceil(bytes.length / PER_ROW) }, (_, i) =>
    bytes.slice(i * PER_ROW, (i + 1) * PER_ROW),
  );
  return (
    <details class="bytes">
      <summary>{`its ${bytes.length} bytes${bytes.length < hop.length ? `, of ${hop.length}` : ""}`}</summary>
      <table class="mono">
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              <th scope="row" class="quiet">
                {(i * PER_ROW).toString(16).padStart(4, "0")}
              </th>
              {row.map((byte, j) => {
                const at = i * PER_ROW + j;
                return (
                  <td key={j} class={old[at] !== byte ? "new" : ""} title={fieldAt(at)?.name ?? ""}>
                    {byte}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
