/**
 * `vtepctl arp|nd|mac add|del|flush`: single entries of the neighbour and MAC tables.
 *
 * What is added here lives until it is removed or flushed, until its port goes, or until the daemon ends; what shall
 * stay belongs into the configuration. A flush forgets what was learned or added; what lives is learned again.
 */
import { type Command, Option } from "commander";
import type { Flushed } from "../api/schema.ts";
import { plural } from "../wire/plural.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { printValue, type Session } from "./output.ts";
import { write } from "./terminal.ts";

interface Behind {
  readonly ac?: string;
  readonly tunnel?: string;
}

const PROTOCOLS = [
  { verb: "arp", says: "change the ARP tables", host: "10.1.1.9", family: "4" },
  { verb: "nd", says: "change the neighbour tables of IPv6", host: "2001:db8:10::9", family: "6" },
] as const;

const LIVES = "\nAn added entry lives until del or flush, until its port goes, or until the daemon ends.\n";

export function addEntries(program: Command, session: Session): void {
  const flushed = async (path: string, what: string) => {
    const answer = await ask<Flushed>(session.socket, path, "DELETE");
    if (session.output.form !== "table") return await printValue(session.output, answer);
    await write(`${plural(answer.removed, what)} removed\n`);
  };
  const add = async (path: string, body: Readonly<Record<string, string>> & Behind, text: string) => {
    if ((body.ac === undefined) === (body.tunnel === undefined))
      throw new Refusal("usage", "behind what is it?", "write --ac NAME or --tunnel NAME", EXIT.usage);
    const answer = await ask<unknown>(session.socket, path, "POST", { body });
    if (session.output.form !== "table") return await printValue(session.output, answer);
    await write(`${text} added\n`);
  };

  for (const protocol of PROTOCOLS) addNeighbors(protocol);
  function addNeighbors({ verb, says, host, family }: (typeof PROTOCOLS)[number]): void {
    const arp = program.command(verb).description(says);
    behind(arp.command("add"))
      .description("pin an IP to a MAC behind an AC or a tunnel")
      .argument("<ip>")
      .argument("<mac>")
      .requiredOption("--interface <name>", "the VSI-interface in whose subnet it is")
      .option("--vsi <name>", "the VSI, where the VSI-interface has several and it is behind a tunnel")
      .addOption(origin())
      .addHelpText(
        "after",
        LIVES + examples(`vtepctl ${verb} add ${host} 02:00:00:00:00:09 --interface vsi-interface10 --ac vm1`),
      )
      .action((ip: string, mac: string, options: { interface: string; vsi?: string; origin?: string } & Behind) => {
        const body = { ip, mac, ...only(options, "interface", "vsi", "ac", "tunnel", "origin") };
        return add("/v1/neighbors", body, `${ip} at ${mac}`);
      });
    arp
      .command("del")
      .description("remove one neighbour, learned or added")
      .argument("<ip>")
      .requiredOption("--interface <name>", "its VSI-interface")
      .addHelpText("after", examples(`vtepctl ${verb} del ${host} --interface vsi-interface10`))
      .action(async (ip: string, { interface: on }: { interface: string }) => {
        const path = `/v1/neighbors${query({ interface: on, ip })}`;
        const answer = await ask<Flushed>(session.socket, path, "DELETE");
        if (answer.removed === 0) {
          const hint = `vtepctl show ${verb} lists them; configured ones go with the configuration, those of EVPN with their routes`;
          throw new Refusal("not_found", `${on} has no neighbour ${ip} that could be removed`, hint, EXIT.notFound);
        }
        if (session.output.form !== "table") return await printValue(session.output, answer);
        await write(`${ip} removed\n`);
      });
    arp
      .command("flush")
      .description("forget neighbours that were learned or added by hand, and suppressed hosts")
      .option("--interface <name>", "only those of one VSI-interface")
      .option("--vsi <name>", "only what suppression answers for in one VSI")
      .option("--ip <address>", "only this one; needs --interface or --vsi")
      .addHelpText("after", examples(`vtepctl ${verb} flush`, `vtepctl ${verb} flush --interface vsi-interface10`))
      .action((scope: { interface?: string; vsi?: string; ip?: string }) =>
        flushed(`/v1/neighbors${query({ ...only(scope, "interface", "vsi", "ip"), family })}`, "neighbour"),
      );
  }

  const mac = program.command("mac").description("change the MAC tables");
  behind(mac.command("add"))
    .description("pin a MAC to an AC or a tunnel")
    .argument("<mac>")
    .requiredOption("--vsi <name>", "the VSI")
    .addOption(origin())
    .addHelpText("after", LIVES + examples("vtepctl mac add 02:00:00:00:00:09 --vsi vsi10 --ac vm1"))
    .action((address: string, options: { vsi: string; origin?: string } & Behind) =>
      add("/v1/macs", { mac: address, ...only(options, "vsi", "ac", "tunnel", "origin") }, address),
    );
  mac
    .command("del")
    .description("remove one MAC, learned or added")
    .argument("<mac>")
    .requiredOption("--vsi <name>", "its VSI")
    .addHelpText("after", examples("vtepctl mac del 02:00:00:00:00:09 --vsi vsi10"))
    .action(async (address: string, { vsi }: { vsi: string }) => {
      const path = `/v1/macs/${encodeURIComponent(vsi)}/${encodeURIComponent(address)}`;
      const answer = await ask<Flushed>(session.socket, path, "DELETE");
      if (session.output.form !== "table") return await printValue(session.output, answer);
      await write(`${address} removed\n`);
    });
  mac
    .command("flush")
    .description("forget MACs that were learned or added by hand")
    .option("--vsi <name>", "only those of one VSI")
    .addHelpText("after", examples("vtepctl mac flush --vsi vsi10"))
    .action((scope: { vsi?: string }) => flushed(`/v1/macs${query(only(scope, "vsi"))}`, "MAC"));
}

/** What an entry counts as; evpn is for tests, and for hosts that no route tells of. */
function origin(): Option {
  const text = "static outranks all that is heard; evpn, behind a tunnel, yields to what an AC says";
  return new Option("--origin <origin>", text).choices(["static", "evpn"]);
}

function behind(command: Command): Command {
  return command
    .addOption(new Option("--ac <name>", "behind this AC").conflicts("tunnel"))
    .addOption(new Option("--tunnel <name>", "behind this tunnel"));
}

/** Of an options object, these keys: the shared options are no part of a question. */
function only<T extends object, K extends keyof T & string>(options: T, ...keys: readonly K[]): Record<string, string> {
  const given = keys.filter((key) => options[key] !== undefined).map((key) => [key, String(options[key])] as const);
  return Object.fromEntries(given);
}

function query(scope: Record<string, string>): string {
  return Object.keys(scope).length === 0 ? "" : `?${new URLSearchParams(scope)}`;
}
