/**
 * gobgpd for tests: which ones there are, and one of them started with a socket of its own.
 *
 * Debian 12 has 3.10. The two that matter besides, 3.36 and 4.8, are in Debian 13 and sid, need no newer libc, and are fetched by
 * apt (as root, with lists of its own: the machine's stay as they are) and unpacked into a folder.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT } from "../house/source.ts";

const placeIn = (root: string) => join(root, "node_modules/.cache/vtepd-gobgp");
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const APT_MS = 120_000;

export interface Found {
  readonly name: string;
  /** null: it is not here, and this is why. */
  readonly bin: string | null;
  readonly missing: string;
}

/** The gobgpd of this machine, and those of Debian 13 and sid. */
export function gobgpds(root = ROOT): Found[] {
  const own = spawnSync("sh", ["-c", "command -v gobgpd"], { encoding: "utf8" }).stdout.trim();
  return [
    { name: "this machine's", bin: own || null, missing: "no gobgpd here: apt-get install gobgpd" },
    ...["trixie", "sid"].map((suite) => debians(suite, placeIn(root))),
  ];
}

function debians(suite: string, place: string): Found {
  const name = `Debian ${suite}'s`;
  const bin = join(place, suite, "usr/bin/gobgpd");
  if (existsSync(bin)) return { name, bin, missing: "" };
  const problem = fetchFrom(suite, place);
  return problem === null ? { name, bin, missing: "" } : { name, bin: null, missing: problem };
}

function fetchFrom(suite: string, place: string): string | null {
  if (process.getuid?.() !== 0 || !existsSync(KEYRING)) return "fetching it needs root and Debian's apt";
  const apt = join(place, `apt-${suite}`);
  for (const folder of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(apt, folder), { recursive: true });
  writeFileSync(join(apt, "list"), `deb [signed-by=${KEYRING}] http://deb.debian.org/debian ${suite} main\n`);
  const options = [
    ...["-o", `Dir::Etc::sourcelist=${join(apt, "list")}`, "-o", "Dir::Etc::sourceparts=-"],
    ...["-o", `Dir::State::lists=${join(apt, "lists")}`, "-o", `Dir::Cache=${join(apt, "cache")}`],
    ...["-o", "Acquire::Languages=none", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=0"],
  ];
  const run = (command: string, ...args: string[]) =>
    spawnSync(command, args, { cwd: apt, encoding: "utf8", timeout: APT_MS });
  for (const words of [["update"], ["download", "gobgpd"]]) {
    const { status, stderr } = run("apt-get", "-q", ...options, ...words);
    if (status !== 0) return `apt-get ${words[0]} of ${suite}: ${stderr.trim().split("\n").at(-1)}`;
  }
  const deb = readdirSync(apt).find((file) => file.endsWith(".deb"));
  if (deb === undefined || run("dpkg-deb", "-x", deb, join(place, suite)).status !== 0) return "it cannot be unpacked";
  rmSync(apt, { recursive: true, force: true });
  return null;
}

export interface Running {
  readonly socket: string;
  /** It ends at once (-9). */
  kill(): Promise<void>;
  /** The same, and its folder goes. */
  remove(): Promise<void>;
}

/** Start `bin`; it waits for StartBgp. `inside`: a command that runs it elsewhere; `at`: a socket of before, whose file is stale. */
export function startGobgpd(bin: string, inside: readonly string[] = [], at: string | null = null): Running {
  const folder = at === null ? mkdtempSync(join(tmpdir(), "gobgpd-")) : dirname(at);
  const socket = join(folder, "api.sock");
  rmSync(socket, { force: true });
  const [command, ...args] = [...inside, bin, "--api-hosts", `unix://${socket}`, "--pprof-disable", "--log-level=warn"];
  const child = spawn(command!, args, { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  return {
    socket,
    kill,
    async remove() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
