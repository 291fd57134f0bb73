/**
 * The configuration file as one zod schema: which keys exist, what they may hold, their defaults, and what they mean.
 *
 * This is the truth that everything else is made from: the parser, the JSON Schema of `vtepd schema` (so the
 * descriptions are the manual), the list of known keys behind "did you mean". A schema looks at one value at a time;
 * rules between values are in `rules-l2.ts` and `rules-l3.ts`, and defaults that depend on another key
 * (said in the description) in `resolve.ts`.
 *
 * Objects are strict: a misspelt key must never be a silently ignored wish.
 *
 * Text that means an address, a MAC or a range leaves the schema parsed, in the form of `control/plan.ts`.
 */
import { z } from "zod";
import { DEFAULT_VRF } from "../control/inventory.ts";
import { readBound, readGateway, readLinkLocal, readListen, readMacText, readVtep } from "./address.ts";
import {
  bytesOf,
  directoryPath,
  flag,
  host,
  hostMac,
  hostName,
  int,
  matching,
  mtu,
  name,
  read,
  socketPath,
} from "./field.ts";
import { bfd, tunnelBfd } from "./schema-bfd.ts";
import { evpn, vrf, vsiEvpn } from "./schema-evpn.ts";
import { routerAdvertisement } from "./schema-ra.ts";
import { drain, nextHopProbe, policy, route } from "./schema-routes.ts";
import { MOST_TRACKS, track } from "./schema-tracks.ts";
import { underlay } from "./schema-underlay.ts";
import { workers } from "./schema-workers.ts";

/** Ports of the I/O contract (io/port-io.ts MAX_IO_PORTS), less the number 0, which is no port. */
export const MAX_BRIDGE_PORTS = 4095;

/** A name as groupadd(8) makes it, or a number. */
const groupName = () =>
  z.union([
    matching(/^([A-Za-z_][A-Za-z0-9_.-]{0,31}|\d{1,10})$/, "is no name of a group", "write its name, or its number"),
    int(0, 4294967294).transform(String),
  ]);

const observe = z.union([
  socketPath(),
  z.strictObject({
    socket: socketPath().describe("Unix socket that answers reads and what-if traces, and refuses whatever changes"),
    group: groupName().optional().describe("group that may use it; absent: the daemon's own"),
  }),
]);

/** Linux dev_valid_name(), and "%", which TUNSETIFF takes for a template. */
const deviceName = () =>
  read<string>((text) => {
    const fix = "use 1 to 15 bytes without blanks, slashes, colons or %";
    if (bytesOf(text) > 15) return { wrong: `"${text}" is longer than the 15 bytes of a Linux device name`, fix };
    const good = /^[^\s/:%\0]+$/.test(text) && text !== "." && text !== "..";
    return good ? { value: text } : { wrong: `"${text}" is no name of a Linux device`, fix };
  });

/** The name where there is one: a TAP in a namespace of two spellings is one TAP. */
const netnsName = () =>
  read<string>((text) => {
    const name = /^(?:\/run\/netns\/)?((?!\.\.?$)[A-Za-z0-9._-]{1,255})$/.exec(text)?.[1];
    if (name !== undefined || /^\/[^\0]+$/.test(text)) return { value: name ?? text };
    const fix = "write its name under /run/netns, or an absolute path";
    return { wrong: `"${text}" names no network namespace`, fix };
  });

const tunnel = z
  .strictObject({
    name: name().describe("name of the tunnel"),
    remote: read(readVtep).describe("address of the remote VTEP"),
    keepalive: z
      .strictObject({
        intervalMs: int(100, 60000).default(1000).describe("milliseconds between probes"),
        multiplier: int(2, 20).default(3).describe("lost probes until the tunnel is down"),
      })
      .optional()
      .describe("liveness probes"),
    bfd: tunnelBfd.optional(),
  })
  .describe("a VXLAN path to one remote VTEP");

