/** Rules between values: bindings of ACs, and antiSpoof: strict. */
import type { Report, Sections } from "./rules-l2.ts";
import { addressesOf, vsisOf } from "./subnets.ts";

/** Bindings of all ACs together: each is up to three rows of the table (tables/bindings.ts), and leases need some too. */
const MAX_BINDINGS = 16_384;

export function checkSecurity(s: Sections, report: Report): void {
  if (s.acs === null || s.interfaces === null) return;
  const homes = new Map(s.interfaces.flatMap((each) => vsisOf(each).map((vsi) => [vsi, each] as const)));
  /** By network and address: the first AC that has it. */
  const bound = new Map<string, string>();
  let count = 0;
  for (const [index, ac] of s.acs.entries()) {
    const iface = homes.get(ac.vsi);
    const path = ["acs", index];
    if (ac.antiSpoof === "strict" && ac.bindings.length === 0 && iface?.dhcpRelay === undefined) {
      const message = `nothing could be sent: ${ac.name} has no bindings, and its DHCP is not relayed`;
      const fix = "add bindings: [{mac: MAC, ip: ADDRESS}], or dhcpRelay to the VSI-interface";
      report([...path, "antiSpoof"], "strict-without-bindings", message, fix);
    }
    if (ac.bindings.length > 0 && ac.antiSpoof !== "strict") {
      const message = `nothing is compared with them without antiSpoof: strict, which ${ac.name} has not: it may send from any address`;
      report([...path, "bindings"], "bindings-without-strict", message, "antiSpoof: strict, or no bindings", "key");
    }
    if (ac.slaac > 0 && ac.antiSpoof !== "strict") {
      const message = `only what is bound may be sent with antiSpoof: strict, which ${ac.name} has not: slaac changes nothing`;
      report([...path, "slaac"], "slaac-without-strict", message, "antiSpoof: strict, or no slaac");
    } else if (ac.slaac > 0 && !(iface !== undefined && addressesOf(iface).some(({ text }) => text.includes(":")))) {
      const message = `${ac.name} can make no address: there is no IPv6 subnet at ${ac.vsi}`;
      report(
        [...path, "slaac"],
        "slaac-without-ipv6",
        message,
        "give the VSI-interface an IPv6 address, or remove slaac",
      );
    }
    const own = new Set(iface === undefined ? [] : addressesOf(iface).map(({ text }) => text));
    for (const [at, { ip }] of ac.bindings.entries()) {
      const place = [...path, "bindings", at, "ip"];
      const network = `${iface?.name ?? ac.vsi} ${ip}`;
      const other = bound.get(network);
      if (own.has(ip))
        report(place, "binding-is-gateway", `${ip} is the address of ${iface!.name}`, "name the host's address");
      else if (other !== undefined && other !== ac.name && !ip.startsWith("fe80:"))
        report(place, "duplicate-binding", `${ip} is bound to AC ${other} too`, "one AC has an address");
      bound.set(network, other ?? ac.name);
      count++;
    }
  }
  if (count > MAX_BINDINGS)
    report(
      ["acs"],
      "too-many-bindings",
      `${count} bindings are more than ${MAX_BINDINGS}`,
      "use several gateways",
      "key",
    );
}
