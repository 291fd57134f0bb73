/** A state as a shape and a colour, beside the word that says it. */

export function Sign({ kind }: { readonly kind: "ok" | "warn" | "bad" | "none" }) {
  const text = { ok: "●", warn: "▲", bad: "✖", none: "○" }[kind];
  return (
    <span class={`sign ${kind}`} aria-hidden="true">
      {text}
    </span>
  );
}
