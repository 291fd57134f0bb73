/**
 * The plan written as a file again: what `vtepctl config get` prints can be read, kept, and given to `vtepd run`.
 *
 * The inverse of resolve.ts: reading it gives the same plan, with every default spelled out. What the plan holds
 * for control alone (addresses as numbers, the overhead of the address family) does not appear; what is absent is left out.
 */
import type {
  AcConfig,
  BridgePortName,
  Config,
  InterfaceConfig,
  NextHopConfig,
  PolicyConfig,
  PortRange,
  Prefix,
  RouteConfig,
  RuleConfig,
  StaticNeighbor,
  TunnelConfig,
  VsiConfig,
} from "../control/plan.ts";
import type { EvpnConfig, VrfConfig } from "../control/plan-evpn.ts";
import type { TrackConfig } from "../control/plan-tracks.ts";

type Form = Readonly<Record<string, unknown>>;

/** `config` as the keys of a file. */
export function fileForm(config: Config): Form {
  const { address, family: _, overhead: _overhead, ...underlay } = config.underlay;
  return present({
    node: config.node,
    underlay: { address, ...underlay },
    tunnels: config.tunnels.map((tunnel) => ({ ...tunnelForm(tunnel), ...unwatched(tunnel, config) })),
    vsis: config.vsis.filter((each) => !isL3(each)).map(vsiForm),
    interfaces: config.interfaces.filter((each) => !isL3(each)).map(interfaceForm),
    vrfs: config.vrfs.map(vrfForm),
    acs: config.acs.map(acForm),
    routes: config.routes.map(routeForm),
    policies: config.policies.map(policyForm),
    nextHopProbe: config.nextHopProbe,
    tracks: config.tracks.map(trackForm),
    drain: present(config.drain),
    bfd: config.bfd,
    limits: config.limits,
    evpn: config.evpn === null ? null : evpnForm(config.evpn),
    workers: workersForm(config.workers),
    control: controlForm(config.control),
    attach: config.attach,
    metrics: config.metrics === null ? null : { listen: listenText(config.metrics), hosts: config.metrics.hosts },
    stateDirectory: config.stateDirectory,
    log: config.log,
  });
}

function controlForm({ socket, observe }: Config["control"]): Form {
  return present({ socket, observe: observe === null ? null : present(observe) });
}

function evpnForm({ peers, ...rest }: EvpnConfig): Form {
  const peerForm = ({ address, as, passwordFile }: NonNullable<EvpnConfig["peers"]>[number]) =>
    present({ address, as, password: passwordFile === null ? null : { file: passwordFile } });
  return present({ ...rest, peers: peers?.map(peerForm) ?? null });
}

/** The short way where it says all. */
function workersForm({ count, priority, cpus }: Config["workers"]): number | Form {
  return priority === "auto" && cpus === null ? count : present({ count, priority, cpus });
}

/** Without what is null. */
function present(form: object): Form {
  return Object.fromEntries(Object.entries(form).filter(([, value]) => value !== null));
}

/** Said where all others have it. */
function unwatched({ bfd }: TunnelConfig, all: Config): Form {
  return bfd === null && all.bfd !== null ? { bfd: false } : {};
}

export function tunnelForm(tunnel: TunnelConfig): Form {
  return present(tunnel);
}

const portForm = ({ kind, name }: BridgePortName): Form => ({ [kind]: name });

/** Was it made of a VRF's L3VNI? */
export function isL3(object: VsiConfig | InterfaceConfig): boolean {
  return "addresses" in object ? object.addresses.length === 0 : object.l3vrf !== null;
}

export function vrfForm(vrf: VrfConfig): Form {
  return { ...vrf };
}

export function vsiForm({
  interface: _,
  l3vrf: _vrf,
  isRelayed: _relayed,
  isRelayed6: _relayed6,
  tunnels,
  mac,
  ...rest
}: VsiConfig): Form {
  const pins = mac.static.map((entry) => ({ mac: entry.mac, ...portForm(entry.port) }));
  // A local VSI has no tunnels; an empty list there would be refused.
  return present({ ...rest, tunnels: rest.vni === null ? null : tunnels, mac: { ...mac, static: pins } });
}

