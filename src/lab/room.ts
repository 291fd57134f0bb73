/**
 * The room: a user namespace in which an ordinary user's labs live (user_namespaces(7)).
 *
 * The user who makes one is root inside: of its network namespaces, its TAP devices, and a /run of its own, where `ip netns`
 * keeps names. Outside, they stay who they are. All labs of a user share one room, so that `run`, `shell` and `down` find
 * what `up` left behind; a process that sleeps keeps the room open, and the last lab to go ends it. Root needs none of this.
 *
 * A lab runs in the room as a child of the command that was typed, which passes signals on. Records, logs and sockets are
 * in a folder under /tmp, at the same path inside and outside. Its file `room.lock` is locked (flock(2)): shared by every
 * command at work in the room, exclusively by the one that opens it, or finds itself the last and closes it.
 */
import { spawn, spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { say } from "./paint.ts";
import { end, type Identity, identityOf, isAlive } from "./process.ts";
import { isInRoom, LABS, labs, readState } from "./state.ts";

const LOCK = join(LABS, "room.lock");
const KEEPER = join(LABS, "room");
const NOT_PERMITTED = 6;
/** /run becomes the user's own, for `ip netns`; the word tells that it did. */
const KEEP = "mount -t tmpfs none /run && echo open && exec sleep infinity";
const NO_ROOM =
  "no user namespace could be made, and without one the lab needs root: `node test/set-up.mjs lab` says why; or: sudo npm run lab";

const refusal = (text: string) => Object.assign(new Error(text), { status: NOT_PERMITTED });

/**
 * Run this very command in the room, for an ordinary user.
 * @param bind binds what the command listens on for the user's other programs, outside; it is handed to the command (web.ts)
 * @returns its exit status; null: labs can be made right here
 */
export async function runInRoom(bind: (() => Promise<Server>) | null): Promise<number | null> {
  if (process.getuid?.() === 0 || isInRoom) return null;
  const page = (await bind?.()) ?? null;
  makeFolder();
  const lock = openSync(LOCK, "a", 0o600);
  const keeper = await openRoom(lock);
  try {
    return await follow(keeper, page);
  } finally {
    page?.close();
    if (flock(lock, "-n", "-x") && labs().length === 0) {
      await end([keeper], 0);
      rmSync(KEEPER, { force: true });
    }
  }
}

/** /tmp is everybody's: a folder of this name that somebody else made is not used. */
function makeFolder(): void {
  mkdirSync(LABS, { recursive: true, mode: 0o700 });
  const { uid, mode } = lstatSync(LABS);
  if (!lstatSync(LABS).isDirectory() || uid !== process.getuid!() || (mode & 0o077) !== 0)
    throw refusal(`${LABS} must be a folder of yours with mode 0700; remove it`);
}

/** Lock or unlock an open file; true when it worked. The lock is the file's, not the program's. */
function flock(file: number, ...options: readonly string[]): boolean {
  return spawnSync("flock", [...options, "3"], { stdio: ["ignore", "ignore", "inherit", file] }).status === 0;
}

function keeperOnRecord(): Identity | undefined {
  try {
    const keeper = JSON.parse(readFileSync(KEEPER, "utf8")) as Identity;
    return isAlive(keeper) ? keeper : undefined;
  } catch {
    return undefined;
  }
}

/** The process that keeps the room open; it stays as long as we hold the lock. */
async function openRoom(lock: number): Promise<Identity> {
  for (;;) {
    if (!flock(lock, "-x")) throw refusal("flock (Debian package util-linux) is not here");
    if (keeperOnRecord() === undefined) await startKeeper();
    // Between an exclusive and a shared lock the last one out may have closed it again.
    flock(lock, "-s");
    const keeper = keeperOnRecord();
    if (keeper !== undefined) return keeper;
  }
}

async function startKeeper(): Promise<void> {
  // Labs of a room that is gone, ended by force or by a reboot.
  for (const name of labs()) await end(readState(name)?.processes ?? []);
  for (const file of readdirSync(LABS)) if (file.endsWith(".json")) rmSync(join(LABS, file));
  const child = spawn("unshare", ["-Urmn", "sh", "-c", KEEP], { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const words = await new Promise<string>((resolve) => {
    let text = "";
    const hear = (part: Buffer) => {
      text += part.toString();
      if (text.includes("open\n")) resolve("open");
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("error", (error) => resolve(error.message));
    child.on("close", () => resolve(text.trim()));
  });
  const keeper = child.pid === undefined ? undefined : identityOf(child.pid);
  if (words !== "open" || keeper === undefined) throw refusal(`${NO_ROOM} (${words})`);
  for (const pipe of [child.stdout, child.stderr]) pipe.destroy();
  child.unref();
  writeFileSync(KEEPER, JSON.stringify(keeper), { mode: 0o600 });
  say(`not root: labs live in a user namespace of their own; their files are in ${LABS}`);
}

function follow(keeper: Identity, page: Server | null): Promise<number> {
  const into = ["--preserve-credentials", "-U", "-m", "-n", "-t", String(keeper.pid)];
  const child = spawn("nsenter", [...into, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: ["inherit", "inherit", "inherit", ...(page === null ? [] : (["ipc"] as const))],
    env: { ...process.env, VTEPD_LABS: LABS },
  });
  if (page !== null) child.send("page", page, () => page.close());
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.removeAllListeners(signal);
    process.on(signal, () => child.kill(signal));
  }
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(refusal(`nsenter (Debian package util-linux): ${error.message}`)));
    child.on("exit", (status, signal) => resolve(status ?? 128 + constants.signals[signal!]));
  });
}
