/**
 * The gateway MAC of a VSI-interface (D1).
 *
 * The article gives every gateway a MAC of its own ("the MAC of VSI-interface10 on GW1"); vendors ask for the same MAC
 * on all of them. Both are offered, and neither may ever be random: a gateway that comes back after a crash with another
 * MAC leaves every host of its site with a dead ARP entry.
 *
 *   auto     02:hh:hh:hh:hh:hh   40 bits of SHA-256 over the node's name and the VNI: per gateway, stable over restarts
 *   shared   02:00:5e:vv:vv:vv   the VNI itself: the same on every gateway, and readable in a capture
 *   else     the MAC as configured
 *
 * A VSI-interface without any VNI (an uplink) is known by its own name instead. All derived MACs are locally
 * administered and unicast (IEEE 802 §8.2.2: 0x02 set, 0x01 clear), so they never meet a vendor's.
 */
import { createHash } from "node:crypto";
import { type Mac, parseMac } from "../wire/ethernet.ts";

const SHARED_PREFIX = 0x02005e000000;

/**
 * The gateway MAC of VSI-interface `name` on `node`.
 * @param setting "auto", "shared", or the MAC's text.
 * @param vni of its first VSI that has one, or null.
 */
export function gatewayMac(setting: string, node: string, vni: number | null, name: string): Mac {
  if (setting === "auto") return derived(`${node}\0${vni ?? `interface ${name}`}`);
  if (setting === "shared") return vni === null ? derived(`\0interface ${name}`) : SHARED_PREFIX + vni;
  const mac = parseMac(setting);
  if (mac === null) throw new Error(`gateway MAC ${setting}: not a MAC (the plan is checked before it comes here)`);
  return mac;
}

/** 02 and five bytes of hash. 02:00:5e is left to the shared ones. */
function derived(seed: string): Mac {
  const hash = createHash("sha256").update(`vtepd gateway MAC\0${seed}`).digest();
  const mac = 0x020000000000 + hash.readUIntBE(0, 5);
  return Math.floor(mac / 0x1000000) === SHARED_PREFIX / 0x1000000 ? mac + 0x1000000 : mac;
}
