/** The young generation stays as small as it began, also where much survives; and a thread made later would have it grow again. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const MODULE = fileURLToPath(new URL("../../dist/io/young-generation.js", import.meta.url));
/** Its size in bytes, after objects that all live on. */
const GROW = `
import { getHeapSpaceStatistics } from "node:v8";
const kept = [];
for (let i = 0; i < 300_000; i++) kept.push({ i });
console.log(getHeapSpaceStatistics().find((space) => space.space_name === "new_space").space_size, kept.length);
`;

function sizeAfter(program: string): number {
  return Number.parseInt(
    execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" }),
    10,
  );
}

it("objects that live on do not make it grow", () => {
  const small = sizeAfter(`import { keepYoungGenerationSmall } from "${MODULE}"; keepYoungGenerationSmall(); ${GROW}`);
  expect(small).toBeLessThanOrEqual(4 << 20);
  expect(sizeAfter(GROW)).toBeGreaterThan(2 * small);
});
