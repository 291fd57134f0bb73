/** What may be longer or wider than its place: it scrolls by mouse and, being reached by Tab, by keys; and heads of the tables in it. */
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

/** A table's first row; columns of numbers are all but `texts`. */
export function Heads({ titles, texts }: { readonly titles: readonly string[]; readonly texts: readonly string[] }) {
  return (
    <thead>
      <tr>
        {titles.map((title) => (
          <th key={title} scope="col" class={texts.includes(title) ? "" : "number"}>
            {title}
          </th>
        ))}
      </tr>
    </thead>
  );
}
