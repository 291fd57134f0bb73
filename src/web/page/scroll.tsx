/** What may be longer or wider than its place: it scrolls by mouse and, being reached by Tab, by keys. */
import type { ComponentChildren } from "preact";

interface Props {
  readonly label: string;
  readonly tall?: boolean;
  readonly children: ComponentChildren;
}

export function Scroll({ label, tall = false, children }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it by keys
    <section class={tall ? "scroll tall" : "scroll"} tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}
