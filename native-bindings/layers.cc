// The one parse of an Ethernet frame. What it accepts and what it flags is told in layers.h.
// Length first, then meaning: every read stands behind a comparison with `head`, and every length a header claims is
// compared with `length` before it is believed.
#include "layers.h"

#include <cstring>

#include "checksum.h"

namespace vtepd {

namespace {

enum : uint32_t {
  ETHERNET_BYTES = 14,
  TAG_BYTES = 4,
  IPV4_BYTES = 20,
  IPV6_BYTES = 40,
  TCP_BYTES = 20,
  UDP_BYTES = 8,

  ETHERTYPE_IPV4 = 0x0800,
  ETHERTYPE_TAG = 0x8100,
  ETHERTYPE_IPV6 = 0x86dd,
  ETHERTYPE_SERVICE_TAG = 0x88a8,

  HOP_BY_HOP = 0,
  ROUTING = 43,
  FRAGMENT = 44,
  DESTINATION = 60,
  // RFC 8200 §4.1 names at most hop-by-hop, destination twice and routing before the transport header.
  MAX_EXTENSIONS = 6,
};

inline uint32_t u16(const uint8_t* at) { return static_cast<uint32_t>(at[0]) << 8 | at[1]; }

// The transport header at l4At: whole, and inside the IP packet?
int parseTransport(const uint8_t* frame, uint32_t head, Layers* layers) {
  const uint32_t at = layers->l4At;
  const uint32_t limit = head < layers->end ? head : layers->end;
  if (layers->protocol == LAYERS_UDP) {
    if (at + UDP_BYTES > limit) return 0;
    layers->payloadAt = static_cast<uint16_t>(at + UDP_BYTES);
    return 1;
  }
  if (layers->protocol == LAYERS_TCP) {
    if (at + TCP_BYTES > limit) return 0;
    const uint32_t header = (frame[at + 12] >> 4) * 4u;
    if (header < TCP_BYTES || at + header > limit) return 0;
    layers->payloadAt = static_cast<uint16_t>(at + header);
    return 1;
  }
  return 0;
}

int parseIpv4(const uint8_t* frame, uint32_t head, uint32_t length, Layers* layers) {
  const uint32_t at = layers->l3At;
  if (at + IPV4_BYTES > head || frame[at] >> 4 != 4) return 0;
  const uint32_t header = (frame[at] & 15) * 4u;
  const uint32_t total = u16(frame + at + 2);
  if (header < IPV4_BYTES || at + header > head || total < header || total > length - at) return 0;
  layers->version = 4;
  layers->protocol = frame[at + 9];
  layers->end = at + total;
  layers->l3End = static_cast<uint16_t>(at + header);
  if (header > IPV4_BYTES) layers->flags |= LAYERS_OPTIONS;
  if (layers->end < length) layers->flags |= LAYERS_PADDED;
  const uint32_t fragment = u16(frame + at + 6);
  if (fragment & 0x3fff) layers->flags |= LAYERS_FRAGMENT;
  if (fragment & 0x1fff) return 0;
  layers->l4At = layers->l3End;
  return layers->flags & LAYERS_FRAGMENT ? 0 : parseTransport(frame, head, layers);
}

int parseIpv6(const uint8_t* frame, uint32_t head, uint32_t length, Layers* layers) {
  uint32_t at = layers->l3At;
  if (at + IPV6_BYTES > head || frame[at] >> 4 != 6) return 0;
  const uint32_t payload = u16(frame + at + 4);
  if (payload > length - at - IPV6_BYTES) return 0;
  layers->version = 6;
  layers->end = at + IPV6_BYTES + payload;
  layers->l3End = static_cast<uint16_t>(at + IPV6_BYTES);
  if (layers->end < length) layers->flags |= LAYERS_PADDED;
  const uint32_t limit = head < layers->end ? head : layers->end;
  uint32_t next = frame[at + 6];
  layers->protocol = static_cast<uint8_t>(next);
  at += IPV6_BYTES;
  for (int i = 0; next == HOP_BY_HOP || next == ROUTING || next == FRAGMENT || next == DESTINATION; i++) {
    layers->flags |= LAYERS_EXTENSIONS;
    if (next == FRAGMENT) {
      layers->flags |= LAYERS_FRAGMENT;
      return 0;
    }
    if (next == ROUTING) layers->flags |= LAYERS_ROUTING;
    if (i == MAX_EXTENSIONS || at + 8 > limit) return 0;
    next = frame[at];
    layers->protocol = static_cast<uint8_t>(next);
    at += (frame[at + 1] + 1u) * 8u;
    if (at > limit) return 0;
  }
  layers->l4At = static_cast<uint16_t>(at);
  return parseTransport(frame, head, layers);
}

inline bool isTag(uint32_t ethertype) { return ethertype == ETHERTYPE_TAG || ethertype == ETHERTYPE_SERVICE_TAG; }

// First byte behind the tags, at least one and at most LAYERS_MAX_TAGS; 0: cut. Not inline: most frames have none.
__attribute__((noinline)) uint32_t behindTags(const uint8_t* frame, uint32_t head) {
  const uint32_t most = ETHERNET_BYTES + LAYERS_MAX_TAGS * TAG_BYTES;
  uint32_t at = ETHERNET_BYTES;
  while (at < most && isTag(u16(frame + at - 2))) {
    at += TAG_BYTES;
    if (head < at) return 0;
  }
  return at;
}

}  // namespace

int layersParse(const uint8_t* frame, uint32_t head, uint32_t length, Layers* layers) {
  *layers = Layers{};
  if (head > length) head = length;
  if (head < ETHERNET_BYTES) return 0;
  uint32_t at = ETHERNET_BYTES;
  uint32_t ethertype = u16(frame + 12);
  if (isTag(ethertype)) {
    at = behindTags(frame, head);
    if (at == 0) return 0;
    ethertype = u16(frame + at - 2);
  }
  layers->l3At = static_cast<uint16_t>(at);
  layers->ethertype = static_cast<uint16_t>(ethertype);
  if (ethertype == ETHERTYPE_IPV4) return parseIpv4(frame, head, length, layers);
  if (ethertype == ETHERTYPE_IPV6) return parseIpv6(frame, head, length, layers);
  return 0;
}

uint64_t layersPseudo(const uint8_t* frame, const Layers* layers, uint32_t l4Length) {
  const uint8_t* ip = frame + layers->l3At;
  return layers->version == 4 ? checksumPseudoV4(ip + 12, layers->protocol, l4Length)
                              : checksumPseudoV6(ip + 8, layers->protocol, l4Length);
}

}  // namespace vtepd
