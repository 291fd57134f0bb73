/** What became of the messages of one protocol, by the name of where they came in: the cells behind a counter of the metrics. */
export class ResultCounts<R extends string> {
  readonly byName = new Map<string, Record<R, number>>();
  private readonly results: readonly R[];

  constructor(results: readonly R[]) {
    this.results = results;
  }

  count(name: string, result: R): void {
    let cells = this.byName.get(name);
    if (cells === undefined) {
      cells = Object.fromEntries(this.results.map((each) => [each, 0])) as Record<R, number>;
      this.byName.set(name, cells);
    }
    cells[result]++;
  }

  forget(name: string): void {
    this.byName.delete(name);
  }
}
