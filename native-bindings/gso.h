// What a super-frame says about itself, and whether we believe it.
//
// From a TAP the metadata is a virtio_net_hdr written by a guest: untrusted. `gsoFromVnet` accepts it only where
// our own parse of the bytes says the same, and bounds the work it can cause (GSO_MIN_TCP_SIZE, GSO_MAX_UDP_SEGMENTS).
// From a tunnel there is no metadata at all, but a kernel VXLAN peer on the same host, or one whose frames crossed only
// virtual links, hands over whole super-frames with unfinished checksums: `gsoFromDatagram` recognises them
// (rules R1-R3, measured). virtio's `hdr_len` is never used: on a forwarded frame it can be the length of the first packet.
//
// UDP_GRO tells a segment size and not whose it is: of the VXLAN packets that a kernel joined, or of one tenant's UDP
// super-frame inside one packet. A tenant chooses every byte of the latter behind its first VXLAN header, its IP length
// included, so no look at the first frame can tell the two apart. A datagram is cut only where every piece begins with the
// eight VXLAN bytes of the first: then the worst a tenant gains is frames in its own VNI. It is taken for a super-frame
// only where no piece looks like a VXLAN packet: then nothing of another tenant can lie in it. What is neither is refused,
// and from then on the kernel cuts (receive.cc): it knows which of the two it was.
//
// A checksum is *unfinished* when the field holds only the folded pseudo-header sum (virtio NEEDS_CSUM, Linux
// CHECKSUM_PARTIAL) and somebody downstream must add the bytes.
#pragma once

#include <cstdint>

#include "layers.h"

namespace vtepd {

enum {
  /** The values of VIRTIO_NET_HDR_GSO_*, and of GSO_* in io/port-io.ts. */
  GSO_NONE = 0,
  GSO_TCPV4 = 1,
  GSO_TCPV6 = 4,
  GSO_UDP_L4 = 5,
  /** Or-ed into a virtio gso_type: CWR belongs on the first segment only. */
  GSO_ECN_BIT = 0x80,

  VNET_NEEDS_CSUM = 1,
  VNET_DATA_VALID = 2,

