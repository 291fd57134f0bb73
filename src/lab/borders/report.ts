/** The report of the scenes with two Borders: for people, for programs, and as the table of docs/redundancy.md. */
import { bold, columns, dim, heading, mark } from "../paint.ts";
import type { MemberScene, Scene } from "./scenes.ts";

const percent = (share: number) => `${(share * 100).toFixed(share > 0 && share < 0.001 ? 3 : 1)} %`;
const mostText = (most: Scene["most"]) => ("gapMs" in most ? `${most.gapMs} ms` : `${percent(most.share)} lost`);
const gapText = ({ loss }: Scene) => (loss.lost - loss.refused <= 0 ? "none" : `${loss.gapMs} ms`);
const lostText = ({ loss: { lost, refused, sent } }: Scene) =>
  `${lost - refused} of ${sent} (${percent((lost - refused) / Math.max(1, sent))})`;

export function keyText(): string {
  return `${heading("Two Borders, one of which goes")}
 vm1 behind gw1 sends to far, a packet each 10 ms of each flow; gw1's route has b1 and b2 as next hops, and b1 is hurt.
 ${dim("gap: the longest that any flow was without; lost: of all that was sent, on the way out")}`;
}

export function sceneText(scene: Scene): string {
  const { holds, what, notices, most } = scene;
  return ` ${mark(holds)} ${bold(what)}
     ${columns([
       ["noticed by", notices],
       ["gap", `${gapText(scene)}   lost ${lostText(scene)}   at ${scene.loss.perSecond} packets/s`],
       ["at most", mostText(most)],
     ])
       .split("\n")
       .join("\n     ")}`;
}

/** A scene in one line. */
export function briefSceneText(scene: Scene): string {
  return ` ${mark(scene.holds)} ${scene.what} (${scene.notices}): gap ${gapText(scene)}, lost ${lostText(scene)}`;
}

export function memberText({ holds, what, flows, moved, share, most }: MemberScene): string {
  return ` ${mark(holds)} ${bold(what)}: ${moved} of ${flows} (${percent(share)}; at most ${percent(most)})`;
}

export function bordersComplaints(scenes: readonly Scene[], members: readonly MemberScene[]): string[] {
  return [
    ...scenes
      .filter(({ holds }) => !holds)
      .map(
        (each) =>
          `${each.what} (${each.notices}): gap ${gapText(each)}, lost ${lostText(each)}, at most ${mostText(each.most)}`,
      ),
    ...members.filter(({ holds }) => !holds).map(({ what, moved, flows }) => `${what}: ${moved} of ${flows}`),
  ];
}

export function bordersTable(scenes: readonly Scene[], members: readonly MemberScene[]): string {
  const rows = scenes.map(
    (each) => `| ${each.what} | ${each.notices} | ${gapText(each)} | ${lostText(each)} | ${mostText(each.most)} |`,
  );
  return `| what happens | who notices | longest gap of a flow | lost on the way out | at most |
|---|---|---|---|---|
${rows.join("\n")}

| a set of next hops | flows | moved | at most |
|---|---|---|---|
${members.map(({ what, flows, moved, share, most }) => `| ${what} | ${flows} | ${moved} (${percent(share)}) | ${percent(most)} |`).join("\n")}
`;
}
