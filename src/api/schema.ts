/**
 * What the API says, as zod schemas: answers are built to these types, the OpenAPI document is made from them, and
 * vtepctl reads them (as types alone).
 *
 * Rules: a list is never null and is sorted; an absent thing is `null`; units are in the names; addresses and MACs are
 * text. Keys are only ever added.
 */
import { z } from "@hono/zod-openapi";
import { watched } from "./schema-bfd.ts";
import { bypassedBy, nextHop, wayCounts } from "./schema-next-hop.ts";
import { Probe, Probing } from "./schema-probe.ts";

const names = z.array(z.string());
const traffic = z.object({ packets: z.number(), bytes: z.number() }).openapi("Traffic");
const both = { receive: traffic, transmit: traffic };
const via = z
  .object({ kind: z.enum(["ac", "tunnel"]), name: z.string() })
  .nullable()
  .describe("the bridge port behind which it is; null: nowhere, or here");

export const Fault = z
  .object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) })
  .openapi("Fault");

export const Status = z
  .object({
    ready: z.boolean(),
    missing: names.describe("what readiness waits for, in words"),
    node: z.string(),
    version: z.string(),
    nodeVersion: z.string(),
    pid: z.int(),
    uptimeSeconds: z.number(),
    bootId: z.string().describe("of this run of the daemon: all counts and numbers begin anew with another one"),
    startedAt: z.string().describe("RFC 3339, UTC"),
    sockets: z
      .array(
        z.object({
          name: z.enum(["control", "observe", "attach"]),
          path: z.string(),
          group: z
            .string()
            .nullable()
            .describe("of the observe socket: whose members may use it; null: the daemon's own"),
          readOnly: z.boolean(),
        }),
      )
      .describe("Unix sockets that are open"),
    underlay: z.object({
      address: z.string(),
      port: z.int(),
      mtu: z.int(),
      device: z.string().describe("the interface that has the address"),
      problem: z.string().nullable().describe("why nothing is sent or received by it; null: it is up"),
    }),
    workers: z.int(),
    stuckWorkers: z
      .array(z.object({ worker: z.int(), seconds: z.number() }))
      .describe("forwarding threads without progress for 2 s and longer; after 10 s the process ends"),
    counts: z.object({
      vsis: z.int(),
      acs: z.int(),
      acsUp: z.int(),
      tunnels: z.int(),
      tunnelsUp: z.int().optional().describe("frames are sent into them"),
      interfaces: z.int(),
      macs: z.int(),
      neighbors: z.int(),
      routes: z.int(),
      policies: z.int(),
      ...wayCounts,
    }),
    config: z.object({ file: z.string(), lastReloadSuccessful: z.boolean(), needsRestart: names }),
    probing: Probing,
    ledger: z
      .object({
        dataplane: z.object({
          received: z.number(),
          injected: z.number(),
          copies: z.number(),
          sent: z.number(),
          punted: z.number(),
          dropped: z.number(),
          imbalance: z.number().describe("0, but for frames of the batch in work"),
        }),
        control: z.object({
          drained: z.number(),
          consumed: z.number(),
          reinjected: z.number(),
          dropped: z.number(),
          held: z.number(),
          imbalance: z.number(),
        }),
      })
      .describe("every frame has one fate: what came in and what became of it, in wire packets"),
  })
  .openapi("Status");

export const Vsi = z
  .object({
    name: z.string(),
    vni: z.int().nullable(),
    interface: z.string().nullable(),
    arp: z.enum(["localProxy", "suppress", "flood"]),
    acs: names,
    tunnels: names,
    macs: z.int(),
    ...both,
  })
  .openapi("Vsi");

export const Ac = z
  .object({
    name: z.string(),
    vsi: z.string(),
    device: z.string().nullable(),
    netns: z.string().nullable(),
    vlan: z.int().nullable(),
    mtu: z.int(),
    up: z.boolean(),
    linkDown: z.boolean().optional().describe("it has its TAP, but the VM has set its interface down"),
    ...both,
  })
  .openapi("Ac");

export const Tunnel = z
  .object({
    name: z.string(),
    remote: z.string(),
    up: z.boolean().describe("frames are sent into it"),
    state: z
      .enum(["up", "down", "unwatched"])
      .describe("unwatched: frames are sent, and nothing asks whether anybody is there"),
    mtu: z.int().describe("longest inner IP packet, bytes"),
    vsis: names,
    ...watched,
    probe: Probe,
    turnedAway: z
      .number()
      .optional()
      .describe("packets from it dropped before they were in a VSI: an unknown VNI, bad flags, a wrong checksum"),
    ...both,
  })
  .openapi("Tunnel");