  /** Fewest payload bytes of a guest's TCP segment: an MSS of 48 (Linux' floor, TCP_MIN_SND_MSS) less 40 of options. A
   *  64 KiB super-frame is then 8 186 packets and 0.7 MB at most; one read of a TAP stops behind it (kTapVisitWireBytes). */
  GSO_MIN_TCP_SIZE = 8,
  /** Most segments of a UDP super-frame: UDP_MAX_SEGMENTS of Linux ≥ 6.9, so a few KB of headers at most. */
  GSO_MAX_UDP_SEGMENTS = 128,
  /** Largest l3At of a super-frame as it comes: the AC it leaves by may put one more tag in front, and it is parsed again then. */
  GSO_MAX_L3_AT = 14 + 4 * (LAYERS_MAX_TAGS - 1),
  /** Most bytes of headers of a super-frame. Ethernet + tags + IPv6 + TCP with full options is 126; the rest is extensions. */
  GSO_MAX_HEADER = 256,
};

/** Why metadata was refused: always gso_bad to the data plane, told apart for tests alone. */
enum GsoError {
  GSO_OK = 0,
  GSO_BAD_TYPE = -1,         // unknown type, or UFO, or not the protocol of the bytes
  GSO_BAD_FRAME = -2,        // our parse finds no whole TCP/UDP headers, or lengths that contradict the frame
  GSO_BAD_FRAGMENT = -3,     // a fragment or a routing header: no checksum of a part can be right
  GSO_BAD_CHECKSUM_AT = -4,  // csumStart/csumOffset are not those of the bytes, or out of bounds
  GSO_BAD_SIZE = -5,         // gsoSize 0, no payload, or a header longer than GSO_MAX_HEADER
  GSO_BAD_FLAGS = -6,        // SYN or RST on a TCP super-frame; GSO without NEEDS_CSUM
  GSO_BAD_COUNT = -7,        // more segments or bytes than the limits above
};

/** virtio_net_hdr as a TAP reads and writes it (machine byte order): 10 bytes; with TUNSETVNETHDRSZ 12 two more follow. */
struct VnetHeader {
  uint8_t flags;
  uint8_t gsoType;
  uint16_t hdrLen;
  uint16_t gsoSize;
  uint16_t csumStart;
  uint16_t csumOffset;
};
static_assert(sizeof(VnetHeader) == 10, "as the kernel has it");

/** Believed metadata. All offsets count from the Ethernet header. All zero (units 1) for an ordinary frame. */
struct Gso {
  /** GSO_*, without the ECN bit. */
  uint8_t type;
  /** 1: CWR belongs on the first segment only. */
  uint8_t ecn;
  /** 1: the checksum at csumStart + csumOffset is unfinished. Always 1 for a super-frame. */
  uint8_t needsCsum;
  /** Payload bytes of each segment but the last; 0 for an ordinary frame. */
  uint16_t size;
  uint16_t csumStart;
  /** Of the field, counted from csumStart (as virtio does): 16 for TCP, 6 for UDP. */
  uint16_t csumOffset;
  /** Wire packets the frame stands for, ≥ 1. */
  uint16_t units;
  /** Bytes of headers of a super-frame; a segment on the wire is at most header + size. 0 for an ordinary frame. */
  uint16_t header;
};

/**
 * Believe or refuse what a guest wrote. The frame must be contiguous, `length` bytes, without the vnet header.
 *  - no GSO, no NEEDS_CSUM: all zero.
 *  - NEEDS_CSUM alone: finishing the checksum later can never change a byte a decision was taken on. TCP (first fragments
 *    too): our own start and field. UDP: our own, or both in its payload, which is how a guest's tunnels leave theirs
 *    (VXLAN, Geneve, FOU, L2TP). ICMPv6, whose messages are read to the end (RFC 6105, RFC 7039): its own. Other IP: behind
 *    the IP header and the first two transport bytes (ICMP type and code). All of these inside the IP packet, and behind
 *    all tags that the data plane takes off or looks through. Not IP (MPLS, PPPoE): behind the EtherType. Never ARP nor
 *    LLC, never an IP packet whose lengths are wrong, never an IPv6 fragment or a chain of headers whose end is not found:
 *    no sender leaves a checksum there, and the fragment's offset or a header's type would be within reach.
 *  - GSO: NEEDS_CSUM required (virtio 1.2 §5.1.6.2), type must fit the protocol, IP length must equal the frame's, no
 *    fragment, no routing header, at most two tags, sizes within the limits. However small its segments, an honest
 *    super-frame passes.
 * Cheap enough (≈ 10 ns) to be called for every frame.
 */
int gsoFromVnet(const VnetHeader* vnet, const uint8_t* frame, uint32_t length, Gso* gso);

/**
 * The same validation for metadata that is ours already (a send record; segments of any size): refuses what contradicts
 * the bytes, fills units, header, csumStart, csumOffset. `head` bytes are contiguous, `length` counts the payload slices too. Used by segmentPlan.
 */
int gsoCheck(uint8_t type, int ecn, uint32_t size, const uint8_t* frame, uint32_t head, uint32_t length, Gso* gso,
             Layers* layers);

/** Back to the header a TAP write needs; 10 bytes, zero for an ordinary frame with a finished checksum. */
void gsoToVnet(const Gso* gso, VnetHeader* vnet);

enum {
  /** Of an encapsulated packet (RFC 7348 §5). */
  GSO_VXLAN_BYTES = 8,
  /** The shortest VXLAN packet: its header and an Ethernet header. */
  GSO_MIN_PIECE = GSO_VXLAN_BYTES + 14,
};

/** What gsoFromDatagram makes of a datagram. */
enum DatagramKind {
  /** One inner super-frame, which `gso` describes: give it and its frame to coalesceAdd as they are. */
  DATAGRAM_SUPER = 1,
  /** VXLAN packets, one every groSize bytes, all of one VNI; a single one where groSize is 0 or not less than the length. */
  DATAGRAM_PACKETS = 0,
  /** Either, and only the kernel knows which: drop it. */
  DATAGRAM_DOUBTFUL = -1,
};

/**
 * Rules R1 and R2: what is in this datagram?
 * @param datagram,length from the VXLAN header on; at least GSO_MIN_PIECE bytes
 * @param groSize the UDP_GRO cmsg value (an int), 0 if there was none
 * @param innerMtu most bytes of an inner IP packet and the tags in front of it (underlay MTU − 50 or − 70)
 * @returns DatagramKind
 * A frame with a finished checksum is only believed after the checksum was verified (its field is then replaced by the
 * pseudo-header sum, in place); nothing corrupt is ever turned into a super-frame.
 */
int gsoFromDatagram(uint8_t* datagram, uint32_t length, uint32_t groSize, uint32_t innerMtu, Gso* gso);

/** Rule R3: does the checksum field hold just the folded pseudo-header sum? 0 without whole TCP/UDP headers (payloadAt 0). */
int checksumIsUnfinished(const uint8_t* frame, const Layers* layers);

/**
 * Finish an unfinished checksum of a contiguous frame: the field at start + offset (already holding the pseudo-header
 * sum) becomes the inverted sum of [start, end of the IP packet), or of the frame where it is not IP; 0 is stored as 0xffff
 * (RFC 768; harmless elsewhere, Linux does the same). Ethernet padding of IP is not summed.
 * @returns 0, or the GsoError of a lone NEEDS_CSUM that gsoFromVnet refuses (nothing is written).
 */
int finishChecksum(uint8_t* frame, uint32_t length, uint32_t start, uint32_t offset);

}  // namespace vtepd
