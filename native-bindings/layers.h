// Where the layers of one Ethernet frame begin and end. Segmentation, coalescing and the checks of GSO metadata all
// stand on this one parse, so that no two of them can disagree about a hostile frame.
//
// Ethernet with at most three VLAN tags, of 802.1Q or 802.1ad; IPv4 (options are skipped, fragments flagged); IPv6 (hop-by-hop, destination
// and routing headers are skipped and flagged, a fragment header is flagged and ends the walk); TCP and UDP.
// Anything else is told apart by zeros. The parse never reads at or beyond `head`.
#pragma once

#include <cstdint>

namespace vtepd {

enum {
  /** VLAN tags that are looked behind: two as they come, and the one that the AC a frame leaves by puts in front. */
  LAYERS_MAX_TAGS = 3,

  LAYERS_TCP = 6,
  LAYERS_UDP = 17,

  /** IPv4 MF or offset, or an IPv6 fragment header. `payloadAt` is 0. */
  LAYERS_FRAGMENT = 1,
  /** IPv4 options (IHL > 5). */
  LAYERS_OPTIONS = 2,
  /** IPv6 extension headers lie between the IPv6 header and `l4At`. */
  LAYERS_EXTENSIONS = 4,
  /** One of them is a routing header: the pseudo-header's destination is not the one in the IPv6 header. */
  LAYERS_ROUTING = 8,
  /** The frame is longer than its IP packet: Ethernet padding behind `end`. */
  LAYERS_PADDED = 16,
};

struct Layers {
  /** Bytes up to the end of the IP packet, padding excluded; 0 unless `version` is set. Never more than the frame's length. */
  uint32_t end;
  /** First byte behind Ethernet header and tags: 14, and 4 for each tag; 0 when the frame is shorter than that. */
  uint16_t l3At;
  /** First byte behind the fixed IP header and, for IPv4, its options; 0 unless `version` is set. */
  uint16_t l3End;
  /** First byte of the transport header; 0 unless it could be reached (non-first fragments, unknown extensions). */
  uint16_t l4At;
  /** First byte behind a whole TCP or UDP header (TCP options included), at most `end`; 0 for everything else. */
  uint16_t payloadAt;
  /** EtherType behind the tags, host byte order. */
  uint16_t ethertype;
  /** 4, 6, or 0: not IP, or IP lengths that contradict the frame. */
  uint8_t version;
  /** LAYERS_FRAGMENT and so on. */
  uint8_t flags;
  /** IP protocol at `l4At`. */
  uint8_t protocol;
};

/**
 * Parse a frame of `length` bytes of which the first `head` lie at `frame` (head ≤ length; the rest is payload
 * elsewhere). Headers must lie within `head`.
 * @returns 1 when `payloadAt` is set (an unfragmented TCP or UDP packet whose headers are all there), else 0.
 */
int layersParse(const uint8_t* frame, uint32_t head, uint32_t length, Layers* layers);

/** Running sum (checksum.h) of the pseudo-header of a parsed packet whose transport part is `l4Length` bytes long. */
uint64_t layersPseudo(const uint8_t* frame, const Layers* layers, uint32_t l4Length);

}  // namespace vtepd
