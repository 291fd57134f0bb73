/** VSI-interfaces without a topology: for tests of what only reads the inventory. */
import { type InterfaceObject, Inventory } from "../../src/control/inventory.ts";
import type { InterfaceConfig, Prefix4 } from "../../src/control/plan.ts";
import { maskOf, parseIpv4 } from "../../src/wire/ipv4.ts";

/** "10.1.1.0/24" */
export function prefix(text: string): Prefix4 {
  const [address = "", length = ""] = text.split("/");
  return { text, network: parseIpv4(address)! & maskOf(Number(length)), length: Number(length) };
}

export function address(text: string) {
  return { text, ip: parseIpv4(text)! };
}

/** An interface `name` on row `row` of `vrf` with one address such as "10.1.1.1/24". */
export function interfaceObject(name: string, row: number, text: string, vrf = 0, vrfName = "main"): InterfaceObject {
  const [own = ""] = text.split("/");
  const config: InterfaceConfig = {
    name,
    vsis: [],
    addresses: [{ ...address(own), prefix: prefix(text) }],
    linkLocal: null,
    naSource: "gateway",
    gleanFrom: "any",
    mac: "auto",
    distributed: true,
    vrf: vrfName,
    mtu: "auto",
    arp: { ageSeconds: 1200, limit: 4096, static: [] },
    icmpSource: null,
    icmpSource6: null,
    dhcpRelay: null,
    dhcpRelay6: null,
    routerAdvertisement: null,
    mssClamp: true,
  };
  const { network, length } = prefix(text);
  const subnets = [{ address: parseIpv4(own)!, network, length }];
  const addresses = { subnets, linkLocal: 0n, borrowed: 0, borrowed6: 0n };
  return { row, name, config, vrf, vrfName, mac: 0x020000000001, mtu: 1450, ...addresses, vsis: [] };
}

export function inventoryOf(...interfaces: readonly InterfaceObject[]): Inventory {
  const inventory = new Inventory();
  for (const each of interfaces) inventory.addInterface(each);
  return inventory;
}
