/** What reaches the terminal, or the file behind `>`, and what becomes of a program whose output cannot be written. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { Neighbor } from "../../src/api/schema.ts";
import { bold, say, write } from "../../src/ctl/terminal.ts";
import { isPrintable } from "../../src/wire/printable.ts";
import { STATUS } from "../api/fake-source.ts";
import { whyNoDaemon } from "../daemon/bed.ts";
import { again, ctl, err, folder, forget, out, serve, socket } from "./bed.ts";

if (whyNoDaemon !== undefined) console.log(`terminal.test.ts, programs skipped: ${whyNoDaemon}`);

const program = (file: string) =>
  `${process.execPath} ${fileURLToPath(new URL(`../../dist/${file}`, import.meta.url))}`;
const VTEPD = program("main.js");
const VTEPCTL = program("ctl/main.js");
const LAB = program("lab/main.js");
const GOOD = fileURLToPath(new URL("../../docker/gw1.yaml", import.meta.url));

const neighborWith = (name: string): Neighbor => ({
  interface: name,
  vsi: "vsi10",
  ip: "10.1.1.11",
  mac: name,
  state: "reachable",
  kind: "host",
  via: { kind: "ac", name },
  ageSeconds: 3,
  from: "request",
});

/** A line of bash. */
function bash(line: string): Promise<{ status: number | null; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = spawn("bash", ["-o", "pipefail", "-c", line], { stdio: ["ignore", "pipe", "pipe"] });
    const text = { out: "", err: "" };
    child.stdout.on("data", (part) => {
      text.out += part;
    });
    child.stderr.on("data", (part) => {
      text.err += part;
    });
    child.on("close", (status) => resolve({ status, ...text }));
  });
}

describe.skipIf(whyNoDaemon !== undefined)("the words of a line", () => {
  it("vtepd takes its file with -c and without, one alone, and says how where there is none", async () => {
    for (const file of [`-c ${GOOD}`, GOOD]) {
      const { status, out: said } = await bash(`${VTEPD} check ${file}`);
      expect([status, said.replace(/^.*: valid/, "valid")]).toEqual([0, expect.stringMatching(/^valid; node gw1: /)]);
    }
    for (const verb of ["check", "run"]) {
      const none = await bash(`${VTEPD} ${verb}`);
      expect(none).toMatchObject({ status: 2, out: "" });
      expect(none.err).toContain(`error: which configuration file? vtepd ${verb} -c FILE\n`);
      expect(await bash(`${VTEPD} ${verb} -c ${GOOD} ${GOOD}`)).toMatchObject({ status: 2 });
    }
  });

  it("the lab names its verbs where one is unknown, and starts nothing", async () => {
    const { status, err: said } = await bash(`${LAB} bogus`);
    expect(status).toBe(2);
    expect(said).toMatch(/^error: unknown verb 'bogus'; there are up, run, down, .*shell.*; --help tells more\n$/);
    const help = await bash(`${LAB} --help`);
    expect(help.out).toMatch(/^Usage: lab \[options\] \[command\]\n/);
    expect(help.out).not.toContain("Arguments:");
  });
});

