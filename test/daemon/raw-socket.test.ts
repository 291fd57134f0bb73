/**
 * A gateway without the optional npm package raw-socket: it forwards all the same, and says what is missing, what that
 * costs and what would bring it back. Where this machine opens ICMP datagram sockets to everybody (net.ipv4.ping_group_range,
 * as systemd sets it), it watches its peers by one of those.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import type { Status } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { whyNoRawSocket } from "../../src/liveness/raw-echo.ts";
import { makeDaemonBed, whyNoDaemon } from "./bed.ts";

/** May our group have an ICMP datagram socket? */
function isOpen(): boolean {
  const [first, last] = readFileSync("/proc/sys/net/ipv4/ping_group_range", "utf8").trim().split(/\s+/).map(Number);
  return first! <= process.getegid!() && process.getegid!() <= last!;
}

const VTEPCTL = fileURLToPath(new URL("../../dist/ctl/main.js", import.meta.url));

describe("why it does not load", () => {
  const failing = (code: string, message: string) => () => {
    throw Object.assign(new Error(message), { code });
  };
  it.each([
    ["MODULE_NOT_FOUND", "Cannot find module 'raw-socket'\nRequire stack:\n- /x", "is not installed"],
    [
      "ERR_DLOPEN_FAILED",
      "The module '/x/raw.node'\nwas compiled against a different Node.js version using\nNODE_MODULE_VERSION 115.",
      `was built for another Node than ${process.version}`,
    ],
    ["ERR_DLOPEN_FAILED", "/x/raw.node: file too short\nmore", "does not load: /x/raw.node: file too short"],
  ])("%s: %s", (code, message, why) => {
    const problem = whyNoRawSocket(failing(code, message))!;
    expect(problem.message).toBe(`the npm package raw-socket ${why}`);
    expect(problem.fix).toContain("npm run build");
    expect(problem.fix).toContain("apt-get install g++ make python3");
  });

  it("null where it does", () => {
    expect(whyNoRawSocket(() => ({}))).toBeNull();
  });
});

describe.skipIf(whyNoDaemon !== undefined)("a daemon without raw-socket", () => {
  const bed = makeDaemonBed(31);
  afterAll(() => bed.remove());

  it("is ready, and says so in the log, in status and in doctor", async () => {
    const hidden = join(bed.folder, "hidden.cjs");
    writeFileSync(
      hidden,
      `const Module = require("node:module");
const resolve = Module._resolveFilename;
Module._resolveFilename = (name, ...rest) => resolve(name === "raw-socket" ? "raw-socket-that-is-not-here" : name, ...rest);
`,
    );
    const env = { NODE_OPTIONS: `--require=${hidden}` };
    bed.write(bed.config().replace("{name: gw2, remote: 127.0.0.2}", "{name: gw2, remote: 127.0.0.2, keepalive: {}}"));
    await bed.start(env);
    const ctl = (...args: string[]) =>
      spawnSync(process.execPath, [VTEPCTL, "-s", bed.socket, ...args], {
        encoding: "utf8",
        env: { ...process.env, ...env },
      }).stdout;
    const status = () => JSON.parse(ctl("status", "-o", "json")) as Status;
    expect(status().ready).toBe(true);
    if (isOpen()) {
      await until("the other socket", 5000, () => status().probing.by !== null);
      expect(status().probing).toMatchObject({ state: "on", by: "datagram" });
    } else {
      const off = () => bed.log().find((line) => line.event === "probing.off");
      await until("the warning", 5000, () => off() !== undefined);
      const problem = expect.stringMatching(
        /^the npm package raw-socket is not installed; an ICMP datagram socket: EACCES /,
      );
      const fix = expect.stringMatching(/npm run build.*; or sysctl -w net.ipv4.ping_group_range=/);
      expect(off()).toMatchObject({ problem, fix, unwatched: "gw2" });
      expect(status().probing).toMatchObject({ state: "off", reason: problem });
      expect(ctl("status")).toContain("raw-socket is not installed");
    }
    const doctor = ctl("doctor");
    expect(doctor).toMatch(/raw-socket\s.*is not installed/);
    expect(doctor).toContain("npm run build");
  });
});
