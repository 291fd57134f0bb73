/** Why the lab is refused: the switch that forbids user namespaces, by name, with what turns it. */
import { describe, expect, it } from "vitest";

type Trial = { isRoot: boolean; status: number; stderr: string };
const { whyRefused } = (await import(new URL("../set-up/lab-rights.mjs", import.meta.url).href)) as {
  whyRefused(trial: Trial, read: (file: string) => string | null): string;
};

const CLONE = "/proc/sys/kernel/unprivileged_userns_clone";
const LIMIT = "/proc/sys/user/max_user_namespaces";
const APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
const failed = { isRoot: false, status: 1, stderr: "unshare: unshare failed: Operation not permitted\n" };
const told = (switches: Record<string, string>, ended = failed): string =>
  whyRefused(ended, (file: string) => switches[file] ?? null);

describe("the reason why a lab is refused", () => {
  it.each([
    [CLONE, "0", "sudo sysctl kernel.unprivileged_userns_clone=1"],
    [LIMIT, "0", "sudo sysctl user.max_user_namespaces=15000"],
    [APPARMOR, "1", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"],
  ])("%s is %s", (file, value, fix) => {
    const open = { [CLONE]: "1", [LIMIT]: "63000", [APPARMOR]: "0" };
    const text = told({ ...open, [file]: value });
    expect(text).toContain(`${file} is ${value}`);
    expect(text).toContain(fix);
    expect(told(open)).not.toContain("sysctl");
  });

  it("no switch: the kernel's own words, and what it was that failed", () => {
    expect(told({})).toBe(
      "the kernel does not let this user make a user namespace (unshare: unshare failed: Operation not permitted): as root: sudo npm run lab",
    );
    expect(told({}, { ...failed, status: 43, stderr: "ioctl(TUNSETIFF): Operation not permitted" })).toContain(
      "make a TAP device in a user namespace (ioctl(TUNSETIFF): Operation not permitted)",
    );
  });

  it("root of a container lacks rights, not switches", () => {
    expect(told({ [CLONE]: "0" }, { ...failed, isRoot: true })).toContain("a container needs --privileged");
  });
});
