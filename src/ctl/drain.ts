/** `vtepctl drain|undrain`: peers leave a Border or central gateway as their next hop before it is touched, and come back. */
import type { Command } from "commander";
import type { Draining } from "../api/drain.ts";
import { ask } from "./client.ts";
import { examples } from "./examples.ts";
import { printValue, type Session } from "./output.ts";
import { write } from "./terminal.ts";

export function addDrainVerbs(program: Command, session: Session): void {
  program
    .command("drain")
    .description("ask peers to leave this gateway as their next hop; it goes on forwarding, and `undrain` ends it")
    .addHelpText("after", examples("vtepctl drain", "vtepctl undrain"))
    .action(() => change(session, "drain", "peers leave: their next-hop probes are not answered"));
  program
    .command("undrain")
    .description("end a drain: peers take this gateway as their next hop again")
    .addHelpText("after", examples("vtepctl undrain"))
    .action(() => change(session, "undrain", "peers may come back"));
}

async function change(session: Session, verb: "drain" | "undrain", said: string): Promise<void> {
  const answer = await ask<Draining>(session.socket, `/v1/${verb}`, "POST", {});
  if (session.output.form !== "table") await printValue(session.output, answer);
  else await write(`${answer.changed ? said : `nothing changed: ${unchangedText(verb, answer)}`}\n`);
}

function unchangedText(verb: "drain" | "undrain", { draining }: Draining): string {
  if (verb === "drain") return "it drains already";
  return draining ? "its track is down (vtepctl show track)" : "it did not drain";
}
