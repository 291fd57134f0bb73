/** `vtepctl arp|mac flush`: forget what was learned; what is configured stays, what lives is learned again. */
import type { Command } from "commander";
import type { Flushed } from "../manage/api-schema.ts";
import { ask } from "./client.ts";
import { printValue, type Session, write } from "./output.ts";

export function addFlush(program: Command, session: Session): void {
  const flush = async (path: string, scope: Record<string, string | undefined>, what: string) => {
    const given = Object.entries(scope).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const query = given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
    const flushed = await ask<Flushed>(session.socket, `${path}${query}`, "DELETE");
    if (session.output.form !== "table") return await printValue(session.output, flushed);
    await write(`${flushed.removed} ${what} removed\n`);
  };
  program
    .command("arp")
    .description("change the ARP tables")
    .command("flush")
    .description("forget learned neighbours")
    .option("--interface <name>", "only those of one VSI-interface")
    .option("--ip <address>", "only this one; needs --interface")
    .action((scope: { interface?: string; ip?: string }) => flush("/v1/neighbors", scope, "neighbours"));
  program
    .command("mac")
    .description("change the MAC tables")
    .command("flush")
    .description("forget learned MACs")
    .option("--vsi <name>", "only those of one VSI")
    .action((scope: { vsi?: string }) => flush("/v1/macs", scope, "MACs"));
}
