/** Keys of the underlay: the address that the sockets are bound to, and how datagrams leave. */
import { z } from "zod";
import { readVtep } from "./address.ts";
import { flag, int, mtu, read } from "./field.ts";

export const underlay = z
  .strictObject({
    address: read(readVtep).describe("VTEP address, IPv4 or IPv6; the sockets are bound to it. Needs a restart."),
    port: int(1, 65535).default(4789).describe("UDP port of VXLAN (RFC 7348). Needs a restart."),
    mtu: mtu(626, 65535).default("auto").describe("IP MTU of the underlay in bytes; auto reads the egress device"),
    sourcePorts: z
      .strictObject({
        first: int(49152, 65535).default(49152).describe("first outer source port"),
        count: int(1, 256)
          .optional()
          .describe("how many, one socket each; default: 4 for each worker; first + count - 1 is at most 65535"),
      })
      .prefault({})
      .describe("pool of outer UDP source ports; the inner flow chooses one. Needs a restart."),
    checksum: z
      .enum(["auto", "on", "zero"])
      .default("auto")
      .describe("outer UDP checksum; zero excludes udpGso. Needs a restart."),
    acceptZeroChecksum: z
      .boolean()
      .optional()
      .describe(
        "over IPv6, take datagrams whose outer UDP checksum is zero (RFC 6935); default: where checksum is zero. Over IPv4 they are always taken. Needs a restart.",
      ),
    dscp: z
      .union([z.literal("copy"), int(0, 63)])
      .default("copy")
      .describe("outer DSCP: copy of the inner one, or a number 0..63"),
    strictReserved: flag(false).describe("drop datagrams with reserved VXLAN bits set, as Linux does; else count them"),
    managementVni: int(1, 16777215)
      .default(1)
      .describe(
        "VNI of BFD inside VXLAN (bfd.mode: vxlan), which is no VSI's; 1 is RFC 8971's default; same at both ends",
      ),
    offload: z
      .strictObject({
        tapTso: flag(true).describe("take TCP super-frames from TAPs"),
        tapUso: flag(true).describe("take UDP super-frames from TAPs"),
        coalesce: flag(true).describe("join received segments of a flow before they enter a TAP"),
        udpGso: z.boolean().optional().describe("send batches with UDP_SEGMENT; default: true unless checksum is zero"),
        udpGro: flag(true).describe("receive batches with UDP_GRO"),
      })
      .prefault({})
      .describe("switches for the kernel's segmentation offloads. Needs a restart."),
  })
  .describe("the outside of every tunnel");