describe.skipIf(whyNoDaemon !== undefined)("output that cannot be written", () => {
  const LINES = [
    `${VTEPD} --help`,
    `${VTEPD} --version`,
    `${VTEPD} --version --json`,
    `${VTEPD} schema`,
    `${VTEPD} check -c ${GOOD}`,
    `${VTEPCTL} --help`,
    `${VTEPCTL} --version`,
    `${VTEPCTL} man vtepctl.1`,
    `${VTEPCTL} completion bash`,
    `${VTEPCTL} -s ${socket} status`,
    `${VTEPCTL} -s ${socket} show arp`,
    `${VTEPCTL} -s ${socket} show arp -o json`,
    `${VTEPCTL} -s ${socket} show config`,
    `${LAB} --help`,
  ];

  it.each(LINES)("is one line and exit code 1: %s > /dev/full", async (line) => {
    await serve({ status: () => STATUS, neighbors: () => [neighborWith("eth0")] });
    const { status, err } = await bash(`${line} > /dev/full`);
    expect(err).toMatch(/^(error|lab): cannot write the (output|report): ENOSPC: [^\n]*\n$/);
    expect(status).toBe(1);
  });

  it("also when only its beginning fits", async () => {
    const file = join(folder, "schema.json");
    const { status, err } = await bash(`ulimit -f 4; ${VTEPD} schema > ${file}`);
    expect({ status, err }).toEqual({
      status: 1,
      err: expect.stringMatching(/^error: cannot write the output: EFBIG/),
    });
    expect(readFileSync(file)).toHaveLength(4096);
  });

  it("and without a reader, an exit code alone", async () => {
    expect((await bash(`${VTEPD} schema > /dev/full 2>&1`)).status).toBe(1);
    await serve({ status: () => STATUS });
    expect((await bash(`${VTEPCTL} -s ${socket} status > /dev/full 2>&1`)).status).toBe(1);
  });

  it("a reader who has seen enough is no failure", async () => {
    await serve({ status: () => STATUS });
    for (const line of [`${VTEPD} schema`, `${VTEPCTL} man vtepd.yaml.5`, `${VTEPCTL} -s ${socket} status`, LINES[0]]) {
      const { status, err } = await bash(`${line} | head -1`);
      expect({ line, status, err }).toEqual({ line, status: 0, err: "" });
    }
    // Gone before the first byte.
    const { status, err } = await bash(`(sleep 0.5; ${VTEPD} schema) | true`);
    expect({ status, err }).toEqual({ status: 0, err: "" });
  });
});

/** Title of the window, an answer in the operator's name, CSI of C1, a name written backwards, a line of its own. */
const HOSTILE = "a\u001b]0;b\u0007\u009b2J\u202egnp.exe\nFATE sent\r\u007f";

describe("what a daemon says that is not ours", () => {
  const source = {
    neighbors: () => [neighborWith(HOSTILE)],
    status: () => ({ ...STATUS, node: HOSTILE, missing: [HOSTILE], ready: false }),
    why: () => ({ kind: "ip" as const, sentences: [HOSTILE] }) as never,
  };

  it.each([
    [["show", "arp"], 2],
    [["status"], 0],
    [["health"], 0],
    [["why", "10.1.1.11"], 1],
  ])("moves no cursor and makes no line: %s", async (args, lines) => {
    await ctl(source, ...args);
    expect(isPrintable((out + err).replaceAll("\n", ""))).toBe(true);
    expect(out + err).toContain("gnp.exe");
    if (lines > 0) expect(out.split("\n")).toHaveLength(lines + 1);
    expect(out).not.toMatch(/^FATE/m);
  });

  it("is the same value in JSON and in YAML, in characters that may be printed", async () => {
    for (const [form, read] of [
      ["json", (text: string) => JSON.parse(text) as unknown],
      ["yaml", (text: string) => parse(text) as unknown],
    ] as const) {
      forget();
      expect(await ctl(source, "show", "arp", "-o", form)).toBe(0);
      expect(isPrintable(out.replaceAll("\n", ""))).toBe(true);
      expect(read(out)).toEqual([neighborWith(HOSTILE)]);
    }
  });

  it("is no escape sequence in an error, in either form", async () => {
    const fault = { error: { code: HOSTILE, message: HOSTILE, hint: HOSTILE } };
    const broken = () => {
      throw new Error(HOSTILE);
    };
    for (const form of ["table", "json"]) {
      forget();
      await ctl({ neighbors: broken }, "show", "arp", "-o", form);
      expect(err).toContain("gnp.exe");
      expect(isPrintable(err.replaceAll("\n", ""))).toBe(true);
    }
    expect(isPrintable(JSON.stringify(fault))).toBe(false);
    forget();
    expect(await again("show", "\u009b2J")).toBe(2);
    expect(isPrintable(err.replaceAll("\n", ""))).toBe(true);
  });
});

it("only painted pieces hold escape sequences", async () => {
  await write("\u001b[31mred\u001b[0m ", bold("b\u001b[8mold"), "\n\ttab\n");
  expect(out).toBe("·[31mred·[0m \u001b[1mb·[8mold\u001b[0m\n\ttab\n");
  say("\u009b2J\n");
  expect(err).toBe("·2J\n");
});
