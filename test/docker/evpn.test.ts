/**
 * The profile "evpn" of the Docker lab from end to end: FRR as reflectors and leaf, gobgpd beside each gateway, all in containers.
 * docker/profiles/evpn/checks says what holds, in one line for each check; here those lines become tests.
 */
import { expect, it } from "vitest";
import { lab } from "./docker-lab.ts";
import { type Check, profileSuite } from "./suite.ts";

/** What must have been looked at; each pattern fits the checks' lines so often. */
const CHECKS: readonly Check[] = [
  ["gateways have neither root nor a capability", /^✓ (gw1|gw2|border): user [1-9]\d*, no capability/, 3],
  ["nor have their engines", /^✓ bgp-(gw1|gw2|border): no capability, and its socket's folder/, 3],
  ["all are in sync with both reflectors", /^✓ (gw1|gw2|border) is in sync with both reflectors$/, 3],
  ["the leaf floods to what type 3 names", /^✓ type 3 of gw\d: the leaf floods to/, 2],
  ["hosts reach each other across makes, with the right TTL", /^✓ \w+ -> \w+ \((the same|another) subnet/, 5],
  ["the Border's type 5 is in the tables of both makes", /^✓ (type 5 of the Border|and so has the leaf's kernel)/, 2],
  ["and the outside is reached", /^✓ \w+ -> ext \(outside/, 2],
  ["the leaf's kernel has what type 2 says, and so has gw1", /^✓ type 2 of (vm1|vm4|h10): /, 3],
  [
    "an engine's death concerns its own gateway's hosts alone",
    /^✓ gw1's engine dies \(kill -9\), ping .*: lost \d+/,
    3,
  ],
  // How much may be lost, the checks judge: nothing, but where FRR's sessions had to be reset (docs/evpn.md).
  ["one reflector is enough", /^✓ one reflector is stopped, ping .*: lost \d+/, 2],
  ["gateways go on without any", /^✓ both reflectors are away, ping vm1 -> vm4.*: lost \d+/, 1],
  ["routes outlive their gateway's restart", /^✓ gw1 restarts, and the leaf never misses its routes/, 1],
  ["a host that moves is followed", /^✓ it moves to gw2: the leaf has it at/, 1],
  ["a plain up keeps the profile", /^✓ a plain up keeps the profile$/, 1],
];

profileSuite("evpn", CHECKS, () => {
  it("is refused together with a scenario, which has other configurations", async () => {
    const ended = await lab("up", "--scenario", "central");
    expect(ended.code).toBe(2);
    expect(ended.said).toContain("profile evpn has configurations of its own: not together with scenario central");
  });
});