export const Interface = z
  .object({
    name: z.string(),
    vsis: names,
    addresses: names,
    mac: z.string(),
    vrf: z.string(),
    distributed: z.boolean(),
    mtu: z.int(),
    policy: z.string().nullable(),
    neighbors: z.int(),
  })
  .openapi("Interface");

export const MacEntry = z
  .object({
    vsi: z.string(),
    mac: z.string(),
    via,
    origin: z.enum(["learned", "static", "gateway", "flood", "evpn"]),
    ageSeconds: z.number().nullable().describe("since it was last learned or used; null where nothing ages"),
  })
  .openapi("MacEntry");

export const Neighbor = z
  .object({
    interface: z.string().nullable().describe("null: a suppressed host in a VSI without VSI-interface"),
    vsi: z.string().nullable().describe("null while unresolved"),
    vrf: z.string().nullable().optional().describe("of its VSI-interface; null: it has none"),
    ip: z.string(),
    mac: z.string().nullable().describe("null while unresolved"),
    state: z.string(),
    kind: z.enum(["host", "gateway", "static", "suppressed"]),
    via,
    ageSeconds: z.number().nullable(),
    from: z.string().nullable().describe("what it was learned from"),
  })
  .openapi("Neighbor");

export const Route = z
  .object({
    vrf: z.string(),
    prefix: z.string(),
    origin: z.string(),
    action: z.string(),
    interface: z.string().nullable(),
    viaVrf: z.string().nullable().optional().describe("where next hops are, or the look-up goes on; null: its own"),
    nextHops: z.array(nextHop),
  })
  .openapi("Route");

export const Policy = z
  .object({
    name: z.string(),
    interfaces: names,
    rules: z.array(
      z.object({
        match: z.string(),
        action: z.string(),
        alive: z.boolean().nullable().describe("does any next hop live? null: it has none"),
        nextHops: z.array(nextHop).optional().describe("in one VRF, if there are several"),
        bypassedBy,
        hits: z.number(),
      }),
    ),
  })
  .openapi("Policy");

export const DropCount = z
  .object({
    reason: z.string(),
    count: z.number(),
    text: z.string(),
    last: z
      .object({
        secondsAgo: z.int(),
        via,
        vsi: z.string().nullable(),
        taps: names.describe("ACs of the TAP it came by, where no AC matched it"),
        outer: z
          .string()
          .nullable()
          .describe("outer source of a datagram that is in no VSI; null: another frame, or a known peer over IPv6"),
        outerPort: z.int().nullable().describe("its UDP source port, where the sender is not known"),
        vni: z.int().nullable().describe("of a datagram that is in no VSI"),
        flags: z.int().nullable().describe("the first byte of its VXLAN header"),
        frame: z.string(),
      })
      .nullable()
      .describe("the last frame; null: none was dropped, or what was refused was no frame"),
    ports: z
      .array(
        z.object({
          via: via.describe("null: of no port, of one that is gone, or of those that the list leaves out"),
          count: z.number(),
          last: z
            .object({
              at: z.string().describe("RFC 3339, UTC"),
              vsi: z.string().nullable(),
              vni: z.int().nullable().describe("that it came with, or of its VSI"),
              outer: z.string().nullable().describe("the other VTEP's address, where it came or went by a tunnel"),
              frame: z.string(),
            })
            .nullable()
            .describe("the last frame; null: later ones of other ports took its place, or its port is not told"),
        }),
      )
      .describe("where, most first; at most 64"),
  })
  .openapi("DropCount");

export const Change = z
  .object({
    action: z.enum(["add", "remove", "change"]),
    kind: z.string().describe("tunnel, vsi, interface, ac, route, policy, setting"),
    name: z.string(),
    details: z
      .array(
        z.object({
          path: z.string().describe("key inside the object; of a list, once for each element that comes or goes"),
          from: z.string().nullable().describe("null: it was not there"),
          to: z.string().nullable().describe("null: it is not there any more"),
        }),
      )
      .describe("of a change: what of it"),
  })
  .openapi("Change");

