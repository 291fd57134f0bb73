/**
 * `vtepctl doctor`: what is wrong, or will be, with the fix beside it. Exit 7 when anything is.
 *
 * A running daemon examines itself, for only it knows what it was granted. Where none answers (or `--offline`), a child process
 * (doctor/main.js) looks at the machine with the configuration file that is named. Several gateways are compared, too.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { Interface, Status, Tunnel, Vsi } from "../api/schema.ts";
import type { Check, Diagnosis } from "../api/schema-doctor.ts";
import type { Evpn } from "../api/schema-evpn.ts";
import { buildOf } from "../io/how-to-build.ts";
import { printable } from "../wire/printable.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { answerForm, askAll, isFleet } from "./fleet.ts";
import { fleetChecks, type Site } from "./fleet-check.ts";
import { printValue, type Session } from "./output.ts";
import { bold, green, type Piece, red, write, yellow } from "./terminal.ts";

/** The built program, from wherever this file runs: dist, or src in a test. */
const DOCTOR = fileURLToPath(new URL("../../dist/doctor/main.js", import.meta.url));
const CHILD_MS = 30_000;
const ASK_MS = 15_000;
const WORDS = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;
const PAINT = { ok: green, warn: yellow, fail: red } as const;

export function addDoctor(program: Command, session: Session): void {
  program
    .command("doctor")
    .description(
      "examine the gateway, its machine and its peers; of several, whether they agree; exit code 7: something is wrong",
    )
    .option("-c, --config <file>", "configuration to examine with where no daemon runs")
    .option("--offline", "do not ask a daemon")
    .addHelpText(
      "after",
      examples(
        "vtepctl doctor",
        "vtepctl doctor --offline -c /etc/vtepd/vtepd.yaml",
        "vtepctl doctor --fleet /run/vtepd",
      ),
    )
    .action(async ({ config, offline }: { config?: string; offline?: boolean }) => {
      if (isFleet(session) && offline !== true) return await examineFleet(session);
      const checks = offline === true ? await offlineChecks(config) : await allChecks(session.socket, config);
      if (session.output.form !== "table") await printValue(session.output, { checks });
      else for (const check of checks) await write(...lineOf(check, session.output.colour));
      failOn(checks);
    });
}

function failOn(checks: readonly Check[]): void {
  if (checks.some(({ result }) => result === "fail")) throw new Refusal("unhealthy", "", "", EXIT.unhealthy);
}

/** Each gateway by itself, and then what they say of each other. */
async function examineFleet({ sockets, output }: Session): Promise<void> {
  const answers = await askAll<Diagnosis>(sockets, "/v1/doctor", "GET", { timeoutMs: ASK_MS });
  const sites = await Promise.all(
    answers.flatMap(({ socket, node, refusal }) => (refusal === null ? [siteAt(socket, node)] : [])),
  );
  const fleet = fleetChecks(sites);
  const own = answers.map(({ value, refusal }): readonly Check[] => {
    if (value !== null) return value.checks;
    return [{ name: "daemon", result: "fail", text: refusal!.message, fix: refusal!.hint }];
  });
  if (output.form !== "table") {
    const gateways = answers.map((answer, i) => answerForm(answer, { checks: own[i] }));
    await printValue(output, { gateways, checks: fleet });
  } else {
    for (const [i, { node }] of answers.entries()) {
      await write(output.colour ? bold(printable(node)) : printable(node), "\n");
      for (const check of own[i]!) await write("  ", ...lineOf(check, output.colour, "  "));
    }
    await write(output.colour ? bold("between them") : "between them", "\n");
    for (const check of fleet) await write("  ", ...lineOf(check, output.colour, "  "));
  }
  failOn([...own.flat(), ...fleet]);
}

async function siteAt(socket: string, node: string): Promise<Site> {
  const [status, vsis, interfaces, tunnels, evpn] = await Promise.all([
    ask<Status>(socket, "/v1/status"),
    ask<Vsi[]>(socket, "/v1/vsis"),
    ask<Interface[]>(socket, "/v1/interfaces"),
    ask<Tunnel[]>(socket, "/v1/tunnels"),
    // 404: it takes no part.
    ask<Partial<Evpn>>(socket, "/v1/evpn", "GET", { also: [404] }),
  ]);
  const { routerId = null } = evpn;
  return { node, status, vsis, interfaces, tunnels, hasEvpn: routerId !== null, routerId };
}

async function allChecks(socket: string, config: string | undefined): Promise<Check[]> {
  try {
    return (await ask<Diagnosis>(socket, "/v1/doctor", "GET", { timeoutMs: ASK_MS })).checks;
  } catch (error) {
    if (!(error instanceof Refusal) || error.exit !== EXIT.unreachable) throw error;
    const down: Check = { name: "daemon", result: "fail", text: error.message, fix: error.hint };
    return [down, ...(await offlineChecks(config))];
  }
}

function offlineChecks(config: string | undefined): Promise<Check[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [DOCTOR, ...(config === undefined ? [] : [config])], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: CHILD_MS,
    });
    let out = "";
    let words = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (words += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) return resolve((JSON.parse(out) as Diagnosis).checks);
      const last = words.trim().split("\n").at(-1) ?? "";
      reject(
        new Refusal("failure", `the examination ended with code ${code}: ${last}`, buildOf("programs"), EXIT.failure),
      );
    });
  });
}

function lineOf({ name, result, text, fix }: Check, colour: boolean, indent = ""): Piece[] {
  const word = colour ? PAINT[result](WORDS[result]) : WORDS[result];
  const line = `  ${printable(name)}: ${printable(text)}\n`;
  return [word, fix === null || result === "ok" ? line : `${line}${indent}      fix: ${printable(fix)}\n`];
}
