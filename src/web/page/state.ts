/**
 * What all views share: which view it is, what the fabric looks like now, and whether anybody looks at the page.
 *
 * The page asks once a second while the fabric is seen, and now and then in the other views. Hidden, it stops at once, and streams end after a minute; nothing is asked of any
 * gateway then.
 */
import { effect, signal } from "@preact/signals";
import type { Fabric, Session } from "../said.ts";
import { get, Unanswered } from "./api.ts";

export const VIEWS = ["fabric", "walk", "trace", "tables", "events"] as const;
export type View = (typeof VIEWS)[number];

/** The view of the whole shows rates; the others need to know who is there. */
const LOOK_MS: Readonly<Record<View, number>> = { fabric: 1000, walk: 3000, trace: 3000, tables: 3000, events: 3000 };
const HIDDEN_MS = 60_000;

export const view = signal<View>(viewOf(location.hash));
export const session = signal<Session | null>(null);
export const fabric = signal<Fabric | null>(null);
/** Why there is no answer now. */
export const trouble = signal<Unanswered | null>(null);
/** Is the page seen? False a minute after it was hidden. */
export const isSeen = signal(true);
/** Spoken to who cannot see it. */
export const spoken = signal("");

function viewOf(hash: string): View {
  const word = /^#\/(\w+)/.exec(hash)?.[1] as View | undefined;
  return word !== undefined && VIEWS.includes(word) ? word : "fabric";
}

export const unanswered = (error: unknown): Unanswered =>
  error instanceof Unanswered ? error : new Unanswered(0, (error as Error).message, "");

async function look(): Promise<void> {
  if (document.hidden) return;
  try {
    session.value ??= await get<Session>("/api/session");
    fabric.value = await get<Fabric>("/api/fabric");
    trouble.value = null;
  } catch (error) {
    trouble.value = unanswered(error);
  }
}

/** Begin to look; the views follow. */
export function begin(): void {
  addEventListener("hashchange", () => {
    view.value = viewOf(location.hash);
    if (view.value === "fabric") void turn();
  });
  let hiding: number | undefined;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (!document.hidden) isSeen.value = true;
    else hiding = setTimeout(() => (isSeen.value = false), HIDDEN_MS) as unknown as number;
  });
  effect(() => {
    document.title = `${view.value} · vtepctl web`;
  });
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let isLooking = false;
  const turn = async () => {
    clearTimeout(waiting);
    if (isLooking) return;
    isLooking = true;
    const began = performance.now();
    await look();
    isLooking = false;
    waiting = setTimeout(turn, Math.max(100, LOOK_MS[view.value] - (performance.now() - began)));
  };
  void turn();
}
