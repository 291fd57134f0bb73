/** The view of one ping, hop by hop: made by the lab, or the reader's own, watched. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ScenarioSaid } from "../said.ts";
import type { Hop, Walk } from "../said-walk.ts";
import { download } from "./api.ts";
import { Compare } from "./compare.tsx";
import { FrameCard } from "./frame.tsx";
import { save, savePicture } from "./keep.ts";
import { LearnedTables } from "./learned.tsx";
import { LessonLines } from "./lesson.tsx";
import { Quiz, score } from "./quiz.tsx";
import { sentence } from "./shown.ts";
import { Stage } from "./stage.tsx";
import { session, unanswered } from "./state.ts";
import {
  chosen,
  complaint,
  done,
  goTo,
  isPlaying,
  isPredicting,
  make,
  onKey,
  progress,
  readKept,
  speed,
  walk,
  walks,
} from "./walk-state.ts";
import { HopList, Outcome, Sentence } from "./words.tsx";

/** Scenario whose two schemes are shown beside each other. */
const compared = signal<{ readonly distributed: Walk; readonly centralized: Walk } | null>(null);

/** The family by which the lab's scenarios are walked. */
const by = signal<ScenarioSaid["family"]>(4);

async function compare(scenario: number): Promise<void> {
  compared.value = null;
  const asked = { scenario, family: by.value };
  const centralized = await make("/api/walk", { ...asked, scheme: "centralized" });
  if (centralized === null) return;
  const distributed = await make("/api/walk", { ...asked, scheme: "distributed" });
  if (distributed !== null) compared.value = { distributed, centralized };
}

type Form = "html" | "pcapng";

const fileName = ({ id, scenario, pair }: Walk): string =>
  `walk-${scenario === null ? id : `s${scenario}`}${pair?.[1].includes(":") ? "-ipv6" : ""}`;

async function keep(made: Walk, form: Form): Promise<void> {
  try {
    save(await download(`/api/export?id=${encodeURIComponent(made.id)}&as=${form}`), `${fileName(made)}.${form}`);
  } catch (error) {
    complaint.value = unanswered(error).message;
  }
}

export function WalkView() {
  useEffect(() => {
    void readKept();
  }, []);
  const said = session.value;
  const scenarios = said?.scenarios ?? [];
  const isBusy = progress.value !== null;
  const current = walk.value;
  return (
    <div class="walk">
      <section class="card" aria-labelledby="walk-title">
        <div class="bar">
          <h2 id="walk-title">Walk</h2>
          {scenarios.some(({ family }) => family === 6) && <ByFamily />}
          {scenarios
            .filter(({ family }) => family === by.value)
            .map(({ number, family, title }) => (
              <button
                key={number}
                type="button"
                disabled={isBusy}
                onClick={() => {
                  compared.value = null;
                  void make("/api/walk", { scenario: number, family });
                }}
              >
                <strong>{`S${number}`}</strong> {sentence(title)}
              </button>
            ))}
          <button
            type="button"
            disabled={isBusy}
            onClick={() => {
              compared.value = null;
              void make("/api/watch", {});
            }}
          >
            my own ping
          </button>
          {scenarios.length > 0 && (
            <button type="button" disabled={isBusy} onClick={() => void compare(2)}>
              centralised and distributed
            </button>
          )}
        </div>
        {said?.lesson != null && <LessonLines lesson={said.lesson} />}
        {isBusy && (
          <p class="progress" role="status">
            <span class="spinner" aria-hidden="true" /> {sentence(progress.value)}
          </p>
        )}
        {complaint.value !== null && (
          <p class="bad" role="alert">
            ✖ {sentence(complaint.value)}
          </p>
        )}
        {current === null && !isBusy && (
          <p class="empty">
            {scenarios.length > 0
              ? "Choose a scenario: the gateways start with empty tables, VM1 pings, and every frame is shown on its way."
              : "Choose “my own ping”, and ping: every frame of it is shown on its way."}
          </p>
        )}
        {walks.value.length > 1 && <Earlier />}
      </section>
      {compared.value !== null && <Compare {...compared.value} />}
      {current !== null && <Walked walk={current} keep={(form) => void keep(current, form)} />}
    </div>
  );
}

function ByFamily() {
  return (
    <label class="quiet">
      by{" "}
      <select
        value={String(by.value)}
        onChange={({ currentTarget }) => (by.value = currentTarget.value === "6" ? 6 : 4)}
      >
        <option value="4">IPv4</option>
        <option value="6">IPv6</option>
      </select>
    </label>
  );
}

