/**
 * DHCP leases on disk: `leases.json` in `stateDirectory`, so that a restart does not let a neighbour take a leased address before its
 * owner speaks again.
 *
 * Written when leases changed, once a second at most and at the end, into a new file beside it that then takes its name: what is there is
 * whole at any moment. One is written at a time, and the end waits for it, so that no older one takes the place of a newer. Written as well
 * when the wall's clock was set, for the file has its times.
 *
 * Read once, before the first frame is forwarded. A file that is another user's or that others may write, or whose content is not ours, is put
 * aside and said so; the gateway starts without leases, as it would on its first day.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Emit } from "../control/event.ts";
import type { Config } from "../control/plan.ts";
import type { Bindings, KeptLease } from "../control/security/bindings.ts";
import { type Clocks, LEASES_MOST_BYTES, leasesText, readLeases } from "../control/security/lease-text.ts";
import type { Control } from "./assemble.ts";

/** Renewals alone are written so often. */
const RENEWALS_MS = 60_000;
/** The two clocks have gone apart by so much: the wall's was set. */
const SET_MS = 10_000;
/** A disk that is slower does not keep the process from its end. */
const LAST_MS = 3000;

export interface LeaseFileParts {
  /** null: nothing is kept. */
  readonly directory: string | null;
  readonly node: string;
  readonly bindings: Bindings;
  /** Control's clock, and the wall's. */
  readonly nowMs: () => number;
  readonly unixMs: () => number;
  readonly emit: Emit;
}

/** In the folder that the configuration names, else in systemd's (systemd.exec(5), StateDirectory=), else nowhere. */
export function leaseFileOf({ agent, timers }: Control, { node, stateDirectory }: Config, emit: Emit): LeaseFile {
  return new LeaseFile({
    directory: stateDirectory ?? (process.env.STATE_DIRECTORY?.split(":")[0] || null),
    node,
    bindings: agent.security.bindings,
    nowMs: () => timers.nowMs,
    unixMs: () => Date.now(),
    emit,
  });
}

export class LeaseFile {
  private readonly parts: LeaseFileParts;
  /** What is in the file, by the counts of `bindings`, and the wall's clock by ours. */
  private changes = 0;
  private renewals = 0;
  private wallMs: number | null = null;
  private savedMs = 0;
  private saving: Promise<void> | null = null;
  /** Why the last attempt to save failed; null: it did not. */
  failed: string | null = null;

  constructor(parts: LeaseFileParts) {
    this.parts = parts;
  }

  /** null: there is none. */
  get path(): string | null {
    return this.parts.directory === null ? null : join(this.parts.directory, "leases.json");
  }

  /** Leases of the process before. */
  restore(): void {
    const { path } = this;
    if (path === null) return;
    const { bindings, node, emit } = this.parts;
    const leases = leasesOf(path, node, this.clocks());
    if (leases === null) return;
    if (typeof leases === "string") {
      const aside = `${path}.refused`;
      attempt(() => renameSync(path, aside));
      emit("warn", "leases.refused", { file: path, reason: leases, fix: `look at ${aside}` });
      return;
    }
    const restored = bindings.restore(leases);
    this.changes = bindings.changes;
    this.wallMs = this.wallNow();
    emit("info", "leases.restored", { file: path, leases: restored, dropped: leases.length - restored });
  }

  /** Once a second. */
  async save(): Promise<void> {
    if (this.saving === null && this.isDue()) await this.write();
  }

  /** The process ends: what changed since. */
  async close(): Promise<void> {
    const last = async () => {
      await this.saving;
      const { changes, renewals } = this.parts.bindings;
      if (changes !== this.changes || renewals !== this.renewals) await this.write();
    };
    const isLate = pause(LAST_MS, true, { ref: false });
    if ((await Promise.race([last(), isLate])) === true) this.fail(new Error(`not written within ${LAST_MS} ms`));
  }

  /** A lease more or less is written at once; one that was renewed ends a little early at worst. */
  private isDue(): boolean {
    const { changes, renewals } = this.parts.bindings;
    if (changes !== this.changes) return true;
    if (this.wallMs !== null && Math.abs(this.wallNow() - this.wallMs) >= SET_MS) return true;
    return renewals !== this.renewals && this.parts.nowMs() - this.savedMs >= RENEWALS_MS;
  }

  private write(): Promise<void> {
    const { path } = this;
    if (path === null) return Promise.resolve();
    const { changes, renewals } = this.parts.bindings;
    const wallMs = this.wallNow();
    this.savedMs = this.parts.nowMs();
    this.saving = replace(this.parts.directory!, path, this.text())
      .then(() => void Object.assign(this, { changes, renewals, wallMs, failed: null }))
      .catch((error) => this.fail(error))
      .finally(() => {
        this.saving = null;
      });
    return this.saving;
  }

  private fail(error: unknown): void {
    const { message } = error as Error;
    if (this.failed === null)
      this.parts.emit("warn", "leases.unsaved", { file: this.path, reason: message, fix: "make the folder writable" });
    this.failed = message;
  }

  private text(): string {
    return leasesText(this.parts.node, this.parts.bindings.kept(), this.clocks());
  }

  private wallNow(): number {
    return this.parts.unixMs() - this.parts.nowMs();
  }

  private clocks(): Clocks {
    return { nowMs: this.parts.nowMs(), unixMs: this.parts.unixMs() };
  }
}

/** `text` in place of what is at `path`. A file of another process beside it, or a link, is not written into. */
async function replace(directory: string, path: string, text: string): Promise<void> {
  const beside = `${path}.new`;
  await mkdir(directory, { recursive: true, mode: 0o750 });
  await rm(beside, { force: true });
  const file = await open(beside, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
}

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
/** Group and others may not write. */
const WRITABLE = 0o022;

/** Whatever the file holds, the gateway starts. @returns what is wrong with it, the leases, or null: there is no such file. */
function leasesOf(path: string, node: string, clocks: Clocks): string | readonly KeptLease[] | null {
  try {
    const read = readKept(path);
    if (read === null) return null;
    return "wrong" in read ? read.wrong : readLeases(read.text, node, clocks);
  } catch (error) {
    return (error as Error).message;
  }
}

/** null: there is no such file. */
function readKept(path: string): { readonly text: string } | { readonly wrong: string } | null {
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? null : { wrong: message };
  }
  try {
    const stat = fstatSync(fd);
    const { size, mode, uid } = stat;
    if (!stat.isFile()) return { wrong: "no file" };
    if (uid !== 0 && uid !== process.geteuid!()) return { wrong: `it is user ${uid}'s` };
    if ((mode & WRITABLE) !== 0) return { wrong: "others may write it" };
    if (size > LEASES_MOST_BYTES) return { wrong: `${size} bytes, more than ${LEASES_MOST_BYTES}` };
    return { text: readFileSync(fd, "utf8") };
  } catch (error) {
    return { wrong: (error as Error).message };
  } finally {
    closeSync(fd);
  }
}

function attempt(change: () => void): void {
  try {
    change();
  } catch {
    // Reading it will fail in the same way, and be said again.
  }
}
