/**
 * One gateway, two Borders that are next hops of one route, and an outside that both reach:
 *
 *     vm1 - gw1 ==+== b1 - 50.1.1.1 -+
 *                 |                  | ext, 60.1.1.1 to 60.1.1.16
 *                 +== b2 - 50.1.2.1 -+
 *
 * Flows to the addresses of ext are spread over the Borders; what comes back comes by b2, so that only the way out is tried.
 */
import { until } from "../../src/lab/deadline.ts";
import { type ConfigObject, type Gateway, type Gateways, openGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

export const TARGETS = Array.from({ length: 16 }, (_, i) => `60.1.1.${i + 1}`);
/** Between two packets of a flow. */
export const EVERY_MS = 50;

export interface Borders {
  readonly gateways: Gateways;
  readonly gw1: Gateway;
  readonly b1: Gateway;
  readonly b2: Gateway;
  /**
   * Send to every target for `seconds`, and do `what` after the first of them. @returns the longest time that any flow went
   * unanswered, ms, and of how many packets how many were.
   */
  gap(seconds: number, what: () => Promise<unknown>): Promise<{ ms: number; lost: number; sent: number }>;
}

/** `route`: what gw1 has besides; its default is the two Borders as equal next hops. `inside`: the Borders' addresses. */
export async function openBorders(
  label: string,
  route: ConfigObject = { routes: [EQUAL] },
  inside: readonly [string, string] = ["10.1.1.2", "10.1.1.3"],
): Promise<Borders> {
  const gateways = await openGateways(label);
  const { bed } = gateways;
  const names = ["gw1", "b1", "b2"] as const;
  for (const name of [...names, "vm1", "ext"]) await bed.namespace(name);
  await bed.namespace("wire");
  await bed.ip("wire", "link add br0 type bridge", "link set dev br0 up");
  for (const [i, name] of names.entries()) {
    await bed.veth(name, "ul0", "wire", `to-${name}`);
    await bed.ip("wire", `link set dev to-${name} master br0`);
    await bed.ip(name, `addr add 192.0.2.${i + 1}/24 dev ul0`);
  }
  const tunnelsOf = (own: string) =>
    names.flatMap((name, i) => (name === own ? [] : [{ name, remote: `192.0.2.${i + 1}` }]));
  const common = (name: string, i: number) => ({
    underlay: { address: `192.0.2.${i}` },
    tunnels: tunnelsOf(name),
  });
  const border = (name: string, i: number) => ({
    ...common(name, i + 1),
    vsis: [{ name: "vsi10", vni: 10 }, { name: "uplink" }],
    interfaces: [
      { name: "inside", vsi: "vsi10", address: `${inside[i - 1]}/24`, distributed: false },
      { name: "outside", vsi: "uplink", address: `50.1.${i}.254/24`, distributed: false },
    ],
    acs: [{ name: "ext", vsi: "uplink", tap: { device: `eth${i}`, netns: bed.name("ext") } }],
    routes: [{ prefix: "60.1.1.0/24", nextHop: `50.1.${i}.1` }],
  });
  const b1 = await gateways.start("b1", border("b1", 1));
  const b2 = await gateways.start("b2", border("b2", 2));
  const gw1 = await gateways.start("gw1", {
    ...common("gw1", 1),
    vsis: [{ name: "vsi10", vni: 10 }],
    interfaces: [{ name: "vsi-interface10", vsi: "vsi10", address: "10.1.1.1/24" }],
    acs: [{ name: "vm1", vsi: "vsi10", tap: { device: "eth0", netns: bed.name("vm1") } }],
    ...route,
  });
  await bed.ip("vm1", "addr add 10.1.1.11/24 dev eth0", "link set dev eth0 up", "route add default via 10.1.1.1");
  await bed.must("ext", "sh", ["-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done"]);
  await bed.ip("ext", ...[1, 2].map((i) => `addr add 50.1.${i}.1/24 dev eth${i}`));
  await bed.ip("ext", "link set dev eth1 up", "link set dev eth2 up", "route add default via 50.1.2.254");
  await bed.ip("ext", ...TARGETS.map((ip) => `addr add ${ip}/32 dev lo`), "link set dev lo up");
  const answers = async (ip: string) => (await ping(bed, "vm1", ip, { count: 1, waitSeconds: 0.5 })).ttls.length > 0;
  for (const ip of TARGETS) await until(`an answer of ${ip}`, 10_000, () => answers(ip));
  return {
    gateways,
    ...{ gw1, b1, b2 },
    async gap(seconds, what) {
      const count = Math.round((seconds * 1000) / EVERY_MS);
      const args = (ip: string) => ["-i", String(EVERY_MS / 1000), "-c", String(count), "-W", "1", ip];
      const flows = TARGETS.map((ip) => bed.run("vm1", "ping", args(ip), (seconds + 20) * 1000));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await what();
      const outcomes = await Promise.all(flows);
      let ms = 0;
      let lost = 0;
      for (const { stdout } of outcomes) {
        const heard = [...stdout.matchAll(/icmp_seq=(\d+) ttl=/g)].map(([, n]) => Number(n));
        lost += count - new Set(heard).size;
        const ends = [0, ...heard, count + 1];
        for (let i = 1; i < ends.length; i++) ms = Math.max(ms, (ends[i]! - ends[i - 1]! - 1) * EVERY_MS);
      }
      return { ms, lost, sent: count * TARGETS.length };
    },
  };
}

export const EQUAL = { prefix: "0.0.0.0/0", nextHops: ["10.1.1.2", "10.1.1.3"] };
