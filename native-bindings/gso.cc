// GSO metadata: believed, made, and recognised. What is accepted and why is told in gso.h.
#include "gso.h"

#include <cstring>

#include "checksum.h"

namespace vtepd {

namespace {

enum : uint32_t {
  TCP_FLAGS_AT = 13,
  TCP_SYN_RST = 0x02 | 0x04,
  TCP_CWR = 0x80,
  TCP_CHECKSUM_AT = 16,
  UDP_CHECKSUM_AT = 6,
  ICMP_CHECKSUM_AT = 2,
  UDP_BYTES = 8,

  ETHERNET_BYTES = 14,
  ETHERTYPE_AT = 12,
  ETHERTYPE_LEAST = 0x0600,  // below: the length of an LLC frame
  ETHERTYPE_IPV4 = 0x0800,
  ETHERTYPE_ARP = 0x0806,
  ETHERTYPE_TAG = 0x8100,
  ETHERTYPE_IPV6 = 0x86dd,
  ETHERTYPE_SERVICE_TAG = 0x88a8,
  TAG_BYTES = 4,
  // The AC's own, four priority tags (ingress.ts), and four that RA guard looks through; layersParse knows the last of them.
  MAX_TAGS = 9 - LAYERS_MAX_TAGS,

  IPV6_AUTHENTICATION = 51,
  IPV6_ICMP = 58,
  IPV6_MOBILITY = 135,
  IPV6_HOST_IDENTITY = 139,
  IPV6_SHIM6 = 140,
};

inline uint32_t checksumAt(uint8_t protocol) { return protocol == LAYERS_TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT; }

inline bool isTag(const uint8_t* at) {
  const uint32_t type = static_cast<uint32_t>(at[0]) << 8 | at[1];
  return type == ETHERTYPE_TAG || type == ETHERTYPE_SERVICE_TAG;
}

inline uint16_t field(const uint8_t* at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

// Bytes of the tags in front of the EtherType that says what is inside: all that the data plane takes off or looks through.
uint32_t tagBytes(const uint8_t* frame, uint32_t length) {
  uint32_t bytes = 0;
  while (bytes < MAX_TAGS * TAG_BYTES && bytes + ETHERTYPE_AT + TAG_BYTES + 2 <= length &&
         isTag(frame + bytes + ETHERTYPE_AT)) {
    bytes += TAG_BYTES;
  }
  return bytes;
}

// Behind an extension header that the data plane looks through and our parse does not, it may see another packet than we.
inline bool isHeaderOfOthers(uint8_t protocol) {
  return protocol == IPV6_AUTHENTICATION || protocol == IPV6_MOBILITY || protocol == IPV6_HOST_IDENTITY ||
         protocol == IPV6_SHIM6;
}

// NEEDS_CSUM without GSO: may this field be finished? (gso.h)
int checkLoneChecksum(const uint8_t* frame, uint32_t length, uint32_t start, uint32_t offset) {
  const uint32_t tags = tagBytes(frame, length);
  if (start < tags) return GSO_BAD_CHECKSUM_AT;
  frame += tags;
  length -= tags;
  start -= tags;
  Layers layers;
  layersParse(frame, length, length, &layers);
  const uint32_t field = start + offset;
  if (layers.version == 0) {
    const uint32_t type = layers.ethertype;
    const bool isSeenThrough = type == ETHERTYPE_IPV4 || type == ETHERTYPE_IPV6 || type == ETHERTYPE_ARP ||
                               type < ETHERTYPE_LEAST || isTag(frame + ETHERTYPE_AT);
    if (layers.l3At == 0 || isSeenThrough) return GSO_BAD_FRAME;
    return start >= layers.l3At && field + 2u <= length ? GSO_OK : GSO_BAD_CHECKSUM_AT;
  }
  if (layers.version == 6 && layers.flags & LAYERS_FRAGMENT) return GSO_BAD_FRAGMENT;
  if (layers.version == 6 && (layers.l4At == 0 || isHeaderOfOthers(layers.protocol))) return GSO_BAD_FRAME;
  if (layers.version == 6 && layers.protocol == IPV6_ICMP) {
    if (start != layers.l4At || offset != ICMP_CHECKSUM_AT) return GSO_BAD_CHECKSUM_AT;
  } else if (layers.l4At != 0 && (layers.protocol == LAYERS_TCP || layers.protocol == LAYERS_UDP)) {
    const bool own = start == layers.l4At && offset == checksumAt(layers.protocol);
    const bool inside = layers.protocol == LAYERS_UDP && start >= layers.l4At + UDP_BYTES;
    if (!own && !inside) return GSO_BAD_CHECKSUM_AT;
  } else {
    const uint32_t first = layers.l4At != 0 ? layers.l4At : layers.l3End;
    if (start < first || field < first + 2u) return GSO_BAD_CHECKSUM_AT;
  }
  return field + 2u <= layers.end ? GSO_OK : GSO_BAD_CHECKSUM_AT;
}

// How the pieces of a datagram begin, compared with its first eight bytes.
struct Pieces {
  bool same;   // all alike, VNI included
  bool alike;  // at least one, but for the VNI
};

Pieces comparePieces(const uint8_t* datagram, uint32_t length, uint32_t size) {
  static const uint8_t kAllButVni[GSO_VXLAN_BYTES] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0xff};
  uint64_t first, mask;
  memcpy(&first, datagram, sizeof first);
  memcpy(&mask, kAllButVni, sizeof mask);
  Pieces pieces = {true, false};
  for (uint32_t at = size; at < length; at += size) {
    if (length - at < GSO_VXLAN_BYTES) {
      pieces.same = false;
      break;
    }
    uint64_t own;
    memcpy(&own, datagram + at, sizeof own);
    own ^= first;
    pieces.same = pieces.same && own == 0;
    pieces.alike = pieces.alike || (own & mask) == 0;
  }
  return pieces;
}

}  // namespace

int gsoCheck(uint8_t type, int ecn, uint32_t size, const uint8_t* frame, uint32_t head, uint32_t length, Gso* gso,
             Layers* layers) {
  *gso = Gso{};
  gso->units = 1;
  if (type != GSO_TCPV4 && type != GSO_TCPV6 && type != GSO_UDP_L4) return GSO_BAD_TYPE;
  const int whole = layersParse(frame, head, length, layers);
  if (layers->flags & (LAYERS_FRAGMENT | LAYERS_ROUTING)) return GSO_BAD_FRAGMENT;
  if (!whole || layers->end != length) return GSO_BAD_FRAME;
  if (type == GSO_UDP_L4 ? layers->protocol != LAYERS_UDP
                         : layers->protocol != LAYERS_TCP || layers->version != (type == GSO_TCPV4 ? 4 : 6)) {
    return GSO_BAD_TYPE;
  }
  const uint32_t header = layers->payloadAt;
  const uint32_t payload = length - header;
  if (size == 0 || size > 0xffff || payload == 0 || header > GSO_MAX_HEADER) return GSO_BAD_SIZE;
  if (layers->protocol == LAYERS_TCP && (frame[layers->l4At + TCP_FLAGS_AT] & TCP_SYN_RST)) return GSO_BAD_FLAGS;
  const uint32_t units = (payload + size - 1) / size;
  if (layers->protocol == LAYERS_UDP && units > GSO_MAX_UDP_SEGMENTS) return GSO_BAD_COUNT;
  gso->type = type;
  gso->ecn = ecn != 0;
  gso->needsCsum = 1;
  gso->size = static_cast<uint16_t>(size);
  gso->csumStart = layers->l4At;
  gso->csumOffset = static_cast<uint16_t>(checksumAt(layers->protocol));
  gso->units = static_cast<uint16_t>(units);
  gso->header = static_cast<uint16_t>(header);
  return GSO_OK;
}

int gsoFromVnet(const VnetHeader* vnet, const uint8_t* frame, uint32_t length, Gso* gso) {
  *gso = Gso{};
  gso->units = 1;
  const int needsCsum = vnet->flags & VNET_NEEDS_CSUM;
  if (vnet->gsoType == GSO_NONE) {
    if (!needsCsum) return GSO_OK;
    const int error = checkLoneChecksum(frame, length, vnet->csumStart, vnet->csumOffset);
    if (error != GSO_OK) return error;
    gso->needsCsum = 1;
    gso->csumStart = vnet->csumStart;
    gso->csumOffset = vnet->csumOffset;
    return GSO_OK;
  }
  if (!needsCsum) return GSO_BAD_FLAGS;
  Gso believed;
  Layers layers;
  const uint8_t type = vnet->gsoType & static_cast<uint8_t>(~GSO_ECN_BIT);
  const int error =
      gsoCheck(type, vnet->gsoType & GSO_ECN_BIT, vnet->gsoSize, frame, length, length, &believed, &layers);
  if (error != GSO_OK) return error;
  if (layers.l3At > GSO_MAX_L3_AT) return GSO_BAD_FRAME;
  if (vnet->csumStart != believed.csumStart || vnet->csumOffset != believed.csumOffset) return GSO_BAD_CHECKSUM_AT;
  if (believed.type != GSO_UDP_L4 && believed.size < GSO_MIN_TCP_SIZE && believed.units > 1) return GSO_BAD_SIZE;
  *gso = believed;
  return GSO_OK;
}

void gsoToVnet(const Gso* gso, VnetHeader* vnet) {
  *vnet = VnetHeader{};
  if (!gso->needsCsum) return;
  vnet->flags = VNET_NEEDS_CSUM;
  vnet->csumStart = gso->csumStart;
  vnet->csumOffset = gso->csumOffset;
  if (gso->type == GSO_NONE) return;
  vnet->gsoType = static_cast<uint8_t>(gso->type | (gso->ecn ? GSO_ECN_BIT : 0));
  vnet->gsoSize = gso->size;
  vnet->hdrLen = gso->header;
}

int gsoFromDatagram(uint8_t* datagram, uint32_t length, uint32_t groSize, uint32_t innerMtu, Gso* gso) {
  *gso = Gso{};
  gso->units = 1;
  const bool several = groSize > 0 && groSize < length;
  if (several) {
    const Pieces pieces = comparePieces(datagram, length, groSize);
    if (pieces.same && groSize >= GSO_MIN_PIECE) return DATAGRAM_PACKETS;
    if (pieces.alike) return DATAGRAM_DOUBTFUL;
  }
  const int otherwise = several ? DATAGRAM_DOUBTFUL : DATAGRAM_PACKETS;

  uint8_t* const frame = datagram + GSO_VXLAN_BYTES;
  length -= GSO_VXLAN_BYTES;
  Layers layers;
  const int whole = layersParse(frame, length, length, &layers);
  if (!whole || layers.end != length || layers.l3At > GSO_MAX_L3_AT) return otherwise;
  if (layers.flags & (LAYERS_OPTIONS | LAYERS_EXTENSIONS)) return otherwise;
  uint32_t size = groSize;
  if (several) {
    if (layers.protocol != LAYERS_UDP) return otherwise;  // a TCP super-frame comes without a size
  } else {
    const uint32_t headers = layers.payloadAt - ETHERNET_BYTES;
    if (layers.protocol != LAYERS_TCP || length - ETHERNET_BYTES <= innerMtu || innerMtu <= headers) return otherwise;
    size = innerMtu - headers;
  }
  const uint8_t type = layers.protocol == LAYERS_UDP ? GSO_UDP_L4 : layers.version == 4 ? GSO_TCPV4 : GSO_TCPV6;
  // The sender's GSO_ECN bit did not travel. CWR on a super-frame is RFC 3168's, for the first segment: AccECN senders
  // cut before the wire.
  const int ecn = layers.protocol == LAYERS_TCP && (frame[layers.l4At + TCP_FLAGS_AT] & TCP_CWR);
  Gso believed;
  if (gsoCheck(type, ecn, size, frame, length, length, &believed, &layers) != GSO_OK) return otherwise;

  uint8_t* checksum = frame + believed.csumStart + believed.csumOffset;
  const uint32_t l4Length = layers.end - layers.l4At;
  const uint64_t pseudo = layersPseudo(frame, &layers, l4Length);
  const uint16_t unfinished = checksumFold(pseudo);
  if (field(checksum) != unfinished) {
    if (layers.protocol == LAYERS_UDP && field(checksum) == 0) return otherwise;
    if (checksumFold(checksumAdd(frame + layers.l4At, l4Length, pseudo)) != 0xffff) return otherwise;
    memcpy(checksum, &unfinished, sizeof unfinished);
  }
  *gso = believed;
  return DATAGRAM_SUPER;
}

int checksumIsUnfinished(const uint8_t* frame, const Layers* layers) {
  if (layers->payloadAt == 0 || (layers->flags & LAYERS_ROUTING)) return 0;
  const uint64_t pseudo = layersPseudo(frame, layers, layers->end - layers->l4At);
  return field(frame + layers->l4At + checksumAt(layers->protocol)) == checksumFold(pseudo);
}

int finishChecksum(uint8_t* frame, uint32_t length, uint32_t start, uint32_t offset) {
  if (start > length || offset > length) return GSO_BAD_CHECKSUM_AT;
  const int error = checkLoneChecksum(frame, length, start, offset);
  if (error != GSO_OK) return error;
  Layers layers;
  layersParse(frame, length, length, &layers);
  const uint32_t room = (layers.version != 0 ? layers.end : length) - start;
  uint16_t sum = static_cast<uint16_t>(~checksumFold(checksumAdd(frame + start, room, 0)));
  if (sum == 0) sum = 0xffff;
  memcpy(frame + start + offset, &sum, sizeof sum);
  return GSO_OK;
}

}  // namespace vtepd
