/** The frame around the views: which gateways answer, where one is, and what went wrong. */
import { useErrorBoundary } from "preact/hooks";
import { EventsView } from "./events.tsx";
import { FabricView } from "./fabric.tsx";
import { name, sentence } from "./shown.ts";
import { Sign } from "./sign.tsx";
import { fabric, spoken, trouble, VIEWS, type View, view } from "./state.ts";
import { TablesView } from "./tables.tsx";
import { TraceView } from "./trace.tsx";
import { WalkView } from "./walk.tsx";

const TITLES: Readonly<Record<View, string>> = {
  fabric: "Fabric",
  walk: "Walk",
  trace: "Trace",
  tables: "Tables",
  events: "Events",
};

const CONTENT: Readonly<Record<View, () => preact.JSX.Element>> = {
  fabric: FabricView,
  walk: WalkView,
  trace: TraceView,
  tables: TablesView,
  events: EventsView,
};

export function Shell() {
  return (
    <>
      <a class="skip" href="#main">
        Skip to the view
      </a>
      <header class="top">
        <h1>
          <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
            <path d="M3 6h18M3 18h18M12 6v12" />
            <circle cx="3" cy="6" r="2.4" />
            <circle cx="21" cy="6" r="2.4" />
            <circle cx="12" cy="18" r="2.4" />
          </svg>
          vtepctl web
        </h1>
        <Health />
        <nav aria-label="Views">
          {VIEWS.map((each) => (
            <a key={each} href={`#/${each}`} aria-current={view.value === each ? "page" : undefined}>
              {TITLES[each]}
            </a>
          ))}
        </nav>
      </header>
      <Trouble />
      <main id="main" tabIndex={-1}>
        <Guarded key={view.value} View={CONTENT[view.value]} />
      </main>
      <p class="unseen" aria-live="polite">
        {spoken.value}
      </p>
    </>
  );
}

/** A view, or the sentence that says why it cannot be drawn: without it, the last picture would stand there as if it were the present. */
function Guarded({ View }: { readonly View: () => preact.JSX.Element }) {
  const [error, again] = useErrorBoundary() as [Error | undefined, () => void];
  if (error === undefined) return <View />;
  return (
    <div class="card" role="alert">
      <p class="bad">{sentence(`This view cannot be drawn: ${error.message}.`)}</p>
      <button type="button" onClick={again}>
        draw it again
      </button>
    </div>
  );
}

function Health() {
  if (fabric.value === null) return <p class="health">asking the gateways …</p>;
  const { gateways } = fabric.value;
  const silent = gateways.filter(({ status }) => status === null);
  const waiting = gateways.filter(({ status }) => status !== null && !status.ready);
  const kind = silent.length > 0 ? "bad" : waiting.length > 0 ? "warn" : "ok";
  const texts = [
    `${gateways.length} ${gateways.length === 1 ? "gateway" : "gateways"}`,
    ...(silent.length > 0 ? [`${silent.map(({ node }) => name(node)).join(", ")} silent`] : []),
    ...(waiting.length > 0 ? [`${waiting.map(({ node }) => name(node)).join(", ")} not ready`] : []),
    ...(kind === "ok" ? ["all ready"] : []),
  ];
  return (
    <p class="health" data-health={kind}>
      <Sign kind={kind} /> {texts.join(" · ")}
    </p>
  );
}

function Trouble() {
  const { value } = trouble;
  if (value === null) return null;
  return (
    <div class="trouble" role="alert">
      <Sign kind="bad" />
      <div>
        <strong>{sentence(value.message)}</strong>
        {value.hint !== "" && <span> {sentence(value.hint)}</span>}
      </div>
    </div>
  );
}
