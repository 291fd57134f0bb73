/**
 * docker/lab's own work on files, in a copy of docker/ and beside an engine that only says what a lab's would: who may go on where root
 * was, VMs that are added twice, and what `down` looks for.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort, TREE } from "./docker-lab.ts";

/** Its words go to `asked`; `compose up` ends as the file `up` says, and there are three gateways that take what they are told. */
const ENGINE = `#!/bin/sh
echo "$*" >>"$FOLDER/asked"
case "$*" in
  "compose version") ;;
  compose*" up "*) exit "$(cat "$FOLDER/up" 2>/dev/null || echo 0)" ;;
  *"ls --quiet --filter label="* | *"ls -q --filter label="*) echo "$1-that-is-left" ;;
  "network ls"*) ;;
  # An engine that another lab has started is in use.
  "ps -q") echo of-another-lab ;;
  ps*vtepd.kind=gateway*) printf 'gw1\\ngw2\\nborder\\n' ;;
  ps*service=gw*) echo gateway-id ;;
  inspect*State.Status*) echo "running, exit code 0" ;;
  inspect*vtepd.kind*) echo gateway ;;
  inspect*Config.Image*) echo vtepd:lab ;;
  create*) echo "WARNING: of no interest" >&2; echo made-id ;;
esac
`;
const MEMBER = 65534;
const isRoot = process.getuid?.() === 0;

let folder: string;
let env: NodeJS.ProcessEnv;
const at = (path: string) => join(folder, "docker", path);
const read = (path: string) => readFileSync(at(path), "utf8");
const asked = () => readFileSync(join(folder, "asked"), "utf8").split("\n");

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "vtepd-verbs-"));
  chmodSync(folder, 0o755);
  cpSync(join(TREE, "docker"), at("."), {
    recursive: true,
    filter: (path) => !/\/(\.lab|compose\.override\.yaml)$/.test(path),
  });
  writeFileSync(join(folder, "docker-program"), ENGINE);
  writeFileSync(join(folder, "asked"), "");
  chmodSync(join(folder, "asked"), 0o666);
  spawnSync("install", ["-D", "-m", "755", join(folder, "docker-program"), join(folder, "bin/docker")]);
  env = {
    ...{ PATH: `${join(folder, "bin")}:${process.env.PATH}`, FOLDER: folder, DOCKER_HOST: "unix:///nowhere" },
    ...{ BASE_IMAGE: "base", PROMETHEUS_IMAGE: "prometheus", PROMETHEUS_PORT: "0", WEB_PORT: await freePort() },
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", env });
  return { status, stdout, said: stderr };
}
const lab = (...args: string[]) => run(at("lab"), ...args);
const member = (...args: string[]) =>
  run("setpriv", `--reuid=${MEMBER}`, `--regid=${MEMBER}`, "--clear-groups", at("lab"), ...args);
const VM7 = ["add-vm", "vm7", "--gateway", "gw1", "--vsi", "vsi10", "--address", "10.1.1.13/24"];

describe("a VM that is added", () => {
  const services = () => read("compose.override.yaml").match(/^ {2}vm7:$/gm);

  it("stands in the file once, also where its first start was interrupted", () => {
    writeFileSync(join(folder, "up"), "1");
    expect(lab(...VM7).said).toContain("the containers do not start");
    writeFileSync(join(folder, "up"), "0");
    expect(lab(...VM7).said).toContain("lab: vm7 is up");
    expect(services()).toHaveLength(1);
  });

  it("needs no file that all may read but those that gateways read", () => {
    expect(run("sh", "-c", 'umask 077; "$0" "$@"', at("lab"), ...VM7).said).toContain("lab: vm7 is up");
    chmodSync(at("gw2.yaml"), 0o600);
    expect(lab("reload").said).toContain("docker/gw2.yaml must be readable for all");
  });

  it("goes, and nothing else of the file does", () => {
    const own = "networks:\n  of-mine: {driver: bridge}\n";
    const first = "services:\n  vm9:\n    hostname: vm9\n";
    writeFileSync(at("compose.override.yaml"), first);
    expect(lab(...VM7).status).toBe(0);
    writeFileSync(at("compose.override.yaml"), read("compose.override.yaml") + own);
    expect(lab("remove-vm", "vm7").status).toBe(0);
    expect(read("compose.override.yaml")).toBe(first + own);
    expect(read("gw1.yaml")).not.toContain("vm7");
  });
});

const hasTun = existsSync("/dev/net/tun");
if (!isRoot || !hasTun) console.log("verbs.test.ts: skipped where root was: it needs root and /dev/net/tun");

describe.skipIf(!isRoot || !hasTun)("where root was", () => {
  const ownersOf = (...paths: string[]) => paths.map((path) => statSync(at(path)).uid);

  it("what the lab notes belongs to the tree's user", () => {
    spawnSync("chown", ["-R", `${MEMBER}:${MEMBER}`, at(".")]);
    expect(lab("images").status).toBe(0);
    expect(lab("up").said).toContain("lab: up.");
    expect(lab(...VM7).status).toBe(0);
    expect(ownersOf(".lab", ".lab/vtepd-lab", ".lab/vtepd-lab/settings", "compose.override.yaml")).toEqual(
      Array(4).fill(MEMBER),
    );
    expect(member("up").said).toContain("lab: up.");
    expect(member("down")).toMatchObject({ status: 0, said: "" });
  });

  it("and is not the user's, that is said with what helps", () => {
    expect(lab("up").said).toContain("lab: up.");
    chownSync(at("."), MEMBER, MEMBER);
    for (const verb of ["up", "inspect", "down"]) {
      const { status, said } = member(verb);
      expect(said).toBe(`lab: ${at(".lab")} belongs to another user: sudo chown -R ${MEMBER} ${at(".lab")}\n`);
      expect(status).toBe(1);
    }
  });
});

it("looks into a lab that compose alone has brought up", () => {
  expect(lab("capture", "gw1")).toMatchObject({ status: 0, said: "" });
  expect(asked()).toContain("start --attach --interactive made-id");
  expect(existsSync(at(".lab"))).toBe(false);
  expect(lab(...VM7).said).toContain("lab: vm7 is up");
});

it("down takes networks and volumes of former profiles away", () => {
  expect(lab("down").status).toBe(0);
  expect(asked()).toEqual(expect.arrayContaining(["network rm network-that-is-left", "volume rm volume-that-is-left"]));
});

it("a scenario without checks of its own is not judged by those of the first lab", () => {
  rmSync(at("scenarios/central/checks"), { force: true });
  env.SCENARIO = "central";
  expect(lab("test")).toMatchObject({
    status: 2,
    said: `lab: there are no checks of this scenario: ${at("scenarios/central/checks")}\n`,
  });
});
