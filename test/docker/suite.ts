/** What the suites of the Docker lab have in common: a lab that comes up, whose checks become tests, and that leaves nothing behind. */
import { existsSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { describeReal } from "../netns/gateways.ts";
import {
  caretaker,
  dismiss,
  type Ended,
  EX_UNAVAILABLE,
  lab,
  OWN_ENGINE,
  traces,
  whyNoDocker,
  works,
} from "./docker-lab.ts";

/** What must have been looked at; the pattern fits the checks' lines so often. */
export type Check = readonly [what: string, pattern: RegExp, times: number];

/** The lab came up, and each line of its checks holds. */
export function judge(checks: readonly Check[], up: () => number | null, lines: () => readonly string[]): void {
  it("comes up", () => expect(up()).toBe(0));

  it("has nothing that does not hold", () => {
    expect(lines().filter((line) => line.startsWith("✗"))).toEqual([]);
    expect(lines().at(-1)).toBe("all checks passed");
  });

  it.each(checks)("%s", (_, pattern, times) => {
    expect(lines().filter((line) => pattern.test(line))).toHaveLength(times);
  });
}

/** The lab comes up, and is checked. */
export async function upAndChecked(...options: readonly string[]): Promise<{ up: Ended; lines: string[] }> {
  const up = await lab("up", ...options);
  return { up, lines: up.code === 0 ? (await lab("test")).lines : [] };
}

/** A profile from end to end. @param more its own tests, while it is up. */
export function profileSuite(
  profile: string,
  checks: readonly Check[],
  more: (lines: () => readonly string[]) => void,
): void {
  describeReal(whyNoDocker(), `docker/lab up --profile ${profile}`, () => {
    let unable: string | undefined;
    let before: ReturnType<typeof traces>;
    let up: number | null = null;
    let lines: readonly string[] = [];

    beforeAll(async () => {
      await caretaker();
      // What a run left that was killed together with its caretaker.
      if (existsSync(OWN_ENGINE) || works("docker", "version")) await lab("down");
      before = traces();
      const checked = await upAndChecked("--profile", profile);
      up = checked.up.code;
      lines = checked.lines;
      if (up === EX_UNAVAILABLE) unable = checked.up.said;
    });
    beforeEach(({ skip }) => skip(unable !== undefined, unable));
    afterAll(async () => {
      if (existsSync(OWN_ENGINE) || works("docker", "version")) await lab("down");
      dismiss();
    });

    judge(
      checks,
      () => up,
      () => lines,
    );
    more(() => lines);

    it("leaves nothing behind", async () => {
      expect((await lab("down")).code).toBe(0);
      expect(traces()).toEqual(before);
    });
  });
}
