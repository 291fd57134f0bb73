/**
 * What depends on a thing, as people are told: some names, and how many there are. By one next hop may go every route of a table,
 * and an answer that named them all would be as long as the table.
 */

/** Uses that are named. */
const MOST_NAMED = 8;

export class NamedUses {
  readonly names: string[] = [];
  count = 0;

  /** Count one more. @returns is it one of those that are named? */
  more(): boolean {
    return ++this.count <= MOST_NAMED;
  }
}
