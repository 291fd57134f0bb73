/**
 * Closes a run with one plain line, `N passed, N failed, N skipped`, and says why each skipped test was skipped.
 */
import type { Reporter, TestCase, TestModule } from "vitest/node";

export default class PlainReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    const reasons = new Map<string, number>();
    for (const module of modules) {
      if (module.errors().length > 0) failed++;
      for (const test of module.children.allTests()) {
        const state = test.result().state;
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else {
          skipped++;
          const why = reasonOf(test);
          reasons.set(why, (reasons.get(why) ?? 0) + 1);
        }
      }
    }
    for (const [why, count] of reasons) console.log(`skipped ${count}: ${why}`);
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  }
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  const note = result.state === "skipped" ? result.note : undefined;
  return note ?? `no reason given: ${test.fullName}`;
}