function Earlier() {
  return (
    <label class="quiet">
      walks so far{" "}
      <select
        value={chosen.value ?? ""}
        onChange={({ currentTarget }) => {
          chosen.value = currentTarget.value;
          done.value = 1;
          compared.value = null;
        }}
      >
        {walks.value.map(({ id, title, at, scheme, trouble }) => (
          <option key={id} value={id}>
            {`${new Date(at).toLocaleTimeString()} ${sentence(title)}${scheme === "centralized" ? ", centralised" : ""}${trouble === null ? "" : " ✖"}`}
          </option>
        ))}
      </select>
    </label>
  );
}

/** One walk, and where the reader is in it; it needs nothing but the walk. */
export function Walked({ walk: made, keep }: { readonly walk: Walk; readonly keep?: (form: Form) => void }) {
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  const hop: Hop | undefined = made.hops[done.value - 1];
  const isVeiled = isPredicting.value;
  if (hop === undefined) return <p class="card">No frame of this ping was seen.</p>;
  return (
    <div class="walked">
      <div class="stack">
        <section class="card picture" aria-label="The picture">
          <div class="bar">
            <h2>{sentence(made.title)}</h2>
            <fieldset class="choice last">
              <legend>keep</legend>
              {keep !== undefined && (
                <>
                  <button
                    type="button"
                    title="one page with the walk in it; it opens without a server"
                    onClick={() => keep("html")}
                  >
                    as a file
                  </button>
                  <button type="button" title="its frames, for Wireshark" onClick={() => keep("pcapng")}>
                    pcapng
                  </button>
                </>
              )}
              <button
                type="button"
                title="the picture as it is now, as SVG"
                onClick={() => savePicture("svg.stage", `${fileName(made)}.svg`)}
              >
                picture
              </button>
            </fieldset>
          </div>
          <Controls made={made} />
          {!isVeiled && <Outcome walk={made} goTo={goTo} />}
          {made.lost > 0 && (
            <p class="bad">{`✖ ${made.lost} frames could not be captured: there was too much traffic.`}</p>
          )}
          <Stage walk={made} done={done.value} goTo={goTo} isVeiled={isVeiled} />
        </section>
        <LearnedTables walk={made} done={done.value} />
      </div>
      <div class="stack">
        {isVeiled && <Quiz walk={made} done={done.value} goOn={() => goTo(done.value + 1)} />}
        <Sentence walk={made} hop={hop} />
        <FrameCard walk={made} hop={hop} />
        <HopList walk={made} done={done.value} goTo={goTo} isVeiled={isVeiled} />
      </div>
    </div>
  );
}

function Controls({ made }: { readonly made: Walk }) {
  return (
    <div class="controls">
      <button type="button" aria-label="first hop" onClick={() => goTo(1)}>
        |◀
      </button>
      <button type="button" aria-label="one hop back" onClick={() => goTo(done.value - 1)}>
        ◀
      </button>
      <button
        type="button"
        class="primary"
        disabled={isPredicting.value}
        onClick={() => (isPlaying.value = !isPlaying.value)}
      >
        {isPlaying.value ? "▮▮ hold" : "▶ play"}
      </button>
      <button type="button" aria-label="one hop on" onClick={() => goTo(done.value + 1)}>
        ▶
      </button>
      <button type="button" aria-label="last hop" onClick={() => goTo(made.hops.length)}>
        ▶|
      </button>
      <span class="where">{`hop ${done.value} of ${made.hops.length}`}</span>
      <label class="quiet">
        speed{" "}
        <select
          value={String(speed.value)}
          onChange={({ currentTarget }) => (speed.value = Number(currentTarget.value))}
        >
          {[0.5, 1, 2].map((each) => (
            <option key={each} value={String(each)}>{`× ${each}`}</option>
          ))}
        </select>
      </label>
      <label class="pick">
        <input
          type="checkbox"
          checked={isPredicting.value}
          onChange={({ currentTarget }) => {
            isPredicting.value = currentTarget.checked;
            isPlaying.value = false;
            score.value = { right: 0, of: 0 };
            if (currentTarget.checked) goTo(1);
          }}
        />
        predict each hop
      </label>
      <span class="quiet keys">keys: ← → space Home End</span>
    </div>
  );
}
