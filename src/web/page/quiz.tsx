/** Before a hop: what will it be? Three answers, made from the MACs and TTLs of this very walk. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Walk } from "../said-walk.ts";
import { senderMacOf, targetOf, toldOf, ttlOf } from "./hop-field.ts";
import { name } from "./shown.ts";

interface Question {
  readonly text: string;
  readonly right: string;
  readonly choices: readonly string[];
}

const given = signal<string | null>(null);
export const score = signal({ right: 0, of: 0 });

/** The same for the same hop: the right one is not always first, and not by chance. */
function mixed(right: string, wrong: readonly string[], seed: number): string[] {
  const others = [...new Set(wrong)].filter((each) => each !== right).slice(0, 2);
  const all = [...others];
  all.splice(seed % (others.length + 1), 0, right);
  return all;
}

export function questionOf(walk: Walk, at: number): Question | null {
  const hop = walk.hops[at];
  if (hop === undefined || hop.state === "missing") return null;
  const label = (id: string) => walk.actors.find((actor) => actor.id === id)?.label ?? id;
  const symbol = (mac: string) => walk.names[mac] ?? mac;
  const cast = Object.entries(walk.names)
    .filter(([mac]) => mac !== "ff:ff:ff:ff:ff:ff" && mac !== "00:00:00:00:00:00")
    .map(([, own]) => own);
  const near = [...cast.slice(at % Math.max(cast.length, 1)), ...cast];
  const ask = (text: string, right: string, wrong: readonly string[]): Question => ({
    text,
    right,
    choices: mixed(right, wrong, at),
  });
  if (hop.kind === "reply") {
    return ask(
      `${label(hop.from)} answers ${label(hop.to)}: ${toldOf(hop)} is at … whose MAC?`,
      symbol(senderMacOf(hop)),
      near,
    );
  }
  if (hop.kind === "request") {
    const where = hop.tunnel === null ? "" : " through the tunnel";
    return ask(`${label(hop.from)} asks for ${targetOf(hop)}${where}: from whose MAC?`, symbol(senderMacOf(hop)), near);
  }
  if (hop.kind !== "ip") return null;
  const ttl = Number(ttlOf(hop));
  return ask(
    `The packet goes ${label(hop.from)} → ${label(hop.to)}: with which TTL?`,
    String(ttl),
    [ttl + 1, ttl - 1].map(String),
  );
}

export function Quiz({ walk, done, goOn }: { readonly walk: Walk; readonly done: number; readonly goOn: () => void }) {
  const question = questionOf(walk, done);
  useEffect(() => {
    given.value = null;
  }, [walk.id, done]);
  if (question === null)
    return done < walk.hops.length ? (
      <button type="button" class="primary" onClick={goOn}>
        go on
      </button>
    ) : (
      <p role="status">{`The walk is over: ${score.value.right} of ${score.value.of} were right.`}</p>
    );
  const answer = (choice: string) => {
    if (given.value !== null) return;
    given.value = choice;
    score.value = { right: score.value.right + Number(choice === question.right), of: score.value.of + 1 };
  };
  const isRight = given.value === question.right;
  return (
    <section class="card quiz" aria-label="What comes next?">
      <h2>What comes next?</h2>
      <p>{question.text}</p>
      <div class="choices">
        {question.choices.map((choice) => (
          <button key={choice} type="button" aria-pressed={given.value === choice} onClick={() => answer(choice)}>
            {name(choice)}
            {given.value !== null && choice === question.right && " ✓"}
            {given.value === choice && !isRight && " ✖"}
          </button>
        ))}
      </div>
      {given.value !== null && (
        <p role="status">
          {isRight ? "Right. " : `It is ${name(question.right)}. `}
          <button type="button" class="primary" onClick={goOn}>
            see the frame
          </button>
        </p>
      )}
    </section>
  );
}
