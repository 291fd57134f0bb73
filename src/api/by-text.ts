/** The order of names as people count: vsi2 before vsi10. Two names are never the same: vsi01 is before vsi1, or pages would lose rows. */
const collate = new Intl.Collator("en", { numeric: true }).compare;

export function byText(a: string, b: string): number {
  return collate(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}
