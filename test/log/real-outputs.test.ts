/** The log on outputs of the kernel that stop taking: a tmpfs that is full, and a terminal that is stopped (Ctrl-S). */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { LogSink, QUEUE_BYTES } from "../../src/log/sink.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  while (cleanups.length > 0) cleanups.pop()!();
});

const line = (n: number) => `${String(n).padStart(99, "0")}\n`;

it("a full tmpfs: no line is torn, the lost ones are told, and it goes on when there is room", async ({ skip }) => {
  const folder = mkdtempSync(join(tmpdir(), "vtepd-log-"));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=128k", "none", folder]);
  if (mounted.status !== 0) return skip(`no tmpfs can be mounted: ${mounted.stderr}`);
  cleanups.push(() => spawnSync("umount", [folder]));
  writeFileSync(join(folder, "ballast"), Buffer.alloc(64 << 10));
  const path = join(folder, "log");
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND);
  cleanups.push(() => closeSync(fd));
  const sink = new LogSink(fd);
  sink.onRoom = (lost) => sink.write(`lost ${lost}\n`);
  const count = Math.ceil((QUEUE_BYTES + (256 << 10)) / 100);
  for (let n = 0; n < count; n++) sink.write(line(n));
  expect(sink.lost).toBeGreaterThan(0);
  await until("the tmpfs is full", 5000, () => readFileSync(path).length >= 60 << 10);
  expect(await sink.drain(100)).toBe(false);
  expect(spawnSync("mount", ["-o", "remount,size=16m", folder]).status).toBe(0);
  expect(await sink.drain(20_000)).toBe(true);
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  expect(lines.filter((each) => !/^(\d{99}|lost \d+)$/.test(each))).toEqual([]);
  const told = lines.filter((each) => each.startsWith("lost ")).map((each) => Number(each.slice(5)));
  expect(told.reduce((sum, each) => sum + each, 0)).toBe(sink.lost);
  expect(lines.length - told.length + sink.lost).toBe(count);
}, 40_000);

/** A terminal, stopped; what it showed comes out when a line comes in. */
const TERMINAL = `
import os, pty, sys, termios, tty
master, slave = pty.openpty()
tty.setraw(slave)
termios.tcflow(slave, termios.TCOOFF)
print(os.ttyname(slave), flush=True)
sys.stdin.readline()
termios.tcflow(slave, termios.TCOON)
while True:
    sys.stdout.buffer.write(os.read(master, 65536))
    sys.stdout.flush()
`;

it("a stopped terminal holds up no timer, and shows every line that was not lost when it goes on", async ({ skip }) => {
  if (spawnSync("python3", ["-c", "import pty"]).status !== 0) return skip("python3 is missing");
  const terminal = spawn("python3", ["-c", TERMINAL], { stdio: ["pipe", "pipe", "inherit"] });
  cleanups.push(() => terminal.kill("SIGKILL"));
  let said = "";
  terminal.stdout.setEncoding("latin1").on("data", (part: string) => {
    said += part;
  });
  await until("a terminal", 5000, () => said.includes("\n"));
  const name = said.trim();
  said = "";
  const fd = openSync(name, constants.O_WRONLY | constants.O_NOCTTY);
  const sink = new LogSink(fd);
  sink.onRoom = (lost) => sink.write(`lost ${lost}\n`);
  const count = Math.ceil((QUEUE_BYTES + (256 << 10)) / 100);
  for (let n = 0; n < count; n++) sink.write(line(n));
  expect(await sink.drain(200)).toBe(false);
  expect(sink.lost).toBeGreaterThan(0);
  expect(said).toBe("");
  terminal.stdin.write("\n");
  expect(await sink.drain(30_000)).toBe(true);
  await until("the last line", 5000, () => /\nlost \d+\n$/.test(said));
  const lines = said.split("\n").slice(0, -1);
  expect(lines.filter((each) => !/^(\d{99}|lost \d+)$/.test(each))).toEqual([]);
  expect(lines.length - 1 + sink.lost).toBe(count);
  closeSync(fd);
}, 60_000);
