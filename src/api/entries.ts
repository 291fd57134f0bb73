/**
 * Entries that an operator adds and removes by hand while the gateway runs.
 *
 * They are pins like those of the configuration (control/topology/pins.ts), and live until they are removed or flushed, until what they
 * are on or behind goes away, or until the daemon ends. The configuration's own entries, and gateway MACs, win: they
 * can be changed in the file only. What routes of EVPN say stays as they say it: it would not be told again. Whatever makes no
 * sense is refused with the words that mend it.
 */
import { portText } from "../control/event.ts";
import {
  type InterfaceObject,
  type Inventory,
  isOwnAddress,
  isPortOf,
  type PortObject,
  subnetOf,
  type VsiObject,
} from "../control/inventory.ts";
import { type Family, type Ip, isHostIn, parseIp } from "../control/ip.ts";
import type { Pins } from "../control/topology/pins.ts";
import { formatMac, isGroup, type Mac, parseMac } from "../wire/ethernet.ts";
import type { Refused } from "./change.ts";
import type { NewMac, NewNeighbor } from "./schema.ts";
import type { ShownParts } from "./shown.ts";

type Found<T> = { readonly value: T } | { readonly refused: Refused };

const bad = (message: string, hint: string): { refused: Refused } => ({ refused: { status: 400, message, hint } });
const absent = (what: string, kind: string): { refused: Refused } => ({
  refused: { status: 404, message: `there is no ${what}`, hint: `vtepctl show ${kind} lists them` },
});
const conflict = (message: string, hint: string): Refused => ({ status: 409, message, hint });

const BEHIND_TUNNELS = bad("an entry of origin evpn is behind a tunnel", "name the tunnel").refused;

export class ManualEntries {
  private readonly inventory: Inventory;
  private readonly pins: Pins;
  private readonly agent: ShownParts["agent"];

  constructor({ inventory, topology, agent }: ShownParts) {
    this.inventory = inventory;
    this.pins = topology.pins;
    this.agent = agent;
  }

  addMac({ vsi, mac, ac, tunnel, origin }: NewMac): Refused | null {
    const at = this.vsi(vsi);
    if ("refused" in at) return at.refused;
    const address = macOf(mac);
    if ("refused" in address) return address.refused;
    const port = this.port(ac, tunnel, at.value);
    if ("refused" in port) return port.refused;
    if (origin !== "evpn")
      return whyNot(this.pins.addMac(at.value, address.value, port.value), formatMac(address.value));
    if (port.value.kind === "ac") return BEHIND_TUNNELS;
    const { macs } = this.agent;
    if (macs.saidBy(at.value, address.value) === "evpn") return whyNot("routes", mac);
    return whyNot(macs.want("hand", at.value, address.value, port.value) ? "added" : "full", mac);
  }

  removeMac(vsi: string, mac: string): Refused | null {
    const at = this.vsi(vsi);
    if ("refused" in at) return at.refused;
    const address = macOf(mac);
    if ("refused" in address) return address.refused;
    const { macs } = this.agent;
    if (this.pins.removeMac(at.value, address.value)) return null;
    if (macs.unwant("hand", at.value, address.value) || macs.delete(at.value, address.value)) return null;
    if (this.pins.isConfigured(at.value, address.value)) return whyNot("configured", mac);
    if (macs.saidBy(at.value, address.value) === "evpn") return whyNot("routes", mac);
    return absent(`MAC ${mac} in VSI ${vsi}`, "mac").refused;
  }

  addNeighbor({ interface: name, ip, mac, ac, tunnel, vsi: vsiName, origin }: NewNeighbor): Refused | null {
    const iface = this.inventory.interface(name);
    if (iface === undefined) return absent(`VSI-interface ${name}`, "interface").refused;
    const host = hostOf(iface, ip);
    if ("refused" in host) return host.refused;
    const address = macOf(mac);
    if ("refused" in address) return address.refused;
    const vsi = this.vsiOf(iface, vsiName, ac);
    if ("refused" in vsi) return vsi.refused;
    const port = this.port(ac, tunnel, vsi.value);
    if ("refused" in port) return port.refused;
    if (origin !== "evpn")
      return whyNot(this.pins.addNeighbor(iface, host.value, address.value, port.value, vsi.value), ip);
    if (port.value.kind === "ac") return BEHIND_TUNNELS;
    const place = { mac: address.value, port: port.value, vsi: vsi.value };
    const { candidates } = this.agent.neighbors;
    if (candidates.saidBy(iface, host.value) === "evpn") return whyNot("routes", ip);
    return whyNot(candidates.want("hand", iface, host.value, place) ? "added" : "full", ip);
  }

