/** Help, completion, man pages and bug reports: made from the tree of commands, so nothing may be missing from it. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { expect, it } from "vitest";
import type { Ac, Tunnel } from "../../src/api/schema.ts";
import { jsonSchema } from "../../src/config/json-schema.ts";
import { build, runCommand } from "../../src/ctl/command-line.ts";
import { commandTree, EXIT } from "../../src/daemon/command-line.ts";
import { again, err, folder, forget, out, serve, socket } from "./bed.ts";

const session = () => ({ socket, sockets: [socket], output: { form: "table" as const, colour: false } });

/** Every verb that does something, with its words. */
function verbs(command: Command, path: readonly string[] = []): [string, Command][] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((child) => child.name() !== "help")
    .flatMap((child) => {
      const words = [...path, child.name()];
      return child.commands.length > 0 ? verbs(child, words) : [[words.join(" "), child] as [string, Command]];
    });
}
const VERBS = verbs(build(session()));

it.each(VERBS.map(([name]) => name))("%s --help explains itself, with an example that names it", async (name) => {
  expect(await runCommand([...name.split(" "), "--help"])).toBe(0);
  expect(out).toMatch(/^Usage: vtepctl /);
  expect(out).toMatch(/\nExamples?:\n {2}\$ /);
  expect(err).toBe("");
});

// ---- completion ------------------------------------------------------------------------------------------------

async function complete(...words: string[]): Promise<string[]> {
  forget();
  expect(await again("__complete", "--", ...words)).toBe(0);
  expect(err).toBe("");
  return out.split("\n").slice(0, -1);
}

it("completes verbs, kinds, options and their choices from the tree of commands", async () => {
  expect(await complete("")).toEqual(expect.arrayContaining(["show", "config", "arp", "completion"]));
  expect(await complete("")).not.toContain("__complete");
  expect(await complete("sho")).toEqual(["show"]);
  expect(await complete("config", "")).toEqual(["check", "diff", "get", "reload"]);
  expect(await complete("display", "ar")).toEqual(["arp"]);
  expect(await complete("-o", "")).toEqual(["json", "table", "yaml"]);
  expect(await complete("show", "mac", "-o", "j")).toEqual(["json"]);
  expect(await complete("log", "level", "de")).toEqual(["debug"]);
  expect(await complete("arp", "add", "--int")).toEqual(["--interface"]);
  expect(await complete("nonsense", "x")).toEqual([]);
});

it("completes names from the daemon, also one named on the line, and is silent where none answers", async () => {
  expect(await complete("mac", "add", "02:00:00:00:00:01", "--ac", "")).toEqual([]);
  const acs = () => [{ name: "vm1" }, { name: "vm2" }, { name: "other" }] as Ac[];
  const tunnels = () => [{ name: "gw2" }] as Tunnel[];
  await serve({ acs, tunnels });
  expect(await complete("mac", "add", "02:00:00:00:00:01", "--ac", "vm")).toEqual(["vm1", "vm2"]);
  expect(await complete("-s", join(folder, "none"), "mac", "add", "--ac", "")).toEqual([]);
  expect(await complete("arp", "add", "--tunnel", "")).toEqual(["gw2"]);
});

it.each(["bash", "zsh", "fish"])("prints a script for %s that the shell can read", async (shell) => {
  expect(await runCommand(["completion", shell])).toBe(0);
  expect(out).toContain("vtepctl __complete --");
  // From a file: fish does not read a script from the socket that Node makes of its input.
  const script = join(folder, `completion.${shell}`);
  writeFileSync(script, out);
  const read = spawnSync(shell, ["-n", script], { encoding: "utf8" });
  // A shell that is not installed cannot say anything.
  if (read.error === undefined) expect([read.status, read.stderr]).toEqual([0, ""]);
});

it("bash completes with it", async () => {
  await runCommand(["completion", "bash"]);
  const test = `vtepctl() { printf '%s\\n' show status "$3"; }\n${out}\nCOMP_WORDS=(vtepctl sh); COMP_CWORD=1; _vtepctl; echo "\${COMPREPLY[*]}"`;
  const bash = spawnSync("bash", ["-c", test], { encoding: "utf8" });
  expect(bash.stdout).toBe("show status sh\n");
});

