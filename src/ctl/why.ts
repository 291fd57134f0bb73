/** `vtepctl why IP|MAC`: where is it, and why do we believe that? The daemon's own words. */
import { isIP } from "node:net";
import type { Command } from "commander";
import type { Why } from "../api/schema-why.ts";
import { printable } from "../wire/printable.ts";
import { ask, EXIT, Refusal } from "./client.ts";
import { examples } from "./examples.ts";
import { printValue, type Session } from "./output.ts";
import { write } from "./terminal.ts";

const MAC = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i;
/** As next hops of the link are written: fe80::2%vsi-interface10. */
const ZONED = /^([0-9a-f:.]+)%(.+)$/i;

export function addWhy(program: Command, session: Session): void {
  program
    .command("why")
    .description("where is an address or a MAC, from what do we know, and since when")
    .argument("<ip-or-mac>", "10.1.1.12, 2001:db8:10::12, or 02:00:00:00:01:12")
    .option("--interface <name>", "only on this VSI-interface")
    .option("--vsi <name>", "only in this VSI")
    .option("--vrf <name>", "only in this VRF: needed where several have the address")
    .addHelpText(
      "after",
      examples(
        "vtepctl why 10.1.1.12",
        "vtepctl why 2001:db8:10::12",
        "vtepctl why 02:00:00:00:01:12 --vsi vsi10",
        "vtepctl why 10.1.1.12 --vrf red",
      ),
    )
    .action(async (subject: string, scope: { interface?: string; vsi?: string; vrf?: string }) => {
      const [, address = subject, zone] = ZONED.exec(subject) ?? [];
      const kind = isIP(address) !== 0 ? "ip" : MAC.test(subject) ? "mac" : null;
      if (kind === null) {
        const hint =
          "write 10.1.1.12, 2001:db8:10::12 or 02:00:00:00:01:12; vtepctl show arp, show nd and show mac list those that are known";
        throw new Refusal("usage", `${subject} is neither an IP address nor a MAC`, hint, EXIT.usage);
      }
      const on = zone === undefined ? {} : { interface: zone };
      const why = await ask<Why>(
        session.socket,
        `/v1/why?${new URLSearchParams({ [kind]: address, ...on, ...scope })}`,
      );
      if (session.output.form !== "table") await printValue(session.output, why);
      else await write(why.sentences.map((sentence) => `${printable(sentence)}\n`).join(""));
    });
}
