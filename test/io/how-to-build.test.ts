/** What is advised where something is not built: another command in this tree than in a package that was installed. */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { buildOf } from "../../src/io/how-to-build.ts";
import { files, ROOT, read } from "../house/source.ts";

const BUILT = join(ROOT, "dist/io/how-to-build.js");
const built = existsSync(BUILT);
if (!built) console.log("how-to-build.test.ts skipped: the programs are not built (npm run build)");

const home = mkdtempSync(join(tmpdir(), "vtepd-installed-"));
afterAll(() => rmSync(home, { recursive: true }));

describe.skipIf(!built)("where something is not built", () => {
  it("a tree builds it, and an installed package, which has no set-up, is not told to", () => {
    expect(buildOf("cap")).toBe("npm run build");
    expect(buildOf("programs")).toBe("npm run build");
    for (const folder of ["dist/io", "dist/dataplane"]) mkdirSync(join(home, folder), { recursive: true });
    copyFileSync(BUILT, join(home, "dist/io/how-to-build.js"));
    writeFileSync(join(home, "dist/dataplane/worker.bundle.js"), "");
    const { imports } = JSON.parse(read("package.json")) as { imports: object };
    writeFileSync(join(home, "package.json"), JSON.stringify({ name: "vtepd", type: "module", imports }));
    const script = `import { buildOf, capIsBuilt, fixForCap } from ${JSON.stringify(pathToFileURL(join(home, "dist/io/how-to-build.js")).href)};
      console.log(JSON.stringify([buildOf("programs"), buildOf("raw-socket"), fixForCap(), capIsBuilt()]));`;
    const said = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    expect(JSON.parse(said)).toEqual([
      "install the package of vtepd again",
      `npm install --no-save --prefix ${home} raw-socket`,
      `apt-get install g++ make python3 libpcap-dev, then npm install --no-save --prefix ${home} cap; or use tcpdump`,
      false,
    ]);
  });

  it("nothing else advises a build of its own", () => {
    const advising = files("src").filter((path) => /npm run build|npm (install|ci)\b/.test(read(path)));
    expect(advising).toEqual(["src/io/how-to-build.ts"]);
  });
});
