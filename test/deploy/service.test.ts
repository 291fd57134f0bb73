/**
 * The systemd unit: a gateway under it may write what the examples, the defaults and the pages name, and one that ends is
 * started anew as the page says.
 */
import { dirname } from "node:path";
import { expect, it } from "vitest";
import { formatErrors } from "../../src/config/error.ts";
import { parseConfig } from "../../src/config/load.ts";
import { DEFAULT_SOCKET } from "../../src/ctl/client.ts";
import { EXIT } from "../../src/daemon/command-line.ts";
import { files, read } from "../house/source.ts";

const UNIT = read("deploy/systemd/vtepd@.service");
const value = (key: string, text = UNIT) => text.match(new RegExp(`^${key}=(.*)$`, "m"))?.[1];
const foldersOf = (unit: string) => (value("RuntimeDirectory", unit) ?? "").split(" ").map((name) => `/run/${name}`);

it.each(files("docs/examples", /\.yaml$/))("%s: its sockets are in a folder that the unit gives", (path) => {
  const parsed = parseConfig(read(path), path);
  if ("errors" in parsed) throw new Error(formatErrors(parsed.errors));
  const { control, attach, evpn } = parsed.config;
  const sockets = [control.socket, control.observe?.socket, attach?.socket, evpn?.engine.socket];
  for (const socket of sockets) if (socket !== undefined) expect(foldersOf(UNIT)).toContain(dirname(socket));
});

it("its folder has the default socket, and stays while other gateways are there", () => {
  expect(foldersOf(UNIT)).toContain(dirname(DEFAULT_SOCKET));
  // systemd.exec(5): else the folder goes, with all that is in it, when one of them stops.
  expect(value("RuntimeDirectoryPreserve")).toBe("yes");
  // The group of an observe socket walks through it; no one else writes there.
  expect(value("RuntimeDirectoryMode")).toBe("0755");
});

it("the page of EVPN has a unit for the engine, whose socket is there too and the gateway's alone", () => {
  const [, engine] = /```ini\n([\s\S]*?)```/.exec(read("docs/evpn.md"))!;
  const [, socket] = /unix:\/\/(\S+)/.exec(value("ExecStart", engine!)!)!;
  expect(foldersOf(engine!)).toEqual([dirname(socket!)]);
  for (const key of ["User", "RuntimeDirectoryPreserve", "RuntimeDirectoryMode", "UMask", "StartLimitIntervalSec"])
    expect(value(key, engine!)).toBe(value(key));
});

it("what does not mend itself ends the service, since the process that says so is the main one", () => {
  expect(value("RestartPreventExitStatus")?.split(" ").map(Number)).toEqual([
    EXIT.usage,
    EXIT.configInvalid,
    EXIT.permission,
  ]);
  // systemd.service(5): of the main process alone.
  expect(UNIT).not.toMatch(/^ExecStartPre=/m);
});

it("what does not last, such as a VTEP address that comes late, ends no service for good", () => {
  expect(value("StartLimitIntervalSec")).toBe("0");
  expect(value("Restart")).toBe("on-failure");
  // A start of Node for each try: less would be a processor's work.
  expect(value("RestartSec")).toBe("1s");
  expect(read("docs/operating.md").replaceAll("\n", " ")).toContain(
    "it is started anew a second later, as often as it takes",
  );
});
