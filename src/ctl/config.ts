/**
 * `vtepctl config get|check|diff|reload`: what runs, what the file says, and how to get from one to the other.
 *
 * The daemon does the work, with its own eyes: it reads the file (a path is made absolute here, and must be readable there),
 * so that what was checked is what would run. Exit code 5: the file is refused, and nothing has changed.
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { CheckReport } from "../api/schema.ts";
import { printable } from "../wire/printable.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { printValue, type Session } from "./output.ts";
import { write } from "./terminal.ts";

/** Reading and checking a file of a megabyte takes a while. */
const SLOW_MS = 30_000;

export function addConfig(program: Command, session: Session): void {
  const config = program
    .command("config")
    .description("the configuration: what runs, what the file says, taking it over");
  config
    .command("get")
    .description("the configuration in force as a file, with every default filled in (YAML, or JSON with -o json)")
    .addHelpText("after", examples("vtepctl config get > running.yaml", "vtepctl config get -o json | jq .limits"))
    .action(async () => printValue(session.output, await ask<unknown>(session.socket, "/v1/config")));
  config
    .command("check")
    .description("would the daemon take this file over? changes nothing; exit code 5: no")
    .argument("[file]", "default: the daemon's own")
    .addHelpText("after", examples("vtepctl config check", "vtepctl config check /etc/vtepd/new.yaml"))
    .action(async (file?: string) => {
      const report = await checked(session, file);
      if (session.output.form !== "table") await printValue(session.output, report);
      else if (report.valid) await write(`${report.file}: valid; ${summary(report, TO_DO)}\n`);
      if (!report.valid) throw refusal(report);
    });
  config
    .command("diff")
    .description("what would a reload change? changes nothing")
    .argument("[file]", "default: the daemon's own")
    .addHelpText("after", examples("vtepctl config diff"))
    .action(async (file?: string) => {
      const report = await checked(session, file);
      if (session.output.form !== "table") await printValue(session.output, report);
      else if (report.changes.length > 0) await write(changesText(report));
      else if (report.valid) await write(`${summary(report, TO_DO)}\n`);
      if (!report.valid) throw refusal(report);
    });
  config
    .command("reload")
    .description("take the daemon's file over, all of it or nothing; frames of what did not change are not touched")
    .addHelpText("after", examples("vtepctl config reload"))
    .action(async () => {
      const report = await ask<CheckReport>(session.socket, "/v1/config/reload", "POST", {
        timeoutMs: SLOW_MS,
        also: [422],
      });
      if (session.output.form !== "table") await printValue(session.output, report);
      else if (report.valid) await write(changesText(report), `${applied(report)}\n`);
      if (!report.valid) throw refusal(report);
    });
}

function checked(session: Session, file: string | undefined): Promise<CheckReport> {
  const body = file === undefined ? {} : { file: resolve(file) };
  return ask<CheckReport>(session.socket, "/v1/config/check", "POST", { body, timeoutMs: SLOW_MS });
}

const SIGNS = { add: "+", remove: "-", change: "~" } as const;

function changesText({ changes, needsRestart }: CheckReport): string {
  const lines = changes.map(({ action, kind, name, details }) => {
    const restart = kind === "setting" && needsRestart.includes(name) ? "  (needs a restart)" : "";
    const texts = details.map(detailText);
    // One detail stands beside its object, several below it.
    const beside = texts.length === 1 ? `: ${texts[0]}` : "";
    const below = texts.length > 1 ? texts.map((text) => `    ${text}\n`).join("") : "";
    return `${SIGNS[action]} ${kind} ${printable(name)}${beside}${restart}\n${below}`;
  });
  return lines.join("");
}

/** `vni 10 -> 11`, `tunnels - border`. */
function detailText({ path, from, to }: CheckReport["changes"][number]["details"][number]): string {
  const key = path === "" ? "" : `${path} `;
  if (from !== null && to !== null) return printable(`${key}${from} -> ${to}`);
  if (from !== null) return printable(`${key}- ${from}`);
  return printable(to === null ? path : `${key}+ ${to}`);
}

const TO_DO = { add: "to add", remove: "to remove", change: "to change" } as const;
const DONE = { add: "added", remove: "removed", change: "changed" } as const;

/** How many of each kind, or that there is none. */
function summary({ changes, needsRestart }: CheckReport, words: Readonly<Record<keyof typeof SIGNS, string>>): string {
  const count = (wanted: string) => changes.filter(({ action }) => action === wanted).length;
  const counts = Object.entries(words).map(([action, word]) => `${count(action)} ${word}`);
  const text = changes.length === 0 ? "no difference to what runs" : counts.join(", ");
  return needsRestart.length === 0 ? text : `${text}; needs a restart: ${needsRestart.join(", ")}`;
}

function applied(report: CheckReport): string {
  return report.changes.length === 0 ? summary(report, DONE) : `applied: ${summary(report, DONE)}`;
}

/** The errors as `vtepd check` prints them: place, line, caret, fix. */
function refusal({ file, reason, errors }: CheckReport): Refusal {
  const blocks = errors.map((error) => {
    const place = error.line === 0 ? error.file : `${error.file}:${error.line}:${error.column}`;
    const path = error.path === "" ? "" : `${error.path}: `;
    const lines = [`${place}: ${path}${error.message} [${error.rule}]`];
    if (error.line > 0) {
      const gap = " ".repeat(String(error.line).length);
      lines.push(`  ${error.line} | ${error.text}`, `  ${gap} | ${" ".repeat(error.caret)}${"^".repeat(error.span)}`);
    }
    if (error.fix !== "") lines.push(`  fix: ${error.fix}`);
    return lines.join("\n");
  });
  const hint =
    errors.length > 0
      ? "mend the file; vtepctl config check tells what is left"
      : "put back what cannot change while the daemon runs, or restart it";
  const message = [`${file}: refused, nothing has changed: ${reason}`, ...blocks].join("\n\n");
  return new Refusal("config_invalid", message, hint, EXIT.configInvalid);
}
