/** The doctor about the DHCP relay: do the servers answer? */
import type { DhcpServer } from "../api/dhcp.ts";
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import { plural } from "../wire/plural.ts";

/** A client asks again after 4, 8 and 16 seconds (RFC 2131 §4.1): one that did so twice was not heard. */
const SILENT_SECONDS = 10;

/** @param sourceOf the address that a server answers to. */
export function checkDhcp(servers: readonly DhcpServer[], sourceOf: (server: DhcpServer) => string): Check[] {
  return servers.map((each) => {
    const { interface: iface, server, requests, replies, silentSeconds } = each;
    const name = `dhcp ${server}`;
    const counted = `${plural(requests, "request")} of ${iface}, ${plural(replies, "reply", "replies")}`;
    if (silentSeconds === null || silentSeconds < SILENT_SECONDS) return ok(name, counted);
    const fix = `does the server run, has it a range for the subnet of ${iface}, and a way back to ${sourceOf(each)}? vtepctl ping ${server} --interface ${iface}`;
    return warn(name, `${counted}; silent for ${silentSeconds} s`, fix);
  });
}
