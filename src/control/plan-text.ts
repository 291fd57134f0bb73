/** A part of the plan as text: parts that say the same have the same one. JSON has no bigint, which IPv6 addresses are. */
export function planText(part: unknown): string {
  return JSON.stringify(part, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
}
