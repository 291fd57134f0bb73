/** Recordings of the lab's three walkthroughs (and of the same network broken), as files: made by `VTEPD_WRITE=1` in test/netns/web.test.ts. */
import { readFileSync } from "node:fs";
import type { Driver, Judged } from "../../src/web/driver.ts";
import type { Recording } from "../../src/web/recording.ts";

export interface Recorded {
  readonly recording: Recording;
  readonly judged: Judged;
  readonly scenario: Driver["scenarios"][number];
}

export function recorded(number: number): Recorded {
  return JSON.parse(readFileSync(new URL(`fixtures/s${number}.json`, import.meta.url), "utf8")) as Recorded;
}
