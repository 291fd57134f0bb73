/** `npm run lab`: the article's scenarios one after the other, each from cold tables, by IPv4 and then by IPv6; and what comes after them. */
import { writeFileSync } from "node:fs";
import { addIpv6, makeCold } from "./bed.ts";
import { captureTool, type Tool } from "./capture.ts";
import { arpSection, pingSection, type Section, tcpSection } from "./examination.ts";
import type { Scenario } from "./expect.ts";
import { overIpv6 } from "./expect-ipv6.ts";
import { OTHER_VXLAN } from "./expect-other-vxlan.ts";
import { OUTSIDE } from "./expect-outside.ts";
import { SAME_VXLAN } from "./expect-same-vxlan.ts";
import type { Telling } from "./networks.ts";
import { heading, mark, print, say } from "./paint.ts";
import { writeRecord } from "./record.ts";
import { briefText, keyText, legendText, tally, unexpectedIn, walkComplaints, walkText } from "./report.ts";
import { familiesOf, type LabState } from "./state.ts";
import { type Walk, walk } from "./walkthrough.ts";

const SCENARIOS = [SAME_VXLAN, OTHER_VXLAN, OUTSIDE];

/** Walk through the scenarios and examine the rest. @returns what went wrong. */
export async function runArticle(state: LabState, isFresh: boolean, { brief, json }: Telling): Promise<string[]> {
  // A file that cannot be written is found out now, and not after the run.
  if (json !== undefined) writeFileSync(json, "");
  const tool = captureTool();
  if (tool === "tcpdump")
    say("the npm package cap is not installed (libpcap-dev was missing?): capturing with tcpdump");
  const families = familiesOf(state);
  const walks: Walk[] = [];
  const walked = (done: Walk) => {
    if (walks.length === 0 && brief !== true) print(`${keyText(families)}\n${legendText(done.names)}`);
    walks.push(done);
    print(brief === true ? briefText(done) : walkText(done));
  };
  for (const scenario of SCENARIOS) {
    if (walks.length > 0 || !isFresh) await makeCold(state);
    for await (const done of walksOf(state, scenario, tool)) walked(done);
  }
  const sections: Section[] = [];
  for (const section of brief === true ? [pingSection, tcpSection] : [pingSection, tcpSection, arpSection]) {
    const done = await section(state);
    sections.push(done);
    print(done.text);
  }
  const complaints = [...walks.flatMap(walkComplaints), ...sections.flatMap((section) => [...section.complaints])];
  if (json !== undefined) writeRecord(json, state, walks, complaints);
  print(heading("Result"));
  for (const family of families) print(resultText(walks.filter(({ scenario }) => scenario.family === family)));
  return complaints;
}

/** A scenario by each family, from one cold start: what ARP has found out is nothing to neighbour discovery. */
async function* walksOf(state: LabState, scenario: Scenario, tool: Tool): AsyncGenerator<Walk> {
  for (const family of familiesOf(state)) {
    if (family === 6) await addIpv6(state);
    say(`scenario ${scenario.number}${family === 6 ? " by IPv6" : ""}: ${scenario.title}`);
    yield await walk(state, family === 4 ? scenario : overIpv6(scenario), tool);
  }
}

function resultText(walks: readonly Walk[]): string {
  const { met, all, optional } = tally(walks);
  const by = walks[0]?.scenario.family === 6 ? " by IPv6" : "";
  const rows = `${met} of ${all} frames and table entries of the article's three walkthroughs${by} are as expected (${optional} were not needed)`;
  return ` ${mark(met === all)} ${rows}, ${unexpectedIn(walks.map((done) => done.judgement))}`;
}