export const CheckReport = z
  .object({
    file: z.string(),
    valid: z.boolean().describe("false: nothing is, or would be, changed"),
    reason: z.string().nullable().describe("why not, in one sentence"),
    errors: z.array(
      z.object({
        file: z.string(),
        line: z.int().describe("1-based; 0: the file as a whole"),
        column: z.int(),
        path: z.string(),
        rule: z.string(),
        message: z.string(),
        fix: z.string(),
        text: z.string().describe("the line"),
        caret: z.int(),
        span: z.int(),
      }),
    ),
    changes: z.array(Change).describe("from what runs to the file"),
    needsRestart: names.describe("settings that this process does not follow"),
  })
  .openapi("CheckReport");

export const CheckRequest = z.object({ file: z.string().max(4096).optional() }).openapi("CheckRequest");

const behind = { ac: z.string().optional(), tunnel: z.string().optional().describe("one of ac and tunnel") };
const origin = z
  .enum(["static", "evpn"])
  .optional()
  .describe("static (default) outranks all that is heard; evpn, behind a tunnel, yields to what an AC says");
export const NewMac = z.object({ vsi: z.string(), mac: z.string(), ...behind, origin }).openapi("NewMac");
export const NewNeighbor = z
  .object({
    interface: z.string(),
    ip: z.string(),
    mac: z.string(),
    ...behind,
    vsi: z.string().optional().describe("needed behind a tunnel where the VSI-interface has several"),
    origin,
  })
  .openapi("NewNeighbor");

export const LogLevel = z
  .object({ level: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]) })
  .openapi("LogLevel");

export const Scheduling = z
  .object({
    priority: z.string().describe("asked for: auto, normal, nice N or fifo N"),
    group: z.object({
      kind: z.enum(["cgroup", "session", "none"]).describe("what the kernel weighs against other groups"),
      text: z.string().describe("which, and its weight"),
    }),
    threads: z.array(
      z.object({
        worker: z.int(),
        priority: z.string().describe("in force: nice N or fifo N"),
        cpus: z.string().describe("processors it may run on, as the kernel lists them"),
        refused: z.array(z.string()).describe("what was asked for and is not in force, and why"),
        runDelay: z
          .number()
          .nullable()
          .describe("part of the last ten seconds in which it waited for a processor, 0..1; null: not counted"),
      }),
    ),
  })
  .openapi("Scheduling");

export const Features = z
  .object({
    offloads: z.array(
      z.object({
        name: z.string(),
        wanted: z.boolean().describe("by the configuration"),
        inUse: z.boolean().describe("by every worker"),
      }),
    ),
    probes: z.array(
      z.object({
        offload: z.string().describe("what it was asked for"),
        outcome: z.enum(["ok", "reduced", "refused", "unknown", "off"]),
        text: z.string().describe("what was found at the start, or why nothing was"),
      }),
    ),
    fallbacks: z.array(z.object({ cause: z.string(), count: z.number() })),
    workers: z.array(
      z.object({
        worker: z.int(),
        receiveBuffer: z.int().describe("bytes the kernel granted"),
        receiveDrops: z.number().describe("datagrams lost in it"),
      }),
    ),
    scheduling: Scheduling,
    memory: z.object({
      resident: z.int().describe("bytes, Node's own text and all else that other processes have too among them"),
      proportional: z
        .int()
        .nullable()
        .describe("with that divided by those who share it (PSS); null: not told by this kernel"),
    }),
  })
  .openapi("Features");

export const Flushed = z.object({ removed: z.int() }).openapi("Flushed");

export type Fault = z.infer<typeof Fault>;
export type Status = z.infer<typeof Status>;
export type Traffic = z.infer<typeof traffic>;
export type Vsi = z.infer<typeof Vsi>;
export type Ac = z.infer<typeof Ac>;
export type Tunnel = z.infer<typeof Tunnel>;
export type Interface = z.infer<typeof Interface>;
export type MacEntry = z.infer<typeof MacEntry>;
export type Neighbor = z.infer<typeof Neighbor>;
export type Route = z.infer<typeof Route>;
export type Policy = z.infer<typeof Policy>;
export type DropCount = z.infer<typeof DropCount>;
export type Change = z.infer<typeof Change>;
export type CheckReport = z.infer<typeof CheckReport>;
export type NewMac = z.infer<typeof NewMac>;
export type NewNeighbor = z.infer<typeof NewNeighbor>;
export type LogLevel = z.infer<typeof LogLevel>;
export type Scheduling = z.infer<typeof Scheduling>;
export type Features = z.infer<typeof Features>;
export type Flushed = z.infer<typeof Flushed>;