const vsi = z
  .strictObject({
    name: name().describe("name of the VSI"),
    vni: int(1, 16777215).optional().describe("VXLAN network identifier; absent: a local VSI, an uplink"),
    tunnels: z
      .array(name())
      .max(MAX_BRIDGE_PORTS)
      .optional()
      .describe("names of tunnels; default: all (none where vni is absent, or evpn finds them)"),
    arp: z
      .enum(["localProxy", "suppress", "flood"])
      .optional()
      .describe(
        "what ARP requests and IPv6 neighbour solicitations (ND) from ACs get; default: suppress with evpn, localProxy for a VNI with a VSI-interface, else flood",
      ),
    proxyArp: z
      .enum(["immediate", "verified"])
      .default("immediate")
      .describe("answer ARP and ND for a host elsewhere at once, or once it is resolved"),
    relay: z
      .enum(["auto", "always"])
      .default("auto")
      .describe("always: relay an ARP request or ND solicitation from a tunnel even for a known host"),
    flood: z
      .strictObject({
        broadcast: flag(true).describe("flood broadcast"),
        unknownUnicast: flag(true).describe("flood unicast to an unknown MAC"),
        multicast: flag(true).describe("flood multicast, but for IPv6 neighbour discovery, which goes with broadcast"),
        selective: z
          .array(read((text) => readMacText(text, true)))
          .max(1024)
          .default([])
          .describe("MACs whose frames are flooded whatever the switches say"),
      })
      .prefault({})
      .describe("which classes of BUM frames are flooded"),
    linkLocal: z
      .enum(["bridge", "isolate"])
      .default("bridge")
      .describe("isolate: drop IPv6 of the link alone (fe80::/10, ff02::/16) from host to host"),
    innerVlan: z.enum(["drop", "keep"]).default("drop").describe("802.1Q tags inside VXLAN (RFC 7348 §6.1)"),
    mac: z
      .strictObject({
        ageSeconds: int(1, 1000000).default(300).describe("seconds until an unused entry goes"),
        limit: int(1, 1048576).optional().describe("most entries; default: 8192, or limits.macs where that is less"),
        static: z
          .array(
            z.strictObject({
              mac: hostMac().describe("MAC of the host"),
              ac: name().optional().describe("the AC behind which it is"),
              tunnel: name().optional().describe("or the tunnel"),
            }),
          )
          .max(65536)
          .default([])
          .describe("entries that are never learned, moved or aged"),
      })
      .prefault({})
      .describe("the MAC table"),
    evpn: vsiEvpn.optional(),
  })
  .describe("a virtual switch instance: one L2 domain");

/** How a VSI-interface keeps its neighbours. */
const neighborTable = z.strictObject({
  ageSeconds: int(5, 1000000).default(1200).describe("seconds until a neighbour is probed and, if silent, goes"),
  limit: int(1, 1048576)
    .optional()
    .describe("most neighbours of a family; default: 4096, or limits.neighbors where that is less"),
  static: z
    .array(
      z.strictObject({
        ip: host().describe("address of the neighbour"),
        mac: hostMac().describe("its MAC"),
        ac: name().optional().describe("the AC behind which it is"),
        tunnel: name().optional().describe("or the tunnel"),
        vsi: name().optional().describe("its VSI; needed only with tunnel and several VSIs"),
      }),
    )
    .max(65536)
    .default([])
    .describe("neighbours that are never learned, probed or aged"),
});

/** What holds where a file says nothing of them. */
export const NEIGHBOR_TABLE = neighborTable.parse({});

