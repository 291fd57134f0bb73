/** Questions that a view asks again and again, while it is on the screen and the page is seen. */
import { type Signal, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, type Unanswered } from "./api.ts";
import { isSeen, unanswered } from "./state.ts";

export interface Poll<T> {
  /** The last answer; null: there was none yet. */
  readonly said: Signal<T | null>;
  /** Why the last question was not answered. */
  readonly failure: Signal<Unanswered | null>;
  /** Ask now. */
  readonly ask: () => Promise<void>;
  /** In a view: ask while it is there, and `isWanted`. */
  readonly use: (isWanted?: boolean) => void;
}

export function polled<T>(path: string, everyMs: number): Poll<T> {
  const said = signal<T | null>(null);
  const failure = signal<Unanswered | null>(null);
  const ask = async () => {
    try {
      said.value = await get<T>(path);
      failure.value = null;
    } catch (error) {
      failure.value = unanswered(error);
    }
  };
  const use = (isWanted = true) => {
    const isAsking = isSeen.value && isWanted;
    useEffect(() => {
      if (!isAsking) return;
      let timer: ReturnType<typeof setTimeout> | undefined;
      let isOver = false;
      const turn = async () => {
        if (!document.hidden) await ask();
        // The next question waits for the answer: a slow gateway is not asked twice.
        if (!isOver) timer = setTimeout(turn, everyMs);
      };
      void turn();
      return () => {
        isOver = true;
        clearTimeout(timer);
      };
    }, [isAsking]);
  };
  return { said, failure, ask, use };
}