export function interfaceForm(object: InterfaceConfig): Form {
  const { addresses, linkLocal, icmpSource, icmpSource6, routerAdvertisement: ra, arp, ...others } = object;
  const { dhcpRelay, dhcpRelay6, ...rest } = others;
  const servers = [...(dhcpRelay?.servers ?? []), ...(dhcpRelay6?.servers ?? [])].map(({ text }) => text);
  const neighbor = ({ text, mac, port, vsi }: StaticNeighbor): Form => ({
    ip: text,
    mac,
    ...portForm(port),
    ...(port.kind === "tunnel" ? { vsi } : {}),
  });
  return present({
    ...rest,
    address: addresses.map(({ text, prefix }) => `${text}/${prefix.length}`),
    linkLocal: typeof linkLocal === "string" ? linkLocal : (linkLocal?.text ?? null),
    neighbors: { ...arp, static: arp.static.map(neighbor) },
    icmpSource: oneOrList([icmpSource, icmpSource6].flatMap((own) => (own === null ? [] : [own.text]))),
    routerAdvertisement: ra && { ...ra, dns: ra.dns.map(({ text }) => text) },
    dhcpRelay: servers.length === 0 ? null : { servers, option82: dhcpRelay?.option82 ?? true },
  });
}

function oneOrList(texts: readonly string[]): unknown {
  return texts.length < 2 ? (texts[0] ?? null) : texts;
}

export function acForm({ tap, handover, vlan, ...rest }: AcConfig): Form {
  return present({
    ...rest,
    tap: tap === null ? null : present(tap),
    handover: handover ? true : null,
    vlan: vlan ?? "untagged",
  });
}

export function routeForm({ vrf, prefix, target }: RouteConfig): Form {
  return { prefix: prefix.text, ...targetForm(target), vrf };
}

function targetForm(target: RouteConfig["target"]): Form {
  if (target.kind !== "nextHops" && target.kind !== "vrf") return { action: target.kind };
  const nextHops = target.nextHops.map(hopForm);
  if (target.kind === "nextHops") return { nextHops };
  return { viaVrf: target.vrf, ...(nextHops.length > 0 && { nextHops }) };
}

function hopForm({ text, weight, priority, track, tunnel }: NextHopConfig): unknown {
  const isPlain = weight === 1 && priority === 1 && track === null && tunnel === null;
  return isPlain ? text : present({ ip: text, weight, priority, track, tunnel });
}

export function trackForm({ name, target }: TrackConfig): Form {
  if (target.kind === "ac") return { name, ac: target.ac };
  if (target.kind === "underlay") return { name, icmp: target.address, ...target.pace };
  const { address, interface: iface, via, pace } = target;
  return present({ name, icmp: address.text, interface: iface, via: via?.text ?? null, ...pace });
}

export function policyForm({ name, interfaces, rules }: PolicyConfig): Form {
  return { name, interfaces, rules: rules.map(ruleForm) };
}

function wayForm({ kind, nextHops, onDead }: Extract<RuleConfig["action"], { nextHops: unknown }>): Form {
  const forms = nextHops.map(hopForm);
  const way = forms.length === 1 && typeof forms[0] === "string" ? { [kind]: forms[0] } : { [`${kind}s`]: forms };
  return onDead === "drop" ? { ...way, onDead } : way;
}

function ruleForm({ match, action }: RuleConfig): Form {
  const prefixes = (list: readonly Prefix[]) => (list.length === 0 ? null : list.map(({ text }) => text));
  const ports = (list: readonly PortRange[]) => (list.length === 0 ? null : list.map(rangeForm));
  const way = "nextHops" in action ? wayForm(action) : { action: action.kind };
  return {
    match: present({
      source: prefixes(match.sources),
      destination: prefixes(match.destinations),
      protocol: match.protocol,
      sourcePorts: ports(match.sourcePorts),
      destinationPorts: ports(match.destinationPorts),
    }),
    ...way,
  };
}

const rangeForm = ({ first, last }: PortRange) => (first === last ? first : `${first}-${last}`);

function listenText({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