const vsiInterface = z
  .strictObject({
    name: name().describe("name of the VSI-interface"),
    vsi: name().optional().describe("the VSI it is the gateway of"),
    vsis: z.array(name()).min(1).max(256).optional().describe("or several VSIs"),
    address: z
      .union([read(readGateway), z.array(read(readGateway)).min(1).max(64)])
      .describe(
        "gateway address with prefix length, IPv4 or IPv6, or a list; the first of a family is its primary one",
      ),
    linkLocal: z
      .union([z.literal("eui64"), read(readLinkLocal)])
      .optional()
      .describe(
        "link-local address, where it has IPv6: an address, or eui64 (of its MAC); default: fe80::1, the same on every gateway, and eui64 with distributed: false",
      ),
    naSource: z
      .enum(["gateway", "target"])
      .default("gateway")
      .describe("IPv6 source of neighbour advertisements for hosts: the gateway's address, or the host's"),
    gleanFrom: z
      .enum(["any", "overlay"])
      .default("any")
      .describe(
        "overlay: hosts that are not known are not looked for because of packets from an uplink (a VSI without a VNI)",
      ),
    mac: z
      .union([z.enum(["auto", "shared"]), hostMac()])
      .optional()
      .describe(
        "gateway MAC: auto (from node and VNI), shared (from the VNI alone, same on every gateway), or a MAC; default: auto, shared where a VSI has evpn",
      ),
    distributed: flag(true).describe("false: a central gateway or Border, which answers ARP and ND over tunnels too"),
    vrf: name()
      .default(DEFAULT_VRF)
      .describe("routing instance; nothing crosses to another one but by a route with viaVrf"),
    mtu: mtu(576, 65535)
      .default("auto")
      .describe("overlay IP MTU in bytes, with IPv6 at least 1280; auto: what the underlay leaves"),
    neighbors: neighborTable.optional().describe("the neighbour table, of ARP and ND"),
    arp: neighborTable.optional().describe("the same by its former name"),
    icmpSource: z
      .union([host(), z.array(host()).min(1).max(2)])
      .optional()
      .describe("a unique address of the subnet for ICMP errors and traffic of our own, or a list: one of each family"),
    dhcpRelay: z
      .strictObject({
        servers: z
          .array(host())
          .min(1)
          .max(8)
          .describe("servers, each of which is sent every request: of DHCP by IPv4, of DHCPv6 by IPv6"),
        option82: flag(true).describe(
          "tell those of DHCP where the client is, its subnet, and to renew here (RFC 3046)",
        ),
      })
      .optional()
      .describe(
        "relay the clients' DHCP to servers; a distributed VSI-interface needs icmpSource of the family for it",
      ),
    routerAdvertisement: routerAdvertisement.optional(),
    mssClamp: flag(true).describe("lower the MSS of TCP SYNs to what the MTU allows"),
  })
  .describe("a VSI-interface: the IP gateway of a VSI, with the same IP on every gateway");

const ac = z
  .strictObject({
    name: name().describe("name of the AC"),
    vsi: name().describe("the VSI it belongs to"),
    tap: z
      .strictObject({
        device: deviceName().describe("name of the Linux device, at most 15 bytes"),
        netns: netnsName().optional().describe("network namespace to create it in; default: the daemon's own"),
        mtu: mtu(576, 65535).default("auto").describe("MTU of the device in bytes; auto: that of the VSI"),
        persist: flag(true).describe("the device outlives the daemon"),
      })
      .optional()
      .describe("a TAP that vtepd creates"),
    handover: z
      .boolean()
      .optional()
      .describe("the TAP arrives over attach.socket (vtepctl attach), and may come and go"),
    vlan: z
      .union([z.literal("untagged"), int(1, 4094)])
      .default("untagged")
      .describe("802.1Q tag to match and strip, or untagged"),
    antiSpoof: z
      .union([z.boolean(), z.literal("strict")])
      .default(false)
      .describe(
        "true: drop packets from this AC whose source is outside the VSI-interface's subnets; strict: drop all that is not sent from its bindings",
      ),
    bindings: z
      .array(
        z.strictObject({
          mac: hostMac().describe("MAC of the host"),
          ip: read(readBound).describe("an address that it may send from, IPv4 or IPv6"),
        }),
      )
      .max(256)
      .default([])
      .describe("with antiSpoof: strict, who lives behind this AC, besides those with a DHCP lease by our relay"),
    slaac: int(0, 256)
      .default(0)
      .describe(
        "with antiSpoof: strict, so many IPv6 addresses that hosts make themselves are bound to this AC, first come; 0: none",
      ),
    routerAdvertisements: z
      .enum(["allow", "deny"])
      .optional()
      .describe(
        "IPv6 router advertisements and redirects from this AC; default: deny where the VSI has a VNI and a VSI-interface, else allow",
      ),
    stormPerSecond: int(0, 10000000)
      .default(0)
      .describe("broadcast, multicast and unknown unicast frames per second; 0: no limit"),
    storm: z
      .strictObject({
        broadcast: int(0, 10000000).default(0).describe("broadcast frames per second; 0: no limit"),
        unknownUnicast: int(0, 10000000)
          .default(0)
          .describe("unicast frames per second to MACs that are not known; 0: no limit"),
        multicast: int(0, 10000000).default(0).describe("multicast frames per second; 0: no limit"),
      })
      .prefault({})
      .describe("the same by class; stormPerSecond holds for all of them together"),
  })
  .describe("an attachment circuit: a TAP, or one VLAN of it, bound to a VSI");

