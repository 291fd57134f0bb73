/** Walks that were made, which one is looked at, and at which of its hops the reader is. */
import { computed, effect, signal } from "@preact/signals";
import type { Walk, WalkLine } from "../said-walk.ts";
import { get, lines } from "./api.ts";
import { spoken, unanswered } from "./state.ts";

export const walks = signal<readonly Walk[]>([]);
export const chosen = signal<string | null>(null);
/** Hops that have happened; the last of them is looked at. */
export const done = signal(1);
export const isPlaying = signal(false);
export const speed = signal(1);
/** Is the reader asked before each hop? */
export const isPredicting = signal(false);
/** What is being done for the next walk; null: nothing. */
export const progress = signal<string | null>(null);
export const complaint = signal<string | null>(null);

export const walk = computed(() => walks.value.find(({ id }) => id === chosen.value) ?? null);
export const hop = computed(() => walk.value?.hops[done.value - 1] ?? null);

const STEP_MS = 1600;

/** Look at the hop with this number, from 1; there is always one looked at. */
export function goTo(number: number): void {
  done.value = Math.max(1, Math.min(number, walk.value?.hops.length ?? 1));
  if (walk.value !== null && number >= walk.value.hops.length) isPlaying.value = false;
}

export function show(made: Walk): void {
  walks.value = [...walks.value.filter(({ id }) => id !== made.id), made].slice(-8);
  chosen.value = made.id;
  done.value = 1;
}

export async function readKept(): Promise<void> {
  try {
    const kept = await get<Walk[]>("/api/walks");
    if (walks.value.length > 0 || kept.length === 0) return;
    walks.value = kept;
    chosen.value = kept.at(-1)!.id;
  } catch {
    // The frame of the page says why.
  }
}

/** Have a walk made; it is shown when it is there. */
export async function make(path: "/api/walk" | "/api/watch", body: object): Promise<Walk | null> {
  if (progress.value !== null) return null;
  progress.value = "asking the gateways …";
  complaint.value = null;
  let made: Walk | null = null;
  try {
    await lines<WalkLine>(path, body, new AbortController().signal, (line) => {
      if (line.kind === "progress") progress.value = line.text;
      if (line.kind === "armed") progress.value = `ping now: every frame is looked at for ${line.seconds} seconds`;
      if (line.kind === "fault") complaint.value = `${line.message}. ${line.hint}`;
      if (line.kind === "walk") made = line.walk;
    });
  } catch (error) {
    complaint.value = unanswered(error).message;
  }
  progress.value = null;
  if (made !== null) show(made);
  return made;
}

effect(() => {
  if (!isPlaying.value) return;
  const timer = setInterval(() => goTo(done.value + 1), STEP_MS / speed.value);
  return () => clearInterval(timer);
});

effect(() => {
  if (hop.value !== null) spoken.value = `${done.value}: ${hop.value.text}`;
});

/** Keys of the stepper, where no field has them. */
export function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.altKey || event.metaKey || walk.value === null) return;
  if (event.target instanceof Element && event.target.closest("input, select, textarea, button, [role=button]")) {
    if (event.key === " " || event.key === "Enter") return;
    if (event.target.closest("input, select, textarea")) return;
  }
  const steps: Readonly<Record<string, () => void>> = {
    ArrowRight: () => goTo(done.value + 1),
    ArrowLeft: () => goTo(done.value - 1),
    Home: () => goTo(1),
    End: () => goTo(walk.value!.hops.length),
    " ": () => (isPlaying.value = !isPlaying.value),
  };
  const step = steps[event.key];
  if (step === undefined) return;
  event.preventDefault();
  if (event.key !== " ") isPlaying.value = false;
  step();
}
