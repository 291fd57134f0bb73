/** docs/operating.md: which keys a reload refuses, and which it takes over without following them, as the code has them. */
import { expect, it } from "vitest";
import { NEEDS_RESTART } from "../../src/config/diff.ts";
import { FIXED, FIXED_BUT } from "../../src/daemon/reload.ts";
import { read } from "../house/source.ts";

it("names the keys that do not change while it runs, all of them and no others", () => {
  const paragraphs = read("docs/operating.md").split("\n\n");
  const text = paragraphs.find((each) => each.startsWith("`node`, "))!.replaceAll("\n", " ");
  const parts = text.split(/: a file that changes|\(but for|which is followed/);
  const keys = parts.map((part) => [...part.matchAll(/`([^`]+)`/g)].map(([, key]) => key));
  expect(keys.slice(0, 3)).toEqual([[...NEEDS_RESTART], FIXED, [FIXED_BUT]]);
});
