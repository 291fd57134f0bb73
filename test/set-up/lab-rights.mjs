/**
 * May the lab be run by this user on this kernel? Asked before anything is built.
 *
 * The lab makes network namespaces and TAP devices. Root simply does; anybody else does it in a user namespace, where the
 * kernel lets one be root (user_namespaces(7)). Whether it does is tried, since too many switches have a say in it; only
 * when the trial fails are they read, for the sentence that says which one to turn.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const TUN = "/dev/net/tun";
/** What the lab will do, in the order in which it is refused. /run is the user's own there, for `ip netns`. */
const STEPS = [
  ["mount a folder for its namespaces", "mount -t tmpfs none /run"],
  ["make a network namespace", "ip netns add trial"],
  ["enter a network namespace", "ip netns exec trial true"],
  ["make a TAP device", "ip tuntap add dev trial mode tap"],
];
const FIRST_STEP = 40;
const TRIAL = STEPS.map(([, command], n) => `${command} || exit ${FIRST_STEP + n}`).join("\n");

/** The kernel's switches that forbid user namespaces: file, value that forbids, what turns it. */
const SWITCHES = [
  ["/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"],
  ["/proc/sys/user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=15000"],
  [
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "1",
    "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
  ],
];

const switchValue = (file) => {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return null;
  }
};

/**
 * Why a trial failed, and the fix. `status` and `stderr` are the trial's, `read` gives a switch's value or null.
 * @returns a sentence
 */
export function whyRefused({ isRoot, status, stderr }, read = switchValue) {
  const words = stderr.trim().split("\n").at(-1) ?? "";
  const step = STEPS[status - FIRST_STEP]?.[0];
  if (isRoot) {
    const what = step ?? "make namespaces";
    return `root may not ${what} here (${words}): a container needs --privileged for the lab`;
  }
  for (const [file, forbids, fix] of SWITCHES) {
    if (read(file) === forbids)
      return `user namespaces are switched off (${file} is ${forbids}): ${fix}; or as root: sudo npm run lab`;
  }
  const what = step === undefined ? "make a user namespace" : `${step} in a user namespace`;
  return `the kernel does not let this user ${what} (${words}): as root: sudo npm run lab`;
}

/** Null, or why this user cannot run the lab here. */
export function whyNoLab() {
  const isRoot = process.getuid?.() === 0;
  if (!existsSync(TUN))
    return `${TUN} is missing: ${isRoot ? "" : "sudo "}modprobe tun (a container needs --device ${TUN})`;
  const opened = spawnSync("sh", ["-c", `exec 3<>${TUN}`], { encoding: "utf8" });
  if (opened.status !== 0) {
    const fix = isRoot ? `a container needs --device ${TUN}` : `sudo chmod 0666 ${TUN}; or as root: sudo npm run lab`;
    return `${TUN} cannot be opened (${opened.stderr.trim().split(": ").at(-1)}): ${fix}`;
  }
  const options = isRoot ? "-mn" : "-Urmn";
  const trial = spawnSync("unshare", [options, "sh", "-c", TRIAL], { encoding: "utf8" });
  if (trial.error)
    return `unshare is not installed (Debian package util-linux): ${isRoot ? "" : "sudo "}apt-get install util-linux`;
  return trial.status === 0 ? null : whyRefused({ isRoot, status: trial.status, stderr: trial.stderr });
}
