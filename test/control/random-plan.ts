/** Random configurations for the twins: every one is valid, and any two have much in common. */
import fc from "fast-check";
import { plan } from "./topology-bed.ts";

const four = <T>(each: fc.Arbitrary<T>) => fc.array(each, { minLength: 4, maxLength: 4 });

/** Small choices, so that names, VNIs, devices and addresses meet again and again. */
const CHOICES = fc.record({
  remotes: fc.shuffledSubarray(["192.0.2.2", "192.0.2.3", "192.0.2.4"]),
  vnis: fc.shuffledSubarray([10, 20, 30, null]),
  members: four(fc.subarray([0, 1, 2])),
  bound: four(fc.boolean()),
  vrfs: four(fc.constantFrom("main", "red")),
  macs: four(fc.constantFrom("auto", "shared", '"02:00:00:00:aa:01"')),
  net: four(fc.integer({ min: 1, max: 2 })),
  selective: four(fc.boolean()),
  hosts: four(fc.integer({ min: 0, max: 2 })),
  acs: fc.array(
    fc.record({
      vsi: fc.integer({ min: 0, max: 3 }),
      device: fc.constantFrom("tap0", "tap1", "tap2"),
      vlan: fc.constantFrom("untagged", 5, 6),
      storm: fc.constantFrom(0, 100),
    }),
    { maxLength: 5 },
  ),
  hops: fc.integer({ min: 0, max: 3 }),
  rules: fc.integer({ min: 0, max: 2 }),
});

export const anyPlan = CHOICES.map((chosen) => {
  const { remotes, vnis, members, bound, vrfs, macs, net, selective, hosts, hops, rules } = chosen;
  const tunnelsOf = (i: number) => (vnis[i] === null ? [] : members[i]!.filter((n) => n < remotes.length));
  const circuits = new Set<string>();
  const acs = chosen.acs.filter(({ vsi, device, vlan }) => {
    const circuit = `${device} ${vlan}`;
    if (vsi >= vnis.length || circuits.has(circuit)) return false;
    circuits.add(circuit);
    return true;
  });
  /** A port of VSI i, for static entries. */
  const portOf = (i: number): string | null => {
    const ac = acs.findIndex((each) => each.vsi === i);
    if (ac >= 0) return `ac: a${ac}`;
    return tunnelsOf(i).length > 0 ? `tunnel: t${tunnelsOf(i)[0]}` : null;
  };
  const entries = (i: number, write: (n: number, port: string) => string): string => {
    const port = portOf(i);
    return port === null ? "" : Array.from({ length: hosts[i]! }, (_, n) => write(n, port)).join(", ");
  };

  const vsiLines = vnis.map((vni, i) => {
    const overlay = vni === null ? "" : `, vni: ${vni}, tunnels: [${tunnelsOf(i).map((n) => `t${n}`)}]`;
    const flood = selective[i] ? `, flood: {selective: ["01:00:5e:00:00:05"]}` : "";
    const pins = entries(i, (n, port) => `{mac: "02:00:00:00:01:0${n}", ${port}}`);
    return `  - {name: v${i}${overlay}${flood}, mac: {static: [${pins}]}}`;
  });
  const gateways = vnis.map((_, i) => i).filter((i) => bound[i]);
  const interfaceLines = gateways.map((i) => {
    const subnet = `10.${i}.${net[i]}`;
    const pins = entries(i, (n, port) => `{ip: ${subnet}.${20 + n}, mac: "02:00:00:00:02:0${n}", ${port}}`);
    const address = `address: ${subnet}.1/24, mac: ${macs[i]}, vrf: ${vrfs[i]}`;
    return `  - {name: i${i}, vsi: v${i}, ${address}, arp: {static: [${pins}]}}`;
  });
  const acLines = acs.map(
    ({ vsi, device, vlan, storm }, i) =>
      `  - {name: a${i}, vsi: v${vsi}, tap: {device: ${device}}, vlan: ${vlan}, stormPerSecond: ${storm}}`,
  );

  const sections: [string, string[]][] = [
    ["tunnels", remotes.map((remote, i) => `  - {name: t${i}, remote: ${remote}}`)],
    ["vsis", vsiLines],
    ["interfaces", interfaceLines],
    ["acs", acLines],
  ];
  const first = gateways[0];
  if (first !== undefined && hops > 0) {
    const hop = (n: number) => `10.${first}.${net[first]}.${n}`;
    const nextHops = Array.from({ length: hops }, (_, n) => hop(20 + n));
    sections.push(["routes", [`  - {prefix: 0.0.0.0/0, vrf: ${vrfs[first]}, nextHops: [${nextHops}]}`]]);
    const steps = Array.from({ length: rules }, (_, n) => `{match: {}, nextHop: ${hop(21 + n)}}`);
    if (rules > 0) sections.push(["policies", [`  - {name: p, interfaces: [i${first}], rules: [${steps}]}`]]);
  }
  const text = sections
    .filter(([, lines]) => lines.length > 0)
    .map(([name, lines]) => [`${name}:`, ...lines].join("\n"));
  return plan(`${text.join("\n")}\n`);
});
