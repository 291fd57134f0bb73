/** The doctor, about folders in which somebody else could put a socket. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkOpen, checkSockets } from "../../src/doctor/sockets.ts";

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
  const checks = checkSockets({ control: { socket: join(home, "not-made-yet/vtepd.sock"), observe: null }, attach });
  const fix = result === "ok" ? null : `chmod go-w ${folder}`;
  expect(checks).toEqual([expect.objectContaining({ name: "attach socket", result, fix })]);
  rmSync(home, { recursive: true });
});

it("an open socket that is gone, is wider than it was made, or cannot be reached by its group", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vtepd-sockets-"));
  const path = join(folder, "observe.sock");
  const server = createServer().listen(path);
  await new Promise((resolve) => server.once("listening", resolve));
  const observe = { name: "observe" as const, path, group: null, readOnly: true };
  const found = () => checkOpen([observe]);
  chmodSync(path, 0o660);
  chmodSync(folder, 0o750);
  expect(found()).toEqual([
    { name: "sockets", result: "ok", text: `open: observe ${path} (reads, for group of the daemon)`, fix: null },
  ]);
  chmodSync(folder, 0o700);
  expect(found()).toEqual([expect.objectContaining({ name: "observe socket", result: "warn" })]);
  chmodSync(folder, 0o755);
  chmodSync(path, 0o666);
  expect(found()).toEqual([expect.objectContaining({ result: "warn", fix: `chmod 660 ${path}` })]);
  server.close();
  await new Promise((resolve) => server.once("close", resolve));
  expect(found()).toEqual([expect.objectContaining({ result: "fail", fix: "restart vtepd" })]);
  rmSync(folder, { recursive: true });
});
