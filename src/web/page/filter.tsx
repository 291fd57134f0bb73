/** The words that narrow a list: a row stays whose text has all of them, in any order. */
import type { Signal } from "@preact/signals";

const LONGEST = 64;

export function Filter(props: { readonly of: Signal<string>; readonly label: string; readonly example: string }) {
  const { of, label, example } = props;
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={`filter: ${example}`}
      value={of.value}
      onInput={({ currentTarget }) => (of.value = currentTarget.value.slice(0, LONGEST))}
    />
  );
}

/** Does a text have all the words? */
export function matcher(words: string): (text: string) => boolean {
  const all = words.toLowerCase().split(/\s+/);
  return (text) => {
    const lower = text.toLowerCase();
    return all.every((word) => lower.includes(word));
  };
}
