/** Events and drops of all gateways in one list, newest first; it can be held, and narrowed by gateway and by words. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { EventSaid } from "../said.ts";
import { lines } from "./api.ts";
import { Filter, matcher } from "./filter.tsx";
import { Scroll } from "./scroll.tsx";
import { clock, count, name, sentence } from "./shown.ts";
import { fabric, isSeen, unanswered } from "./state.ts";
import { lookUp } from "./tables.tsx";

const KEPT = 2000;
const DRAWN = 300;
/** A flood is drawn ten times a second, and not for each event. */
const DRAW_MS = 100;

interface Told {
  readonly id: number;
  readonly said: EventSaid;
}

const shown = signal<readonly Told[]>([]);
const isHeld = signal(false);
const only = signal<ReadonlySet<string>>(new Set());
const filter = signal("");
const dropsOnly = signal(false);

let kept: Told[] = [];
let next = 0;

function take(said: EventSaid): void {
  kept.push({ id: next++, said });
  if (kept.length > KEPT + 200) kept = kept.slice(-KEPT);
}

export function EventsView() {
  const seen = isSeen.value;
  useEffect(() => {
    if (!seen) return;
    kept = [];
    const stop = new AbortController();
    const draw = setInterval(() => {
      if (!isHeld.value && shown.value.at(-1)?.id !== kept.at(-1)?.id) shown.value = [...kept];
    }, DRAW_MS);
    lines<EventSaid>("/api/events", undefined, stop.signal, take).then(
      () => take({ kind: "end", node: "", message: "the stream has ended" }),
      (error: Error) => {
        if (error.name !== "AbortError") take({ kind: "end", node: "", message: unanswered(error).message });
      },
    );
    return () => {
      stop.abort();
      clearInterval(draw);
    };
  }, [seen]);
  const rows = shown.value.filter(wanted()).slice(-DRAWN).reverse();
  const nodes = (fabric.value?.gateways ?? []).map(({ node }) => node);
  return (
    <section class="card" aria-labelledby="events-title">
      <div class="bar">
        <h2 id="events-title">Events</h2>
        <button type="button" aria-pressed={isHeld.value} onClick={() => (isHeld.value = !isHeld.value)}>
          {isHeld.value ? "▶ go on" : "▮▮ hold"}
        </button>
        <fieldset class="choice">
          <legend>gateway</legend>
          {nodes.map((node) => (
            <label key={node} class="pick">
              <input
                type="checkbox"
                checked={!only.value.has(node)}
                onChange={({ currentTarget }) => {
                  const left = new Set(only.value);
                  if (currentTarget.checked) left.delete(node);
                  else left.add(node);
                  only.value = left;
                }}
              />
              {name(node)}
            </label>
          ))}
        </fieldset>
        <Filter of={filter} label="Filter the events" example="neighbor. vm5" />
        <label class="pick">
          <input
            type="checkbox"
            checked={dropsOnly.value}
            onChange={({ currentTarget }) => (dropsOnly.value = currentTarget.checked)}
          />
          drops only
        </label>
        <span class="quiet" role="status">{`${count(rows.length)} shown`}</span>
      </div>
      <Scroll label="The events" tall>
        <table class="events">
          <thead>
            <tr>
              {["time", "gateway", "step", "event", "what"].map((title) => (
                <th key={title} scope="col">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ id, said }) => (
              <EventRow key={id} said={said} />
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}

const textOf = (said: EventSaid): string =>
  said.kind === "end"
    ? said.message
    : `${said.record.event} ${said.record.step ?? ""} ${JSON.stringify(said.record.fields)}`;

function wanted(): (told: Told) => boolean {
  const matches = matcher(filter.value);
  return ({ said }) => {
    if (only.value.has(said.node)) return false;
    if (said.kind === "end") return true;
    if (dropsOnly.value && said.record.event !== "drop") return false;
    return matches(`${said.node} ${textOf(said)}`);
  };
}

function EventRow({ said }: { readonly said: EventSaid }) {
  if (said.kind === "end")
    return (
      <tr class="bad">
        <td />
        <td>{name(said.node)}</td>
        <td />
        <td colSpan={2}>✖ {sentence(said.message)}</td>
      </tr>
    );
  const { time, level, event, step, fields } = said.record;
  const isBad = event === "drop" || level === "error" || level === "warn";
  return (
    <tr class={isBad ? "marked" : ""}>
      <td class="mono">{clock(time)}</td>
      <td>{name(said.node)}</td>
      <td class="mono">{name(step ?? "")}</td>
      <td class="mono">
        {isBad ? "▲ " : ""}
        {name(event)}
      </td>
      <td>
        {Object.entries(fields).map(([key, value]) => (
          <span key={key} class="field">
            <span class="quiet">{name(key)}</span> <Value field={key} value={String(value)} />
          </span>
        ))}
      </td>
    </tr>
  );
}

/** Fields that the tables know more of. */
const TABLE_OF = { ip: "neighbors", mac: "macs", prefix: "routes" } as const;

function Value({ field, value }: { readonly field: string; readonly value: string }) {
  const table = Object.hasOwn(TABLE_OF, field) ? TABLE_OF[field as keyof typeof TABLE_OF] : null;
  // Of a VM's name for it, only what is an address can be looked up.
  if (table === null || !/^[0-9a-f:./]{1,64}$/i.test(value)) return <>{sentence(value)}</>;
  return (
    <button type="button" class="link" title="what all gateways know of it" onClick={() => lookUp(table, value)}>
      {value}
    </button>
  );
}
