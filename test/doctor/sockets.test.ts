/** The doctor, about folders in which somebody else could put a socket. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkSockets } from "../../src/doctor/sockets.ts";

it.each([
  [0o755, "ok"],
  [0o2750, "ok"],
  [0o1777, "ok"],
  [0o2770, "warn"],
  [0o777, "warn"],
])("a folder of mode %o: %s", (mode, result) => {
  const home = mkdtempSync(join(tmpdir(), "vtepd-sockets-"));
  const folder = join(home, "run");
  mkdirSync(folder);
  chmodSync(folder, mode);
  const attach = { socket: join(folder, "gw1.sock") };
  const checks = checkSockets({ control: { socket: join(home, "not-made-yet/vtepd.sock") }, attach });
  const fix = result === "ok" ? null : `chmod go-w ${folder}`;
  expect(checks).toEqual([expect.objectContaining({ name: "attach socket", result, fix })]);
  rmSync(home, { recursive: true });
});