// ---- the manual ------------------------------------------------------------------------------------------------

async function man(page: string): Promise<string> {
  forget();
  expect(await runCommand(["man", page])).toBe(0);
  return out;
}

it.each(["vtepctl.1", "vtepd.8", "vtepd.yaml.5"])(
  "%s is roff that renders without a word of complaint",
  async (name) => {
    const roff = await man(name);
    expect(roff).toMatch(/^\.\\" .*\n\.TH VTEP/);
    const groff = spawnSync("groff", ["-man", "-Tutf8", "-ww"], { input: roff, encoding: "utf8" });
    if (groff.error !== undefined) return; // not installed
    expect([groff.status, groff.stderr]).toEqual([0, ""]);
    expect(groff.stdout.length).toBeGreaterThan(1000);
  },
);

it("vtepctl.1 has every verb, with its example and its options", async () => {
  const roff = await man("vtepctl.1");
  for (const [name, command] of VERBS) {
    expect(roff).toContain(`.SS vtepctl ${name} `);
    for (const option of command.createHelp().visibleOptions(command))
      if (option.long !== undefined && option.long !== "--help")
        expect(roff, name).toContain(option.long.replaceAll("-", "\\-"));
  }
});

it("vtepd.8 has every command, option and exit code of vtepd itself", async () => {
  const roff = await man("vtepd.8");
  const { program } = commandTree();
  const all = [program, ...program.commands];
  expect(all.length).toBeGreaterThan(3);
  for (const command of all) {
    const words = [command.name(), ...command.registeredArguments.map((each) => each.name())].join(" ");
    if (command !== program)
      expect(roff).toMatch(new RegExp(`\\.SS vtepd ${words} ?\n\\.PP\n${command.description()}\n`));
    for (const { flags, description } of command.options)
      expect(roff).toContain(`.TP\n\\fB${flags.replaceAll("-", "\\-")}\\fR\n${description}\n`);
  }
  const section = (title: string) => roff.split(`.SH ${title}\n`)[1]!.split("\n.SH")[0]!;
  const codes = [...section("EXIT STATUS").matchAll(/\\fB(\d+)\\fR/g)].map(([, code]) => Number(code));
  expect(codes).toEqual(Object.values(EXIT));
  const synopsis = section("SYNOPSIS").split("\n.br\n");
  expect(synopsis.map((line) => line.replace(/\\f.|\\/g, ""))).toEqual([
    "vtepd run [-c] FILE",
    "vtepd check [-c] FILE",
    "vtepd schema",
    "vtepd [--version] [--json]",
  ]);
});

it("vtepd.yaml.5 has every key of the schema", async () => {
  const roff = await man("vtepd.yaml.5");
  const schema = jsonSchema();
  for (const key of Object.keys(schema.properties!)) expect(roff).toContain(`\\fB${key}\\fR`);
  for (const key of ["vsis[].vni", "interfaces[].arp.static[].ip", "policies[].rules[].match.protocol"])
    expect(roff).toContain(`\\fB${key}\\fR`);
  expect(roff).toContain("1 to 16777215");
});

// ---- bug reports -----------------------------------------------------------------------------------------------

it("a bug report is a folder of the caller's own, with everything the API shows", async () => {
  await serve({});
  const report = join(folder, "report");
  expect(await again("bugreport", report)).toBe(0);
  expect(out).toBe(`${report}: 16 files\n`);
  expect(statSync(report).mode & 0o777).toBe(0o700);
  for (const file of readdirSync(report)) {
    expect(statSync(join(report, file)).mode & 0o777).toBe(0o600);
    JSON.parse(readFileSync(join(report, file), "utf8"));
  }
  expect(JSON.parse(readFileSync(join(report, "status.json"), "utf8"))).toMatchObject({ node: "gw1" });
  expect(JSON.parse(readFileSync(join(report, "about.json"), "utf8"))).toMatchObject({ missing: {} });
  expect(await again("bugreport", report)).toBe(1);
});

it("a bug report about no gateway leaves no folder behind", async () => {
  expect(await again("bugreport", join(folder, "none"))).toBe(3);
  expect(existsSync(join(folder, "none"))).toBe(false);
});
