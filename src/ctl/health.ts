/** `vtepctl health`, `vtepctl log level` and `vtepctl show features`: what scripts and supervisors ask. */
import { Argument, type Command } from "commander";
import type { LogLevel, Status } from "../api/schema.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { printValue, type Session } from "./output.ts";
import { write } from "./terminal.ts";

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

export function addHealth(program: Command, session: Session): void {
  program
    .command("health")
    .description("exit code 0: ready; 7: not ready; 3: no daemon answers")
    .option("--quiet", "print nothing")
    .addHelpText("after", examples("vtepctl health --quiet && echo well"))
    .action(async ({ quiet }: { quiet?: boolean }) => {
      const isQuiet = quiet === true;
      const { ready, missing } = await ask<Status>(session.socket, "/v1/status").catch((error) => {
        throw isQuiet && error instanceof Refusal ? new Refusal(error.code, "", "", error.exit) : error;
      });
      if (!isQuiet) {
        if (session.output.form !== "table") await printValue(session.output, { ready, missing });
        else if (ready) await write("ready\n");
      }
      if (ready) return;
      const message = isQuiet ? "" : `not ready: ${missing.join("; ")}`;
      throw new Refusal("unhealthy", message, isQuiet ? "" : "vtepctl status tells more", EXIT.unhealthy);
    });
}

export function addLog(program: Command, session: Session): void {
  program
    .command("log")
    .description("the daemon's log")
    .command("level")
    .description("show or set the least severe level that is logged; the next reload sets the file's again")
    .addArgument(new Argument("[level]", "the new one").choices([...LEVELS]))
    .addHelpText("after", examples("vtepctl log level", "vtepctl log level debug"))
    .action(async (level?: string) => {
      const answer =
        level === undefined
          ? await ask<LogLevel>(session.socket, "/v1/log")
          : await ask<LogLevel>(session.socket, "/v1/log", "PUT", { body: { level } });
      if (session.output.form !== "table") return await printValue(session.output, answer);
      await write(`${answer.level}\n`);
    });
}
