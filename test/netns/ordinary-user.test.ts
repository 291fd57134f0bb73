/**
 * The lab of an ordinary user: in a user namespace, and refused in one sentence, before anything is built, where the kernel
 * does not let it. The user is uid 1000 of this machine, with a /dev/net/tun of its own mode in a mount namespace.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { whyNoBed } from "./bed.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const LAB = join(ROOT, "dist/lab/main.js");
const RIGHTS = join(ROOT, "test/set-up/lab-rights.mjs");
const VISIT = join(ROOT, "test/netns/web-visit.mjs");
const UID = "47890";
const FOLDER = `/tmp/vtepd-lab-${UID}`;
const DEVICES = mkdtempSync(join(tmpdir(), "vtepd-devices-"));
afterAll(() => rmSync(DEVICES, { recursive: true }));

/** A shell's command line as the user, who sees /dev/net/tun with this mode; `first` runs as root before. */
function asUser(tunMode: string, command: string, first = "true") {
  const script = `mount -t tmpfs none ${DEVICES} && mknod -m ${tunMode} ${DEVICES}/tun c 10 200 && chmod ${tunMode} ${DEVICES}/tun &&
mount --bind ${DEVICES}/tun /dev/net/tun && ${first} &&
exec setpriv --reuid ${UID} --regid ${UID} --clear-groups --no-new-privs sh -c "$1"`;
  return spawnSync("unshare", ["-m", "--propagation", "private", "sh", "-c", script, "sh", command], {
    encoding: "utf8",
    timeout: 300_000,
    env: { ...process.env, NO_COLOR: "1", SUDO_UID: "" },
  });
}
const why = `'${process.execPath}' -e "import('${RIGHTS}').then((m) => console.log(m.whyNoLab()))"`;
const lab = (verb: string) => `'${process.execPath}' '${LAB}' ${verb}`;

const canEnter = whyNoBed() === undefined && asUser("0666", "unshare -Urmn true").status === 0;

describe.skipIf(!canEnter)("an ordinary user", () => {
  // Whatever became of a test: the next one, and a second attempt, find nothing of it.
  afterEach(() => {
    asUser("0666", lab("down"));
  });
  afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

  it("may run the lab here", () => {
    expect(asUser("0666", why).stdout).toBe("null\n");
  });

  it("is told what to do about a TAP device that is root's alone", () => {
    expect(asUser("0600", why).stdout).toMatch(
      /^\/dev\/net\/tun cannot be opened .*: sudo chmod 0666 \/dev\/net\/tun; or/,
    );
  });

  it("is told that the limit of user namespaces is reached", () => {
    // A user namespace that may have no more than the one which holds the user.
    const command = `echo 1 > /proc/sys/user/max_user_namespaces; exec unshare -U --map-user=${UID} ${why}`;
    const ended = asUser("0666", `unshare -Ur sh -c '${command.replaceAll("'", "'\\''")}'`);
    expect(ended.stdout).toMatch(
      /^the kernel does not let this user make a user namespace \(.*No space left.*\): as root:/,
    );
  });

  it("walks through the article, and every row holds; nothing is left", () => {
    const { status, stdout, stderr } = asUser("0666", lab(""));
    if (status !== 0) expect.fail(`status ${status}\n${stdout}\n${stderr}`);
    expect(stderr).toContain(`not root: labs live in a user namespace of their own; their files are in ${FOLDER}`);
    expect(stdout).toContain("everything holds");
    expect(stdout).not.toContain("✗");
    expect(existsSync(join(FOLDER, "room"))).toBe(false);
  }, 310_000);

  it("finds in the next command what the last one left up, and the last one out closes the room", async () => {
    expect(asUser("0666", lab("up")).status).toBe(0);
    expect(existsSync(join(FOLDER, "room"))).toBe(true);
    expect(asUser("0666", lab("status")).stdout).toMatch(/✓ {2}gw1 .* ready/);
    expect(asUser("0666", lab("shell vm1 ping -c 1 -W 5 10.1.1.12")).stdout).toContain("ttl=62");
    // A mistake in the room is a mistake outside.
    expect(asUser("0666", lab("shell vm9")).status).toBe(4);
    expect(asUser("0666", lab("down")).status).toBe(0);
    expect(existsSync(join(FOLDER, "room"))).toBe(false);
    // The dead wait to be reaped for a moment.
    await until("nothing of the user's to run", 10_000, () => spawnSync("pgrep", ["-u", UID]).status === 1);
  });

  it("sees the lab in a browser, with walks, and by vtepctl web beside it", () => {
    const visit = (command: string) =>
      asUser("0666", `'${process.execPath}' '${VISIT}' '${command.replaceAll("'", "'\\''")}'`).stdout;
    const walked = "border gw1 gw2\narrived: true; all hold: true\n";
    expect(asUser("0666", lab("up")).status).toBe(0);
    expect(visit(lab("web --port 0"))).toBe(walked);
    const vtepctl = `'${process.execPath}' '${join(ROOT, "dist/ctl/main.js")}'`;
    expect(visit(`${vtepctl} web --dir ${FOLDER}/lab --port 0`)).toBe("border gw1 gw2\n");
    expect(asUser("0666", lab("down")).status).toBe(0);
    // Up, walked, shown: the page outlasts the walks, and Ctrl-C takes it all down.
    expect(visit(lab("--web --brief --port 0"))).toBe(walked);
    expect(existsSync(join(FOLDER, "room"))).toBe(false);
  }, 240_000);

  it("does not use a folder that another user put in its place", () => {
    rmSync(FOLDER, { recursive: true, force: true });
    const ended = asUser("0666", lab("up"), `mkdir -m 0777 ${FOLDER}`);
    expect(ended.status).toBe(6);
    expect(ended.stderr).toContain(`${FOLDER} must be a folder of yours with mode 0700`);
  });
});

describe.skipIf(whyNoBed() !== undefined)("root of a user namespace", () => {
  it("sets a TAP's transmit queue length, which an ioctl leaves to the machine's root", () => {
    const script = `import { openTap, setTap } from "${ROOT}dist/io/tap.js";
const tap = openTap({ device: "uns0" });
setTap(tap.fds[0], { mtu: 1450, txQueueLength: 1000, up: true });
const { execFileSync } = await import("node:child_process");
console.log(execFileSync("ip", ["-j", "link", "show", "uns0"], { encoding: "utf8" }));`;
    const node = [process.execPath, "--input-type=module", "-e", script];
    const { stdout, stderr } = spawnSync("unshare", ["-Urn", ...node], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)[0]).toMatchObject({ txqlen: 1000, mtu: 1450 });
  });
});
