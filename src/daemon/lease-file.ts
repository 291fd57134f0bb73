/**
 * DHCP leases on disk: `leases.json` in `stateDirectory`, so that a restart does not let a neighbour take a leased address before its
 * owner speaks again.
 *
 * Written when leases changed, once a second at most and at the end, into a file beside it that then takes its name: what is there is whole
 * at any moment. Read once, before the first frame is forwarded. A file that is another user's or that others may write, or whose content
 * is not ours, is put aside and said so; the gateway starts without leases, as it would on its first day.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Emit } from "../control/event.ts";
import type { Config } from "../control/plan.ts";
import type { Bindings, KeptLease } from "../control/security/bindings.ts";
import { type Clocks, LEASES_MOST_BYTES, leasesText, readLeases } from "../control/security/lease-text.ts";
import type { Control } from "./assemble.ts";

/** Renewals alone are written so often. */
const RENEWALS_MS = 60_000;

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
  /** What is in the file, by the counts of `bindings`. */
  private changes = 0;
  private renewals = 0;
  private savedMs = 0;
  private isSaving = false;
  private isClosed = false;
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
    emit("info", "leases.restored", { file: path, leases: restored, dropped: leases.length - restored });
  }

  /** Once a second. */
  async save(): Promise<void> {
    const { path } = this;
    if (path === null || this.isSaving || !this.isDue()) return;
    const { changes, renewals } = this.parts.bindings;
    this.isSaving = true;
    this.savedMs = this.parts.nowMs();
    try {
      mkdirSync(this.parts.directory!, { recursive: true, mode: 0o750 });
      const file = await open(`${path}.new`, FLAGS, 0o600);
      try {
        await file.writeFile(this.text());
        await file.datasync();
      } finally {
        await file.close();
      }
      // What was written at the end is newer.
      if (!this.isClosed) await rename(`${path}.new`, path);
      Object.assign(this, { changes, renewals, failed: null });
    } catch (error) {
      this.fail(error);
    } finally {
      this.isSaving = false;
    }
  }

  /** The process ends: what changed since. */
  close(): void {
    const { path } = this;
    const { changes, renewals } = this.parts.bindings;
    this.isClosed = true;
    if (path === null || (changes === this.changes && renewals === this.renewals)) return;
    try {
      mkdirSync(this.parts.directory!, { recursive: true, mode: 0o750 });
      const fd = openSync(`${path}.last`, FLAGS, 0o600);
      try {
        writeFileSync(fd, this.text());
        fdatasyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(`${path}.last`, path);
    } catch (error) {
      this.fail(error);
    }
  }

  /** A lease more or less is written at once; one that was renewed ends a little early at worst. */
  private isDue(): boolean {
    const { changes, renewals } = this.parts.bindings;
    if (changes !== this.changes) return true;
    return renewals !== this.renewals && this.parts.nowMs() - this.savedMs >= RENEWALS_MS;
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

  private clocks(): Clocks {
    return { nowMs: this.parts.nowMs(), unixMs: this.parts.unixMs() };
  }
}

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;
const FLAGS = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW;
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
