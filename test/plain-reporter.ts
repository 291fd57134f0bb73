/**
 * Closes a run with one plain line, `N passed, N failed, N skipped`, and says why each skipped test was skipped.
 *
 * The files that failed are left to test/run.mjs, which gives them a second attempt.
 *
 * A test that skips itself gives its reason as a note; a file that skips a whole suite says it on the console when it is
 * loaded, as `name.test.ts skipped: reason`.
 */
import { writeFileSync } from "node:fs";
import { basename, relative } from "node:path";
import type { UserConsoleLog } from "vitest";
import type { Reporter, TestCase, TestModule } from "vitest/node";
import { ROOT } from "./house/source.ts";

const FAILED = new URL("../.set-up/failed-tests.json", import.meta.url);

export default class PlainReporter implements Reporter {
  private readonly said = new Map<string, string>();

  onUserConsoleLog({ content }: UserConsoleLog): void {
    for (const [, file, why] of content.matchAll(/^(\S+\.test\.ts)(?:, in part)? skipped: (.+)$/gm))
      this.said.set(file!, why!);
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    const reasons = new Map<string, number>();
    const files: { file: string; why: string }[] = [];
    for (const module of modules) {
      if (module.errors().length > 0) failed++;
      if (module.state() === "failed") files.push({ file: relative(ROOT, module.moduleId), why: reasonOf(module) });
      for (const test of module.children.allTests()) {
        const state = test.result().state;
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
    if (files.length > 0 && unhandled.length === 0) writeFileSync(FAILED, JSON.stringify(files));
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  }

  private reasonOf(test: TestCase): string {
    const result = test.result();
    const note = result.state === "skipped" ? result.note : undefined;
    return note ?? this.said.get(basename(test.module.moduleId)) ?? `no reason given: ${test.fullName}`;
  }
}

/** The first thing that went wrong in a file, in one line. */
function reasonOf(module: TestModule): string {
  const [test] = module.children.allTests("failed");
  const error = module.errors()[0] ?? test?.result().errors?.[0];
  return `${test === undefined ? "" : `${test.fullName}: `}${error?.message.split("\n")[0] ?? "?"}`;
}
