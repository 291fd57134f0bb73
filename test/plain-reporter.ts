/**
 * Closes a run with one plain line, `N passed, N failed, N skipped`, and says why each skipped test was skipped.
 *
 * A test has a second attempt (vitest.config.ts), since the machine's other work is in the figures of real beds and timers. What needed it is
 * named with what went wrong at first; a Docker lab, whose checks all run again, says so itself, as `second attempt: what`. More than
 * MOST_SECOND_ATTEMPTS of them are no chance any more, and the run has failed.
 *
 * A test that skips itself gives its reason as a note; a file that skips a whole suite says it on the console when it is
 * loaded, as `name.test.ts skipped: reason`.
 */
import { basename } from "node:path";
import type { UserConsoleLog } from "vitest";
import type { Reporter, TestCase, TestModule } from "vitest/node";

const MOST_SECOND_ATTEMPTS = 4;

export default class PlainReporter implements Reporter {
  private readonly said = new Map<string, string>();
  private readonly second: string[] = [];

  onUserConsoleLog({ content }: UserConsoleLog): void {
    for (const [, what] of content.matchAll(/^second attempt: (.+)$/gm)) this.second.push(what!);
    for (const [, file, why] of content.matchAll(/^(\S+\.test\.ts)(?:, in part)? skipped: (.+)$/gm))
      this.said.set(file!, why!);
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    const reasons = new Map<string, number>();
    const second = [...this.second];
    for (const module of modules) {
      if (module.errors().length > 0) failed++;
      for (const test of module.children.allTests()) {
        const state = test.result().state;
        if (test.diagnostic()?.flaky === true)
          second.push(`${basename(module.moduleId)}: ${test.fullName}: ${test.result().errors?.[0]?.message ?? "?"}`);
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else {
          skipped++;
          const why = this.reasonOf(test);
          reasons.set(why, (reasons.get(why) ?? 0) + 1);
        }
      }
    }
    for (const [why, count] of reasons) console.log(`skipped ${count}: ${why}`);
    for (const each of second) console.log(`needed a second attempt: ${each}`);
    if (second.length > MOST_SECOND_ATTEMPTS) {
      console.log(`${second.length} tests needed a second attempt, ${MOST_SECOND_ATTEMPTS} may: this run has failed`);
      process.exitCode = 1;
    }
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  }

  private reasonOf(test: TestCase): string {
    const result = test.result();
    const note = result.state === "skipped" ? result.note : undefined;
    return note ?? this.said.get(basename(test.module.moduleId)) ?? `no reason given: ${test.fullName}`;
  }
}
