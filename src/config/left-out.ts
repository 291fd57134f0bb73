/**
 * What an element names that could not be read: an AC with a bad device name may name a VSI that does not exist, too.
 *
 * Such an element is left out of its list, and the rules never see it (values.ts); what it refers to is text, whatever else is
 * wrong with it.
 */
import { checkReference, type Report, type Sections } from "./rules-l2.ts";

export interface LeftOut {
  readonly section: string;
  /** In the file's list. */
  readonly index: number;
  readonly element: Readonly<Record<string, unknown>>;
}

/** By section: the keys that name something, what that is called, and the section that has it. */
const NAMES = {
  vsis: [["tunnels", "tunnel", "tunnels"]],
  interfaces: [
    ["vsi", "VSI", "vsis"],
    ["vsis", "VSI", "vsis"],
  ],
  acs: [["vsi", "VSI", "vsis"]],
  policies: [["interfaces", "VSI-interface", "interfaces"]],
} as const;

export function checkLeftOut(elements: readonly LeftOut[], sections: Sections, report: Report): void {
  for (const { section, index, element } of elements)
    for (const [key, kind, home] of NAMES[section as keyof typeof NAMES] ?? []) {
      const there = sections[home];
      const known = there === null ? null : new Set(there.map(({ name }) => name));
      const value = element[key];
      const path = [section, index, key];
      if (typeof value === "string") checkReference(path, kind, value, known, report);
      else if (Array.isArray(value))
        for (const [at, name] of value.entries())
          if (typeof name === "string") checkReference([...path, at], kind, name, known, report);
    }
}
