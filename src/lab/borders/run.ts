/** What `lab -- borders` does on a network that is up. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { print, say } from "../paint.ts";
import type { LabState } from "../state.ts";
import { bordersComplaints, bordersTable, briefSceneText, keyText, memberText, sceneText } from "./report.ts";
import { playBorders, playMembers } from "./scenes.ts";

/** What stands between these lines of a page is ours to write. */
const BEGIN = "<!-- npm run lab -- borders --markdown FILE: begin -->\n";
const END = "<!-- end -->";

/** @returns what went wrong. */
export async function runBorders(
  state: LabState,
  { brief, json, markdown }: { readonly brief?: true; readonly json?: string; readonly markdown?: string },
): Promise<string[]> {
  // A file that cannot be written is found out now, and not after the run.
  if (json !== undefined) writeFileSync(json, "");
  if (markdown !== undefined) partsOf(markdown);
  if (brief !== true) print(keyText());
  const scenes = await playBorders(state, say, (scene) =>
    print(brief === true ? briefSceneText(scene) : sceneText(scene)),
  );
  say("one of four next hops dies, and a fifth one comes");
  const members = await playMembers(state);
  for (const each of members) print(memberText(each));
  const complaints = bordersComplaints(scenes, members);
  const record = { scheme: { mode: "borders" }, holds: complaints.length === 0, complaints, scenes, members };
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(record, null, 2)}\n`);
  if (markdown !== undefined) {
    const [before, after] = partsOf(markdown);
    writeFileSync(markdown, before + bordersTable(scenes, members) + after);
  }
  return complaints;
}

/** What stands in `file` before and behind our table; one that is not there yet is made. */
export function partsOf(file: string): readonly [string, string] {
  if (!existsSync(file)) writeFileSync(file, `${BEGIN}${END}\n`);
  const text = readFileSync(file, "utf8");
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file} has no lines "${BEGIN.trim()}" and "${END}"`);
  return [text.slice(0, begin + BEGIN.length), text.slice(end)];
}
