/** What `lab -- evpn` does on a fabric that is up. */
import { writeFileSync } from "node:fs";
import { print, say } from "../paint.ts";
import { familiesOf, type LabState } from "../state.ts";
import { changeThings } from "./changes.ts";
import { findEachOther, findHosts, findPrefixes } from "./finding.ts";
import { findIpv6 } from "./finding-ipv6.ts";
import { briefPartText, fabricComplaints, fabricRecord, keyText, lossText, partText, resultText } from "./report.ts";
import type { FabricPart } from "./rows.ts";

/** @returns what went wrong. */
export async function runFabric(
  state: LabState,
  { brief, json }: { readonly brief?: true; readonly json?: string },
): Promise<string[]> {
  // A file that cannot be written is found out now, and not after the run.
  if (json !== undefined) writeFileSync(json, "");
  if (brief !== true) print(keyText());
  const parts: FabricPart[] = [];
  const tell = (part: FabricPart) => {
    parts.push(part);
    print(brief === true ? briefPartText(part) : partText(part));
  };
  say("waiting for sessions, and for what they tell");
  tell(await findEachOther(state));
  say("hosts ping each other");
  tell(await findHosts(state));
  const nextStep = () => parts.reduce((sum, part) => sum + part.steps.length, 1);
  tell(await findPrefixes(state, nextStep()));
  if (familiesOf(state).includes(6)) {
    say("the same by IPv6");
    tell(await findIpv6(state, nextStep()));
  }
  const { part, losses } = await changeThings(state, nextStep(), say);
  tell(part);
  if (brief !== true) print(lossText(losses));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(fabricRecord(parts, losses), null, 2)}\n`);
  print(resultText(parts));
  return fabricComplaints(parts);
}
