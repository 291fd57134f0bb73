/**
 * The profile "borders" of the Docker lab from end to end: two Borders in containers, one of which dies, hangs, is cut off, is stopped, or
 * loses what is behind it. docker/profiles/borders/checks says what holds, in one line for each check; here those lines become tests.
 */
import { expect, it } from "vitest";
import { notPrinted, quotedIn } from "./docker-lab.ts";
import { type Check, profileSuite } from "./suite.ts";

/** What must have been looked at; each pattern fits the checks' lines so often. */
const CHECKS: readonly Check[] = [
  ["gateways have neither root nor a capability", /^✓ (gw1|gw2|border2?): user [1-9]\d*, no capability/, 4],
  ["each has a BFD session with all others", /^✓ (gw1|gw2|border2?) has BFD sessions with all three peers$/, 4],
  ["the outside is reached by either Border, with the right TTL", /^✓ vm1 -> (outside|ext2?) \(by /, 3],
  ["a dead line is noticed by its track", /^✓ the line behind the Border's router dies: \d+ ms without an answer/, 1],
  ["and told by the Border", /^✓ the Border says so: its track is down$/, 1],
  ["a cut underlay is noticed", /^✓ the underlay of a Border is cut: \d+ ms/, 1],
  ["so is a Border that hangs", /^✓ a Border hangs \(docker pause\): \d+ ms/, 1],
  ["and one that is killed", /^✓ kill -9 of a Border: \d+ ms/, 1],
  ["one that is stopped has been left before", /^✓ a Border is stopped \(SIGTERM\): lost \d+ of \d+/, 1],
  ["a plain up keeps the profile", /^✓ a plain up keeps the profile$/, 1],
];

profileSuite("borders", CHECKS, (lines) => {
  it("prints what docs/docker.md quotes of it, figures apart", () => {
    const quoted = quotedIn("Other scenarios");
    expect(quoted.length).toBeGreaterThan(0);
    expect(notPrinted(quoted, lines())).toEqual([]);
  });
});
