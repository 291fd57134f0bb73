/**
 * Which subnet `docker/lab up` takes for the underlay: the article's, unless this machine has an address in it or another Docker
 * network has it; by a made-up table of routes and made-up networks.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";

const CONFIGURATION = fileURLToPath(new URL("../../docker/lab.d/configuration", import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "vtepd-underlay-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A leaf of /proc/net/fib_trie. */
const leaf = (address: string, kind: string) => `           |-- ${address}\n              ${kind}\n`;
const own = (address: string) => leaf(address, "/32 host LOCAL");
const LOOPBACK = `Main:\n  +-- 0.0.0.0/0 3 0 5\n${leaf("127.0.0.0", "/8 host LOCAL")}${own("127.0.0.1")}`;

/** What is chosen, and what is said. */
function choose(table: string, networks: string, underlay = ""): { code: number | null; out: string; said: string } {
  writeFileSync(join(folder, "table"), table);
  // The engine: `network ls` gives ids, `network inspect` a line for each.
  writeFileSync(
    join(folder, "docker"),
    `#!/bin/sh\ncase $2 in ls) echo id ;; inspect) cat <<'END'\n${networks}\nEND\n;; esac\n`,
  );
  chmodSync(join(folder, "docker"), 0o755);
  const script = `set -eu
    say() { echo "$*" >&2; }; die() { say "$*"; exit 1; }
    PROJECT=vtepd-lab HERE=/nowhere STATE=/nowhere UNDERLAY=${underlay}
    . "$1"; choose_underlay; echo "$UNDERLAY"`;
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}`, ROUTE_TABLE: join(folder, "table") };
  const { status, stdout, stderr } = spawnSync("bash", ["-c", script, "bash", CONFIGURATION], {
    encoding: "utf8",
    env,
  });
  return { code: status, out: stdout.trim(), said: stderr.trim() };
}

it.each([
  ["a machine elsewhere", own("10.0.0.5"), "", "192.0.2", ""],
  ["a route to it is no address in it", leaf("192.0.2.0", "/24 link UNICAST"), "", "192.0.2", ""],
  ["an address that only begins alike", own("192.0.20.2") + own("192.10.2.2"), "", "192.0.2", ""],
  [
    "an address in it",
    leaf("192.0.2.0", "/24 link UNICAST") + own("192.0.2.2"),
    "",
    "198.51.100",
    "the underlay is not 192.0.2.0/24: this machine has an address in it",
  ],
  [
    "another lab has it",
    "",
    "vtepd-other_underlay 192.0.2.0/24 ",
    "198.51.100",
    "the underlay is not 192.0.2.0/24: another Docker network has it",
  ],
  ["this lab has it itself", "", "vtepd-lab_underlay 192.0.2.0/24 ", "192.0.2", ""],
  [
    "two are taken, one in each way",
    own("192.0.2.2"),
    "vtepd-other_underlay 198.51.100.0/24 ",
    "203.0.113",
    "the underlay is not 192.0.2.0/24: this machine has an address in it\n" +
      "the underlay is not 198.51.100.0/24: another Docker network has it",
  ],
])("%s", (_, table, networks, chosen, said) => {
  expect(choose(LOOPBACK + table, networks)).toEqual({ code: 0, out: chosen, said });
});

it("all are taken: the words that help", () => {
  const { code, said } = choose(LOOPBACK + own("192.0.2.2") + own("198.51.100.2") + own("203.0.113.2"), "");
  expect([code, said.split("\n").at(-1)]).toEqual([
    1,
    "192.0.2, 198.51.100 and 203.0.113 are all taken: set UNDERLAY to three numbers that are free",
  ]);
});

it("what was said by hand, or by an up before, stands", () => {
  expect(choose(LOOPBACK + own("192.0.2.2"), "", "192.0.2")).toEqual({ code: 0, out: "192.0.2", said: "" });
});
