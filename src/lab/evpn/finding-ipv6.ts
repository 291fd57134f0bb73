/** The hosts and prefixes of the fabric by IPv6: the same routes of type 2 and 5 as of IPv4, with longer addresses. */
import type { LabState } from "../state.ts";
import { addHostsIpv6 } from "./bed.ts";
import { BORDER, LEAF } from "./fabric.ts";
import { hostRows, pingRow, prefixRows } from "./finding.ts";
import type { FabricPart, FabricRow, FabricStep } from "./rows.ts";

export async function findIpv6(state: LabState, firstStep: number): Promise<FabricPart> {
  await addHostsIpv6(state);
  const steps: FabricStep[] = [];
  const step = async (text: string, ...rows: (() => Promise<FabricRow | FabricRow[]>)[]) => {
    const seen: FabricRow[] = [];
    for (const row of rows) seen.push(...[await row()].flat());
    steps.push({ number: firstStep + steps.length, text, rows: seen });
  };
  const pinged = (from: string, to: string, hopLimit: number) => () => pingRow(state, from, to, hopLimit, 6);
  const told = (name: string, seenAt: string) => () => hostRows(state, name, seenAt, 6);
  await step(
    "the same subnet, by type 2: solicitations are answered out of routes",
    pinged("vm1", "vm4", 64),
    pinged("vm1", "h10", 64),
    told("vm1", "gw2"),
    told("vm4", "gw1"),
    told("vm1", LEAF.name),
  );
  await step(
    "another subnet: as by IPv4, each make in its own way",
    pinged("vm1", "vm5", 63),
    pinged("vm1", "h20", 62),
    pinged("h10", "vm2", 63),
    told("h20", "gw1"),
    told("vm2", LEAF.name),
  );
  await step(
    "the outside, by the Border's ::/0 (type 5)",
    () => prefixRows(state, "::", 0, BORDER, "gw1"),
    () => prefixRows(state, "::", 0, BORDER, LEAF.name),
    pinged("vm1", "ext", 62),
    pinged("h10", "ext", 62),
    pinged("ext", "vm4", 62),
  );
  await step(
    "a subnet that the leaf alone has",
    () => prefixRows(state, "2001:db8:60::", 64, LEAF, "gw1"),
    pinged("vm1", "h60", 62),
    pinged("h60", "vm5", 62),
    pinged("ext", "h60", 62),
  );
  return { title: "Hosts and prefixes by IPv6", steps };
}