  /** Added MACs go: of one VSI, or all. @returns how many. */
  flushMacs(vsi: string | null): number {
    const only = vsi === null ? null : (this.inventory.vsi(vsi) ?? null);
    return this.pins.flushMacs(only) + this.agent.macs.flushByHand(only);
  }

  /** Added neighbours go: of one VSI-interface, one of them, or all. @returns how many. */
  flushNeighbors(name: string | null, ip: string | null, family: Family | null = null): number {
    const iface = name === null ? null : (this.inventory.interface(name) ?? null);
    const only = ip === null ? null : parseIp(ip);
    const said = this.agent.neighbors.candidates.flushByHand(iface, only, family);
    return this.pins.flushNeighbors(iface, only, family) + said;
  }

  private vsi(name: string): Found<VsiObject> {
    const vsi = this.inventory.vsi(name);
    return vsi === undefined ? absent(`VSI ${name}`, "vsi") : { value: vsi };
  }

  private vsiOf(iface: InterfaceObject, name: string | undefined, ac: string | undefined): Found<VsiObject> {
    const wanted = name ?? (ac === undefined ? undefined : this.inventory.ac(ac)?.vsi.name) ?? iface.vsis[0]?.name;
    const vsi = iface.vsis.find((each) => each.name === wanted);
    if (vsi !== undefined) return { value: vsi };
    return bad(
      `VSI ${wanted} is not one of ${iface.name}'s`,
      `name one of ${iface.vsis.map((each) => each.name).join(", ")}`,
    );
  }

  private port(ac: string | undefined, tunnel: string | undefined, vsi: VsiObject): Found<PortObject> {
    if ((ac === undefined) === (tunnel === undefined))
      return bad("it needs one of ac and tunnel", "say behind what it is");
    const kind = ac === undefined ? "tunnel" : "ac";
    const port = this.inventory.port(kind, (ac ?? tunnel)!);
    if (port === undefined) return absent(portText({ kind, name: (ac ?? tunnel)! }), kind);
    if (isPortOf(port, vsi)) return { value: port };
    return bad(`${portText(port)} is not in VSI ${vsi.name}`, "vtepctl show vsi tells what is");
  }
}

function macOf(text: string): Found<Mac> {
  const mac = parseMac(text.toLowerCase());
  if (mac === null) return bad(`"${text}" is no MAC`, "write six bytes: 02:00:00:00:00:01");
  if (mac === 0 || isGroup(mac)) return bad(`${text} is no host's MAC`, "zero and group addresses belong to no host");
  return { value: mac };
}

function hostOf(iface: InterfaceObject, text: string): Found<Ip> {
  const ip = parseIp(text);
  if (ip === null) return bad(`"${text}" is no IP address`, "write 10.1.1.11, or 2001:db8:10::11");
  if (isOwnAddress(iface, ip)) return bad(`${text} is the gateway itself`, "name a host");
  const subnet = subnetOf(iface, ip);
  if (subnet !== null && !isHostIn(ip, subnet.length)) return bad(`${text} is no host's address`, "name a host");
  if (subnet !== null) return { value: ip };
  return bad(`${text} is in no subnet of ${iface.name}`, "vtepctl show interface tells its addresses");
}

function whyNot(outcome: "added" | "configured" | "routes" | "full", what: string): Refused | null {
  if (outcome === "added") return null;
  if (outcome === "routes")
    return conflict(`routes of EVPN say where ${what} is`, "it goes with them: vtepctl show evpn routes");
  if (outcome === "configured") {
    return conflict(`${what} is configured, or a gateway's`, "change the file and run vtepctl config reload");
  }
  return conflict(
    `there is no room for ${what}`,
    "the table is full: flush it, or raise its limit in the configuration",
  );
}
