/** Memory that was freed goes back to the kernel, also after the free of a large block, behind which glibc would keep it. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const MODULE = fileURLToPath(new URL("../../dist/io/malloc.js", import.meta.url));
/** What a long program, which V8 has some 20 MB of malloc for while it reads it, leaves resident: MB. */
const COMPILE = `
const residentMb = () => process.memoryUsage.rss() / 2 ** 20;
(() => new Uint8Array(24 << 20))();
gc();
const before = residentMb();
new Function("if (false) {" + "f(1, 2, 3 + 4);\\n".repeat(100_000) + "}")();
console.log(residentMb() - before);
`;

function leftBy(program: string): number {
  const flags = ["--expose-gc", "--input-type=module"];
  return Number.parseFloat(execFileSync(process.execPath, [...flags, "-e", program], { encoding: "utf8" }));
}

it("what V8 has freed is not kept", () => {
  expect(leftBy(`import { giveBackFreed } from "${MODULE}"; giveBackFreed(); ${COMPILE}`)).toBeLessThan(8);
  expect(leftBy(COMPILE)).toBeGreaterThan(12);
});
