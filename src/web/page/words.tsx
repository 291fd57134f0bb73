/** The walk in words: the article's sentence of this hop with what was demanded and seen, and all hops as a list. */
import { useEffect, useRef } from "preact/hooks";
import type { Hop, Walk } from "../said-walk.ts";
import { tableWord } from "./hop-field.ts";
import { sentence } from "./shown.ts";
import { Sign } from "./sign.tsx";
import { stepText } from "./stage.tsx";

export function Sentence({ walk, hop }: { readonly walk: Walk; readonly hop: Hop }) {
  const step = walk.steps.find((each) => each.step === hop.step);
  const rows = hop.rows;
  const entries = walk.entries.filter((entry) => entry.step !== null && entry.step === hop.step);
  const isLast = walk.hops.findLast((each) => each.step === hop.step) === hop;
  return (
    <section class="card sentence" aria-label="The article's sentence">
      <p class="said">
        {step !== undefined && <span class="chip">{stepText(walk, hop)}</span>}
        {step === undefined ? backText(walk, hop) : `${sentence(step.text)}.`}
      </p>
      <p class="quiet">{sentence(hop.text)}</p>
      {rows.map(({ row, expected, observed, holds, note }) => (
        <p key={row + expected} class="row">
          <Sign kind={holds ? "ok" : "bad"} /> <span class="quiet">expected</span>{" "}
          <span class="mono">{sentence(expected)}</span>
          <br />
          <Sign kind={holds ? "ok" : "bad"} /> <span class="quiet">observed</span>{" "}
          <span class="mono">{observed === null ? "nothing" : sentence(observed)}</span>
          {!holds && note !== null && <span class="bad"> {sentence(note)}</span>}
        </p>
      ))}
      {isLast &&
        entries.map(({ row, table, expected, holds, observed }) => (
          <p key={row + table + expected}>
            <Sign kind={holds ? "ok" : "bad"} />{" "}
            <span class="quiet">{`${tableWord(walk)} of ${sentence(table)}:`}</span>{" "}
            <span class="mono">{sentence(expected)}</span>
            {!holds && <span class="bad"> {sentence(observed ?? "no entry")}</span>}
          </p>
        ))}
    </section>
  );
}

function backText(walk: Walk, hop: Hop): string {
  if (walk.scenario === null) return hop.state === "passed" ? "A hop of this ping." : "Here it goes wrong.";
  const isError = hop.fields.some(({ layer, name: title, text }) => {
    return layer.startsWith("ICMP") && title === "message" && !text.startsWith("echo");
  });
  if (isError) return "An error comes back in place of the answer.";
  return "The answer finds its way back; the article stops before this.";
}

/** What became of the ping, before anything else is read. */
export function Outcome({ walk, goTo }: { readonly walk: Walk; readonly goTo: (number: number) => void }) {
  const { trouble, arrived, hops } = walk;
  if (trouble === null)
    return (
      <p class="outcome ok" role="status">
        <Sign kind="ok" />{" "}
        {`The answer came back: ${hops.length} hops${walk.isJudged ? ", each as the article has it" : ""}.`}
      </p>
    );
  return (
    <div class="outcome bad" role="status">
      <Sign kind="bad" />
      <div>
        <strong>{arrived ? "It arrived, but not as it should" : "No answer came back"}</strong>:{" "}
        <button type="button" class="link" onClick={() => goTo(trouble.hop + 1)}>
          {`hop ${trouble.hop + 1}${hops[trouble.hop]?.step == null ? "" : ` (${stepText(walk, hops[trouble.hop]!)})`}`}
        </button>{" "}
        {sentence(trouble.text)}.
        {trouble.causes.length > 0 && (
          <ul>
            {trouble.causes.slice(0, 4).map((cause) => (
              <li key={cause}>the gateways disagree: {sentence(cause)}</li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}

export function HopList({
  walk,
  done,
  goTo,
  isVeiled,
}: {
  readonly walk: Walk;
  readonly done: number;
  readonly goTo: (number: number) => void;
  readonly isVeiled: boolean;
}) {
  const current = useRef<HTMLLIElement>(null);
  useEffect(() => {
    const { current: item } = current as { current: HTMLLIElement | null };
    const list = item?.parentElement;
    if (item !== null && list !== null && list !== undefined)
      list.scrollTop = item.offsetTop - list.offsetTop - list.clientHeight / 2;
  }, [done]);
  return (
    <section class="card words" aria-labelledby="words-title">
      <h2 id="words-title">In words</h2>
      <ol>
        {walk.hops.slice(0, isVeiled ? done : undefined).map((hop, i) => (
          <li
            key={i}
            ref={i + 1 === done ? current : null}
            aria-current={i + 1 === done ? "step" : undefined}
            class={hop.state === "passed" ? "" : "bad"}
          >
            <button type="button" onClick={() => goTo(i + 1)}>
              <span class="step">{stepText(walk, hop)}</span> {sentence(hop.text)}
              {hop.state !== "passed" && ` ✖ ${sentence(hop.reason?.name)}`}
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}
