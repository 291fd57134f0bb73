/** A number and what it counts: "1 packet", "2 packets", "0 policies". `many`: where it is not `one` with an s. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