const limits = z
  .strictObject({
    macs: int(16, 1048576).default(65536).describe("MAC entries in all. Needs a restart."),
    neighbors: int(16, 1048576).default(65536).describe("IPv4 neighbours in all. Needs a restart."),
    routes: int(1, 1048576).default(16384).describe("static IPv4 routes in all. Needs a restart."),
    neighbors6: int(16, 1048576).optional().describe("IPv6 neighbours in all; default: as neighbors. Needs a restart."),
    routes6: int(1, 1048576).optional().describe("static IPv6 routes in all; default: as routes. Needs a restart."),
    acMacs: int(1, 1048576).optional().describe("learned MACs of one AC; default: 1024, or macs where that is less"),
    puntPerSecond: int(10, 1000000).default(2000).describe("frames per second to the control plane"),
    puntPerAcPerSecond: int(1, 1000000)
      .default(500)
      .describe("of these, from one AC; a sixteenth of it is kept for each class of it"),
    searchesOfUplink: int(1, 1024)
      .default(512)
      .describe(
        "hosts of a family looked for at once because of packets from one uplink AC, of all uplinks together 512; from another port: 128",
      ),
    icmpPerSecond: int(0, 100000).default(1000).describe("ICMP errors per second in all"),
    icmpPerAcPerSecond: int(0, 100000).default(100).describe("of these, to one AC"),
  })
  .describe("sizes and rates that protect the gateway");

const list = <T extends z.ZodType>(item: T, most: number) => z.array(item).max(most).default([]);

/** The file. Each top-level key is a section that is checked by itself. */
export const FILE = z.strictObject({
  node: name().describe("name of this gateway; seeds the derived gateway MACs. Needs a restart."),
  underlay,
  tunnels: list(tunnel, MAX_BRIDGE_PORTS).describe("remote VTEPs"),
  vsis: list(vsi, 4096).describe("VSIs"),
  interfaces: list(vsiInterface, 4096).describe("VSI-interfaces"),
  vrfs: list(vrf, 256).describe("VRFs with an L3VNI (docs/evpn.md)"),
  acs: list(ac, MAX_BRIDGE_PORTS).describe("attachment circuits"),
  routes: list(route, 1048576).describe("static routes"),
  policies: list(policy, 4096).describe("policy routes"),
  nextHopProbe: nextHopProbe.prefault({}),
  tracks: list(track, MOST_TRACKS).describe("tracks: on what routes, policies and the drain depend"),
  drain,
  bfd: bfd.optional(),
  limits: limits.prefault({}),
  evpn: evpn.optional(),
  workers,
  control: z
    .strictObject({
      socket: socketPath().default("/run/vtepd/vtepd.sock").describe("Unix socket of the HTTP API. Needs a restart."),
      observe: observe
        .optional()
        .describe(
          "a second socket, for those who only look: a path, or socket and group; absent: none. Needs a restart.",
        ),
    })
    .prefault({})
    .describe("where vtepctl finds the daemon"),
  attach: z
    .strictObject({ socket: socketPath().describe("Unix socket for TAP hand-over") })
    .optional()
    .describe("TAP hand-over; absent: none. Needs a restart."),
  metrics: z
    .strictObject({
      listen: read(readListen)
        .prefault("127.0.0.1:9475")
        .describe("address:port of the TCP listener. Needs a restart."),
      hosts: list(hostName(), 64).describe(
        "names by which it may be asked, besides addresses, localhost, the node's name and the machine's",
      ),
    })
    .optional()
    .describe("Prometheus endpoint; absent: none"),
  stateDirectory: directoryPath()
    .optional()
    .describe(
      "folder for what outlives the process: DHCP leases; absent: systemd's StateDirectory, else none. Needs a restart.",
    ),
  log: z
    .strictObject({
      level: z
        .enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"])
        .default("info")
        .describe("least severe level that is logged"),
      format: z
        .enum(["auto", "json", "pretty"])
        .default("auto")
        .describe("auto: pretty on a terminal, else JSON lines. Needs a restart."),
    })
    .prefault({})
    .describe("log on stderr"),
});

/** What the schema makes of a good file. */
export type FileConfig = z.output<typeof FILE>;
